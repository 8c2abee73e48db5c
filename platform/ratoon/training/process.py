"""The supervised process: ``python -m ratoon.training.process`` trains or evaluates once and ends.

Protocol, one JSON object per line. The process imports what is slow, writes ``{"type": "ready"}`` and waits, so that
a spare can be kept warm. It reads one order (:data:`ratoon.training.orders.ORDER`) from standard input and writes
``{"type": "progress", "phase": ..., ...}`` lines, then ``{"type": "outcome", "outcome": {...}}`` or
``{"type": "error", "error": {"code", "retryable", "message"}}``. Standard output carries nothing else: what feature
code prints goes to standard error.

Exit codes: 0 done (also when standard input ends without an order) · 10 the order can't be carried out, see the error
line · 20 told to stop (SIGTERM) or the reader is gone · anything else is a crash.

Environment, read here and nowhere else: ``RATOON_SUPERVISOR_PID`` (end at once unless that process is the parent),
``OMP_WAIT_POLICY`` (PASSIVE unless set: spinning OpenMP threads made trainings on shared cores up to 100 times
slower), ``OMP_NUM_THREADS`` and ``POLARS_MAX_THREADS`` (thread budget; they must be set before the imports).
The parent must start it from its main thread: the kernel ties the death signal to the thread that forked.
"""

import ctypes
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn, TextIO

if TYPE_CHECKING:
    from ratoon.training.orders import EvaluateOrder, EvaluateOutcome, TrainOrder, TrainOutcome
    from ratoon.training.rows import FrameSource

EXIT_DONE: Final = 0
EXIT_CRASHED: Final = 1
EXIT_REFUSED: Final = 10
EXIT_STOPPED: Final = 20

_PR_SET_PDEATHSIG = 1
_PROGRESS_EVERY_S = 0.2
_MEMORY_EVERY_S = 0.2


def main(source: "FrameSource | None" = None) -> int:
    """Run one order and return the exit code.

    Args:
        source: Gives the rows of an order, in place of the lake that it names.
    """
    _tie_to_parent()
    _stop_on_sigterm()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    lines = _Lines(_reserve_stdout())
    carry_out = _import_all()
    lines.write({"type": "ready"})
    text = sys.stdin.readline()
    if not text.strip():
        return EXIT_DONE
    return _answer(text, lines, source, carry_out)


class _Lines:
    """Writes protocol lines; progress within a phase at most five times a second."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._phase: tuple[Any, Any] = (None, None)
        self._last = 0.0

    def write(self, record: dict[str, Any]) -> None:
        try:
            with self._lock:
                self._stream.write(json.dumps(record, separators=(",", ":")) + "\n")
                self._stream.flush()
        except BrokenPipeError:
            _end(EXIT_STOPPED)

    def progress(self, record: dict[str, Any]) -> None:
        phase, now = (record.get("phase"), record.get("window")), time.monotonic()
        if phase != self._phase or now - self._last >= _PROGRESS_EVERY_S:
            self._phase, self._last = phase, now
            self.write({"type": "progress"} | record)


_CarryOut = Callable[
    ["TrainOrder | EvaluateOrder", "FrameSource | None", Callable[[dict[str, Any]], None]],
    "TrainOutcome | EvaluateOutcome",
]


def _import_all() -> _CarryOut:
    """Import polars, xgboost and everything else that an order needs, before it comes."""
    from ratoon.registry.store import ArtifactStore
    from ratoon.training import lake_source
    from ratoon.training.evaluate import evaluate
    from ratoon.training.orders import TrainOrder
    from ratoon.training.train import train

    def carry_out(
        order: "TrainOrder | EvaluateOrder", source: "FrameSource | None", progress: Callable[[dict[str, Any]], None]
    ) -> "TrainOutcome | EvaluateOutcome":
        store = ArtifactStore(order.artifacts_url, order.storage_options)
        rows = source if source is not None else lake_source.from_lake
        return (
            train(order, rows, store, progress)
            if isinstance(order, TrainOrder)
            else evaluate(order, rows, store, progress)
        )

    return carry_out


def _answer(text: str, lines: _Lines, source: "FrameSource | None", carry_out: _CarryOut) -> int:
    from ratoon.errors import RatoonError

    try:
        order = _read_order(text)
        _watch_memory(order.memory_mb, lines)
        outcome = carry_out(order, source, lines.progress)
    except RatoonError as exc:
        lines.write({"type": "error", "error": exc.to_record()})
        return EXIT_REFUSED
    except MemoryError:
        lines.write({"type": "error", "error": _out_of_memory("more memory than there is")})
        return EXIT_REFUSED
    except Exception as exc:  # noqa: BLE001 - the edge of the process: whatever it was is reported as a crash
        traceback.print_exc()
        message = f"the training process crashed: {type(exc).__name__}: {str(exc)[:1_000]}; its log has the traceback"
        lines.write({"type": "error", "error": {"code": RatoonError.code, "retryable": True, "message": message}})
        return EXIT_CRASHED
    lines.write({"type": "outcome", "outcome": outcome.model_dump(mode="json")})
    return EXIT_DONE


def _read_order(text: str) -> "TrainOrder | EvaluateOrder":
    from pydantic import ValidationError

    from ratoon.errors import ConfigError
    from ratoon.training.orders import ORDER

    try:
        return ORDER.validate_json(text)
    except ValidationError as exc:
        first = exc.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole line"
        raise ConfigError(
            f"the order is not one that this Ratoon reads: {place}: {first['msg']}; "
            "do worker and ledger run the same version?"
        ) from exc


def _tie_to_parent() -> None:
    """Be killed when the supervisor dies, so that no training outlives its lease."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    expected = os.environ.get("RATOON_SUPERVISOR_PID")
    if expected is not None and os.getppid() != int(expected):
        _end(EXIT_STOPPED)


def _stop_on_sigterm() -> None:
    """End on SIGTERM at once, from a thread: a handler would wait until native code returns to Python."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        signal.sigwait({signal.SIGTERM})
        _end(EXIT_STOPPED)

    threading.Thread(target=wait, name="sigterm", daemon=True).start()


def _reserve_stdout() -> TextIO:
    """Return a stream on standard output, which from now on is standard error for everybody else."""
    protocol = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(protocol, "w", encoding="utf-8")


def _watch_memory(memory_mb: int | None, lines: _Lines) -> None:
    """Refuse to go on above a resident size, looked at five times a second (Linux).

    Not RLIMIT_AS or RLIMIT_DATA: a training that resides in 170 MB has 1.4 GB of data and 2.7 GB of addresses reserved.
    """
    if memory_mb is None or sys.platform != "linux":
        return
    limit = memory_mb << 20

    def watch() -> None:
        while _resident_bytes() <= limit:
            time.sleep(_MEMORY_EVERY_S)
        lines.write({"type": "error", "error": _out_of_memory(f"more than the {memory_mb} MB that it is allowed")})
        _end(EXIT_REFUSED)

    threading.Thread(target=watch, name="memory", daemon=True).start()


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - called often
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _out_of_memory(needs: str) -> dict[str, Any]:
    from ratoon.errors import TrainingError

    return TrainingError(f"the training needs {needs}; raise train_memory_mb, or lower training.max_rows").to_record()


def _end(code: int) -> NoReturn:
    """End without unwinding: a half-written artifact has no name yet, so there is nothing to clean up."""
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
