"""Events are recorded once, and each model decides about its own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ratoon.errors import ConflictError
from ratoon.ledger import Ledger

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


def manual(ledger: Ledger, event_id: str, **changes: Any) -> Any:
    told = {"kind": "manual.requested", "subject": "delays", "as_of": NOON, "data": {"reason": "new code"}} | changes
    return ledger.record_event(event_id=event_id, **told)


def test_an_event_recorded_twice_is_one_event(story: Any, ledger: Ledger) -> None:
    assert manual(ledger, "m1") == manual(ledger, "m1", as_of=NOON + timedelta(hours=1))
    assert len(ledger.pending_events("delays")) == 1


@pytest.mark.parametrize("change", [{"data": {"reason": "other"}}, {"subject": "other"}, {"kind": "clock.passed"}])
def test_an_id_names_only_one_fact(story: Any, ledger: Ledger, change: dict[str, Any]) -> None:
    manual(ledger, "m1")
    with pytest.raises(ConflictError, match="id of its own"):
        manual(ledger, "m1", **change)
    assert len(ledger.pending_events("delays")) == 1


def test_pending_events_come_by_as_of_time_then_by_arrival(story: Any, ledger: Ledger) -> None:
    late = manual(ledger, "m1", as_of=NOON + timedelta(days=1))
    early = manual(ledger, "m2", as_of=NOON)
    tied = manual(ledger, "m3", as_of=NOON)
    assert ledger.pending_events("delays") == [early, tied, late]
    assert ledger.pending_events("delays", limit=1) == [early]


def test_a_model_decides_about_its_dataset_and_itself_only(story: Any, ledger: Ledger) -> None:
    ledger.ensure_model("fares", "taxis")
    ledger.ensure_model("cancellations", "flights")
    batch = story.arrive("a")
    asked = manual(ledger, "m1", subject="fares")
    ticked = manual(ledger, "c1", kind="clock.passed", subject="cancellations", as_of=NOON + timedelta(days=9))
    manual(ledger, "x1", kind="champion.changed")
    assert ledger.pending_events("delays") == [batch]
    assert ledger.pending_events("fares") == [asked]
    assert ledger.pending_events("cancellations") == [batch, ticked]


def test_an_event_that_was_decided_is_no_longer_pending(story: Any, ledger: Ledger) -> None:
    first, second = story.arrive(), story.arrive()
    story.decide(first)
    assert ledger.pending_events("delays") == [second]


def test_instants_come_back_in_utc_to_the_microsecond(story: Any, ledger: Ledger) -> None:
    exact = datetime.fromisoformat("2013-07-01T02:00:00.123456+02:00")
    event = manual(ledger, "m1", as_of=exact)
    assert event.as_of == exact
    assert event.as_of.isoformat() == "2013-07-01T00:00:00.123456+00:00"
