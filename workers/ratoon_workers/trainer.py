"""One trainer process as its supervisor sees it: an order goes in, messages and log lines come out."""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ratoon.settings import Settings
from ratoon.stack.groups import kill_group
from ratoon.stack.tether import tethered

_CHUNK = 1 << 16
_LONGEST_LINE = 8 << 20
_PASSED_ON = (
    "CUDA_VISIBLE_DEVICES",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONPATH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
)
_PASSED_ON_PREFIXES = ("AWS_", "NVIDIA_", "RATOON_TRAINER_")


def trainer_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return a trainer's environment: an allow-list of the given one, and the thread budget.

    Idle OpenMP threads spin by default, which slows every other process of the machine down 20 to 50 times.
    """
    kept = {name: text for name, text in environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)}
    return kept | {
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": str(settings.threads),
        "POLARS_MAX_THREADS": str(settings.threads),
        "PYTHONUNBUFFERED": "1",
        "RATOON_PROJECT": str(settings.project),
        "RATOON_HOME": str(settings.home),
    }


class Trainer:
    """A running trainer process, leader of its own group and tied to the thread that made it.

    Its stdout carries JSON messages, one a line; everything else, there and on stderr, is log.

    Args:
        arguments: For the Python interpreter.
        environment: The process's whole environment.
        cwd: Its working directory.
        settle_s: Seconds before it begins with its imports, unless its order comes earlier.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, *, settle_s: float = 0
    ) -> None:
        self.exit_code: int | None = None
        self._process = subprocess.Popen(
            tethered([sys.executable, "-P", *arguments], settle_s=settle_s),
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._parts: dict[str, bytes] = {"out": b"", "err": b""}
        self._selector = selectors.DefaultSelector()
        for name, pipe in (("out", self._process.stdout), ("err", self._process.stderr)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_READ, name)

    @property
    def pid(self) -> int:
        """Pid of the process, which is also its group's."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Say whether the process still runs."""
        return self._process.poll() is None

    def send(self, order: str) -> bool:
        """Write the order line; say whether the process was there to take it.

        Its stdin stays open: the end of it tells a trainer that nobody waits for its answer any more.
        """
        pipe = self._process.stdin
        if pipe is None:
            return False
        try:
            pipe.write(order.encode() + b"\n")
            pipe.flush()
        except BrokenPipeError:
            return False
        return True

    def read(self, timeout_s: float) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the messages and the log lines that came within a time; both empty where nothing came."""
        messages: list[dict[str, Any]] = []
        logged: list[str] = []
        for key, _ in self._selector.select(timeout_s):
            pipe: BinaryIO = key.fileobj  # type: ignore[assignment]
            for line in self._lines(pipe, key.data):
                message = _as_message(line) if key.data == "out" else None
                if message is None:
                    logged.append(line)
                else:
                    messages.append(message)
        return messages, logged

    @property
    def is_drained(self) -> bool:
        """Whether both pipes have ended, so that nothing more can come."""
        return not self._selector.get_map()

    def wait(self, timeout_s: float = 5) -> int:
        """Return the exit code of a process whose pipes have ended; one that lingers is killed."""
        try:
            self.exit_code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        return self.exit_code if self.exit_code is not None else -9

    def kill(self) -> None:
        """SIGKILL the process and its group, and let go of its pipes."""
        kill_group(self._process)
        self.exit_code = self._process.returncode
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None and not pipe.closed:
                _close_quietly(pipe)
        self._selector.close()

    def _lines(self, pipe: BinaryIO, name: str) -> list[str]:
        data = _available(pipe.fileno())
        if data is None:
            self._selector.unregister(pipe)
            rest, self._parts[name] = self._parts[name], b""
            return [_decode(rest)] if rest else []
        *lines, rest = (self._parts[name] + data).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        self._parts[name] = rest
        return [_decode(line) for line in lines]


def _available(descriptor: int) -> bytes | None:
    """Return what can be read now, at most the longest line; None at the end of the pipe."""
    data = b""
    while len(data) < _LONGEST_LINE:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return data
        if not chunk:
            return data or None
        data += chunk
    return data


def _as_message(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else None


def _decode(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").rstrip("\r")


def _close_quietly(pipe: Any) -> None:
    try:
        pipe.close()
    except OSError:
        return
