"""Runs the outbox relay and the reconciler on a timer, in each worker's main process."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from celery import bootsteps

from ratoon.broker import publisher
from ratoon.errors import RatoonError
from ratoon.ledger import Ledger
from ratoon.ledger.answers import ReconcileReport
from ratoon.ledger.records import OutboxMessage
from ratoon.settings import Settings

_LOG = logging.getLogger("ratoon.sweep")
_LONGEST_PAUSE_S = 30.0

Publish = Callable[[OutboxMessage], None]


class SweptBook(Protocol):
    """What a sweep needs of the ledger."""

    def reconcile(self, *, resend_after_s: float) -> ReconcileReport:
        """Repair what is stuck."""

    def relay(self, publish: Publish) -> int:
        """Send what is unsent."""


def sweep(ledger: SweptBook, publish: Publish, *, resend_after_s: float) -> int:
    """Repair what is stuck, then send what is unsent; return the number of messages sent."""
    report = ledger.reconcile(resend_after_s=resend_after_s)
    if not report.is_quiet:
        _LOG.warning("repaired: %s", {name: ids for name, ids in report.model_dump().items() if ids})
    return ledger.relay(publish)


class Sweeper:
    """A thread that sweeps every ``interval_s`` seconds, and less often while that fails."""

    def __init__(self, work: Callable[[], int], interval_s: float) -> None:
        self._work = work
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="ratoon-sweep", daemon=True)

    def start(self) -> None:
        """Begin to sweep."""
        self._thread.start()

    def stop(self, timeout_s: float = 5) -> None:
        """Stop after the sweep that runs now."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped.wait(self._pause_s()):
            self._sweep_once()

    def _pause_s(self) -> float:
        return float(min(_LONGEST_PAUSE_S, self._interval_s * 2 ** min(self._failures, 5)))

    def _sweep_once(self) -> None:
        try:
            self._work()
        except RatoonError as exc:
            if not self._failures:
                _LOG.warning("a sweep failed and is tried again: %s", exc)
            self._failures += 1
        except Exception:  # noqa: BLE001
            # Nothing else would notice that this thread is gone, and with it all repairs.
            _LOG.exception("a sweep failed")
            self._failures += 1
        else:
            if self._failures:
                _LOG.warning("sweeps work again")
            self._failures = 0


class SweepStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Starts and stops the sweeper together with the worker."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._sweeper: Sweeper | None = None

    def start(self, parent: Any) -> None:
        """Start the thread: after the pool, whose processes are fresh interpreters and never forks."""
        settings = Settings(**parent.app.conf.ratoon_settings)
        ledger, publish = Ledger(settings.ledger_url), publisher(settings)
        self._sweeper = Sweeper(lambda: sweep(ledger, publish, resend_after_s=settings.lease_s), settings.sweep_s)
        self._sweeper.start()

    def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery names it
        """Stop the thread."""
        if self._sweeper is not None:
            self._sweeper.stop()

    terminate = stop
