"""The timer that repairs and sends: it survives what goes wrong, and does its two halves in order."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ratoon.errors import BackendError
from ratoon.ledger.answers import ReconcileReport
from ratoon_workers.sweeping import Pulse, Sweeper, sweep


class FakeLedger:
    """Remembers what it was asked, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def reconcile(self, *, resend_after_s: float) -> ReconcileReport:
        self.asked.append(f"reconcile after {resend_after_s}")
        return ReconcileReport(redispatched=["retrain-1"])

    def relay(self, publish: Callable[[Any], None]) -> int:
        self.asked.append("relay")
        return 3


def test_a_sweep_sends_what_it_repaired(caplog: pytest.LogCaptureFixture) -> None:
    ledger = FakeLedger()
    with caplog.at_level(logging.WARNING):
        assert sweep(ledger, lambda message: None, resend_after_s=9) == 3
    assert ledger.asked == ["reconcile after 9", "relay"]
    assert "retrain-1" in caplog.text


@pytest.mark.parametrize("error", [BackendError("away"), ValueError("a defect")])
def test_sweeps_go_on_after_whatever_went_wrong(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    again = threading.Event()
    calls: list[int] = []

    def work() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise error
        again.set()
        return 0

    sweeper = Sweeper(work, 0.001)
    with caplog.at_level(logging.WARNING):
        sweeper.start()
        assert again.wait(20)
        sweeper.stop()
    assert "sweeps work again" in caplog.text


def test_a_stopped_sweeper_sweeps_no_more() -> None:
    begun = threading.Event()
    calls: list[int] = []

    def work() -> int:
        calls.append(1)
        begun.set()
        return 0

    sweeper = Sweeper(work, 0.001)
    sweeper.start()
    assert begun.wait(20)
    sweeper.stop()
    n_calls = len(calls)
    assert not threading.Event().wait(0.05)
    assert len(calls) == n_calls


def test_a_pulse_beats_at_once_and_then_no_more_often_than_it_should() -> None:
    beats: list[int] = []
    often, seldom = Pulse(lambda: beats.append(1), every_s=0), Pulse(lambda: beats.append(2), every_s=3600)
    for _ in range(3):
        often()
        seldom()
    assert sorted(beats) == [1, 1, 1, 2]


def test_a_beat_that_failed_is_due_again() -> None:
    beats: list[int] = []

    def beat() -> None:
        beats.append(1)
        if len(beats) == 1:
            raise BackendError("away")

    pulse = Pulse(beat, every_s=3600)
    with pytest.raises(BackendError):
        pulse()
    pulse()
    pulse()
    assert len(beats) == 2
