"""Runs the outbox relay, the reconciler and the sending of alerts on timers, in each worker's main process."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from celery import bootsteps

from ratoon.alerts import channels_of, look_after_alerts
from ratoon.broker import publisher
from ratoon.errors import RatoonError
from ratoon.ledger import Ledger
from ratoon.ledger.answers import ReconcileReport
from ratoon.ledger.engine import utc_now
from ratoon.ledger.records import OutboxMessage
from ratoon.settings import Settings

_LOG = logging.getLogger("ratoon.sweep")
_LONGEST_PAUSE_S = 30.0
_BEAT_EVERY_S = 15.0
_ALERTS_EVERY_S = 2.0
_STOP_WITHIN_S = 3.0

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

    def __init__(self, work: Callable[[], int], interval_s: float, *, name: str = "ratoon-sweep") -> None:
        self._work = work
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

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


class Pulse:
    """Notes in the ledger that a worker lives, at most every ``every_s`` seconds."""

    def __init__(self, beat: Callable[[], None], every_s: float = _BEAT_EVERY_S) -> None:
        self._beat = beat
        self._every_s = every_s
        self._due = 0.0

    def __call__(self) -> None:
        """Give the sign of life that is due."""
        now = time.monotonic()
        if now >= self._due:
            self._beat()
            self._due = now + self._every_s


class SweepStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Starts and stops the sweeper together with the worker."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._sweepers: list[Sweeper] = []
        self._retire: Callable[[], None] | None = None

    def start(self, parent: Any) -> None:
        """Start the threads: after the pool, whose processes are fresh interpreters and never forks.

        Alerts have a thread of their own: a receiver that answers late must hold up no repair.
        """
        settings, name = Settings(**parent.app.conf.ratoon_settings), str(parent.hostname)
        ledger, publish = Ledger(settings.ledger_url), publisher(settings)
        pulse, channels = Pulse(lambda: ledger.beat(name)), channels_of(settings, clock=utc_now)

        def repair() -> int:
            pulse()
            return sweep(ledger, publish, resend_after_s=settings.lease_s)

        def alert() -> int:
            return look_after_alerts(ledger, settings, channels, now=utc_now())

        self._retire = lambda: ledger.retire_worker(name)
        seldom_s = max(_ALERTS_EVERY_S, settings.sweep_s)
        self._sweepers = [Sweeper(repair, settings.sweep_s), Sweeper(alert, seldom_s, name="ratoon-alerts")]
        for sweeper in self._sweepers:
            sweeper.start()

    def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery names it
        """Stop the threads; a worker that stops on purpose is no silent one."""
        for sweeper in self._sweepers:
            sweeper.stop(_STOP_WITHIN_S)
        if self._retire is not None:
            try:
                self._retire()
            except RatoonError as exc:
                _LOG.warning("the worker could not say that it stops: %s", exc)

    terminate = stop
