"""Every batch is profiled once, and what its diagnosis says is kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ratoon.ledger import Ledger

DAY = datetime(2013, 1, 2, tzinfo=UTC)
BROKEN: dict[str, Any] = {"verdict": "broken", "advice": "hold"}


def profiled(ledger: Ledger, batch_id: str, day: int, **changes: Any) -> Any:
    return ledger.record_profile(
        "flights",
        batch_id,
        as_of=DAY + timedelta(days=day),
        **({"binning": "b" * 64, "facts": {}, "diagnosis": None} | changes),
    )


def test_a_batch_is_unprofiled_from_its_ingest_until_its_profile_is_recorded(story: Any, ledger: Ledger) -> None:
    story.arrive("a")
    story.arrive("b")
    assert [batch.batch_id for batch in ledger.unprofiled("flights")] == ["a", "b"]
    profiled(ledger, "a", 0)
    assert [batch.batch_id for batch in ledger.unprofiled("flights")] == ["b"]
    assert ledger.unprofiled("others") == []


def test_labels_and_batches_that_are_not_in_the_lake_have_no_profile(story: Any, ledger: Ledger) -> None:
    story.arrive("labels", role="labels")
    story.claim_batch("claimed")
    assert ledger.unprofiled("flights") == []


def test_the_first_record_of_a_batch_stays(story: Any, ledger: Ledger) -> None:
    story.arrive("a")
    first = profiled(ledger, "a", 0, diagnosis=BROKEN)
    again = profiled(ledger, "a", 5, diagnosis=None)
    assert again == first
    assert again.diagnosis == BROKEN


def test_profiled_batches_are_read_newest_first_and_none_from_the_future(story: Any, ledger: Ledger) -> None:
    for day, name in enumerate("abc"):
        story.arrive(name)
        profiled(ledger, name, day)
    assert [row.batch_id for row in ledger.profiles("flights")] == ["c", "b", "a"]
    assert [row.rows_kept for row in ledger.profiles("flights")] == [9, 9, 9]
    assert [row.batch_id for row in ledger.profiles("flights", until=DAY + timedelta(days=1))] == ["b", "a"]
    assert [row.batch_id for row in ledger.profiles("flights", since=DAY + timedelta(days=1))] == ["c", "b"]
    assert [row.batch_id for row in ledger.profiles("flights", limit=1)] == ["c"]
