"""A worker's own threads: they send what the ledger holds, give signs of life, and take leave."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ratoon.ledger import Ledger
from ratoon.ledger.records import AlertRaised, Claim, RetrainSpec
from ratoon.policy.spec import Policy
from ratoon.policy.values import Signals
from ratoon.settings import Settings
from ratoon_workers.sweeping import SweepStep

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(tmp_path: Path, receiver: Any) -> Settings:
    (tmp_path / ".ratoon").mkdir()
    return Settings(
        project=tmp_path, webhook_urls=[receiver.url], webhook_secrets=[SECRET], alert_window_s=0, sweep_s=0.05
    )


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    found = Ledger(settings.ledger_url)
    found.migrate()
    yield found
    found.close()


def wait_until(holds: Callable[[], bool], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_a_worker_sends_alerts_lives_and_takes_leave(
    settings: Settings, ledger: Ledger, receiver: Any, raised: AlertRaised
) -> None:
    receiver.statuses = [500]
    ledger.apply_alerts("event-1", [raised], as_of=datetime.now(UTC))
    conf = SimpleNamespace(ratoon_settings=settings.model_dump(mode="json"))
    worker = SimpleNamespace(app=SimpleNamespace(conf=conf), hostname="worker@here")
    step = SweepStep(worker)
    step.start(worker)
    try:
        wait_until(lambda: bool(ledger.workers()) and len(receiver.requests) == 2)
        assert [found.name for found in ledger.workers()] == ["worker@here"]
        assert len(set(receiver.ids)) == 1
        (payload,) = receiver.verified(datetime.now(UTC))[-1:]
        assert payload["data"]["title"] == "Warning: delays: 3 of 12 columns drifted"
    finally:
        step.stop(worker)
    assert ledger.workers() == []


def test_a_receiver_that_hangs_holds_up_no_repair(
    settings: Settings, ledger: Ledger, receiver: Any, raised: AlertRaised
) -> None:
    receiver.delay_s = 8
    ledger.apply_alerts("event-1", [raised], as_of=datetime.now(UTC))
    conf = SimpleNamespace(ratoon_settings=settings.model_dump(mode="json"))
    worker = SimpleNamespace(app=SimpleNamespace(conf=conf), hostname="worker@here")
    retrain_id = lost_retrain(ledger, lease_s=5)
    step = SweepStep(worker)
    step.start(worker)
    try:
        wait_until(lambda: len(receiver.requests) == 1)
        assert ledger.retrain(retrain_id).state == "RUNNING"
        wait_until(lambda: ledger.retrain(retrain_id).state == "DISPATCHED", within_s=receiver.delay_s)
        assert ledger.deliveries([ledger.alerts()[0].message_id or ""])[0].delivered_at is None
    finally:
        step.stop(worker)


def lost_retrain(ledger: Ledger, *, lease_s: float) -> str:
    """Return a retrain whose worker is silent until its lease ends."""
    ledger.ensure_model("delays", "flights")
    now = datetime.now(UTC)
    event = ledger.record_event(event_id="event-2", kind="clock.passed", subject="delays", as_of=now, data={})
    row = ledger.decide(
        "delays",
        event.event_id,
        policy=Policy.model_validate(
            {"triggers": [{"kind": "new_rows", "rows": 1}], "guards": {"min_labelled_rows": 1}}
        ),
        signals=Signals(labelled_rows=5, new_labelled_rows=5),
        now=now,
        evidence={},
        retrain=RetrainSpec(spec_digest="s" * 64, order={}),
    )
    assert row.retrain_id is not None
    ledger.relay(lambda message: None)
    claim = ledger.claim(row.retrain_id, "train", owner="gone", lease_s=lease_s)
    assert isinstance(claim, Claim)
    return row.retrain_id
