"""The supervisor of the embedded stack: starts, watches, restarts and stops all of its children."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from types import FrameType
from typing import Any, Self

from ratoon.errors import RatoonError, StackError
from ratoon.settings import SHORT_FOLDER, Settings
from ratoon.stack import dagster_home, guardian
from ratoon.stack.children import Child, ChildSpec, Phase
from ratoon.stack.groups import end_group
from ratoon.stack.home import HomeLock, empty_home, prepare_home
from ratoon.stack.logfiles import cut_if_large, last_lines
from ratoon.stack.preflight import check_before_start
from ratoon.stack.roster import roster

_POLL_S = 0.1
_WATCH_S = 0.5
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stack:
    """All processes of one home, from broker to UI.

    Use :meth:`run` for a program that does nothing else, or :meth:`start`, :meth:`poll` (about twice a
    second) and :meth:`stop` from a program that goes on with something. All calls must come from the same
    thread, and that one must live as long as the stack: the children's life is tied to it.

    Args:
        settings: The project's settings.
        say: Gets one line per thing that people should know.
        fresh: Delete the home's state first.
        children: Replaces the children that :func:`ratoon.stack.roster.roster` names.
        migrate: Brings the ledger's tables up to date; by default the ledger's own migration.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        say: Callable[[str], None] = lambda _: None,
        fresh: bool = False,
        children: Sequence[ChildSpec] | None = None,
        migrate: Callable[[Settings], None] | None = None,
    ) -> None:
        self.settings = settings
        self._say = say
        self._fresh = fresh
        self._given = children
        self._migrate = migrate or migrate_ledger
        self._lock = HomeLock(settings.home)
        self._children: list[Child] = []
        self._guardian: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._next_log_check = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def phases(self) -> dict[str, Phase]:
        """The phase of each child, by name."""
        return {child.spec.name: child.phase for child in self._children}

    @property
    def pids(self) -> dict[str, int]:
        """The pid of each running child, by name."""
        return {child.spec.name: child.pid for child in self._children if child.pid is not None}

    def start(self) -> None:
        """Start every child and return when all are ready; on a failure nothing is left behind.

        Raises:
            StackError: The home is in use, something is missing, or a child does not get ready.
            RefusedError: ``fresh`` was asked for a folder that is not a Ratoon home.
        """
        self._lock.acquire()
        try:
            self._prepare()
            while not self._stopping.is_set() and not self._all_are_ready():
                self._advance()
                self._give_up_on_failed_starts()
                self._stopping.wait(_POLL_S)
        except BaseException:
            self.stop()
            raise

    def poll(self) -> None:
        """Restart what died and keep the logs small; call it about twice a second."""
        self._advance()
        now = time.monotonic()
        if now >= self._next_log_check:
            self._next_log_check = now + 10
            for child in self._children:
                cut_if_large(child.spec.log)

    def stop(self) -> None:
        """Stop every child in reverse order, then let go of the home. Safe to call twice."""
        by_rank = sorted(self._children, key=lambda child: child.spec.rank, reverse=True)
        for _, rank in groupby(by_rank, key=lambda child: child.spec.rank):
            self._stop_together([child for child in rank if child.pid is not None])
        self._children = []
        self._dismiss_guardian()
        if self._lock.is_held:
            self._remove_sockets()
        self._lock.release()

    def run(self, on_ready: Callable[[], None] | None = None) -> None:
        """Start, watch until SIGINT, SIGTERM, SIGHUP or :meth:`request_stop`, then stop.

        Args:
            on_ready: Called once, when all children are ready.

        Raises:
            StackError: As for :meth:`start`.
        """
        with self._signals_request_stop():
            try:
                self.start()
                if on_ready is not None and not self._stopping.is_set():
                    on_ready()
                while not self._stopping.is_set():
                    self.poll()
                    self._stopping.wait(_WATCH_S)
            finally:
                self.stop()

    def request_stop(self) -> None:
        """Make :meth:`run` return soon; callable from a signal handler and from any thread."""
        self._stopping.set()

    def _prepare(self) -> None:
        if self._fresh:
            empty_home(self.settings)
        if self._given is None:
            check_before_start(self.settings)
        prepare_home(self.settings)
        self._migrate(self.settings)
        dagster_home.create_schema(self.settings)
        dagster_home.write_dagster_home(self.settings)
        self._guardian = _start_guardian()
        specs = roster(self.settings) if self._given is None else self._given
        self._children = [Child(spec, self._tell_guardian) for spec in specs]

    def _all_are_ready(self) -> bool:
        return all(child.phase is Phase.READY for child in self._children)

    def _advance(self) -> None:
        phases = self.phases
        for child in self._children:
            if child.phase is Phase.WAITING and any(phases[name] is not Phase.READY for name in child.spec.after):
                continue
            since = child.seconds_in_phase(time.monotonic())
            changed = child.advance(time.monotonic())
            if changed is Phase.READY:
                self._say(f"{child.spec.name:<12}ready  {child.spec.detail}  ({since:.1f} s)")
            elif changed is Phase.WAITING and not self._stopping.is_set():
                self._say(f"{child.spec.name:<12}ended ({_ending(child)}); it is started again; log: {child.spec.log}")

    def _give_up_on_failed_starts(self) -> None:
        for child in self._children:
            if child.failures >= child.spec.most_failures and not child.has_been_ready:
                raise StackError(
                    f"{child.spec.name} does not start ({_ending(child)}, {child.failures} times); "
                    f"its log is {child.spec.log} and ends with:\n{last_lines(child.spec.log)}"
                )

    def _stop_together(self, children: Sequence[Child]) -> None:
        for child in children:
            child.ask_to_stop()
        for child in children:
            ended = child.stop()
            how = "stopped" if ended else f"did not stop within {child.spec.grace_s:g} s and was killed"
            self._say(f"{child.spec.name:<12}{how}")

    def _tell_guardian(self, line: str) -> None:
        if self._guardian is None or self._guardian.stdin is None:
            return
        try:
            self._guardian.stdin.write(f"{line}\n".encode())
            self._guardian.stdin.flush()
        except BrokenPipeError:
            self._guardian = None

    def _dismiss_guardian(self) -> None:
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.close()
            end_group(self._guardian, grace_s=2)
        self._guardian = None

    def _remove_sockets(self) -> None:
        folder = self.settings.runtime_dir
        for pattern in ("*.sock", "*.ready"):
            for path in folder.glob(pattern):
                path.unlink(missing_ok=True)
        if folder.parent == SHORT_FOLDER and folder.is_dir():
            folder.rmdir()

    @contextmanager
    def _signals_request_stop(self) -> Iterator[None]:
        def request(_number: int, _frame: FrameType | None) -> None:
            self.request_stop()

        before: dict[signal.Signals, Any] = {number: signal.signal(number, request) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def migrate_ledger(settings: Settings) -> None:
    """Bring the ledger's tables up to date.

    Raises:
        StackError: The database can't be reached or migrated.
    """
    from ratoon.ledger import Ledger

    try:
        Ledger(settings.ledger_url).migrate()
    except RatoonError as exc:
        raise StackError(f"the ledger can't be opened: {exc}; check database_url (RATOON_DATABASE_URL)") from exc


def _start_guardian() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        (sys.executable, "-I", "-S", guardian.__file__),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _ending(child: Child) -> str:
    code = child.last_exit
    if code is None:
        return "no exit code"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
