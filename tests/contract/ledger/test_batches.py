"""A file's content is taken exactly once, and no row of it is lost."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from ratoon.errors import ConflictError, FencedError, LedgerError, NotFoundError
from ratoon.ledger import Ledger
from ratoon.ledger.records import BatchClaim
from ratoon.ledger.states import BatchState

COUNTS: dict[str, Any] = {
    "as_of": datetime(2013, 1, 2, tzinfo=UTC),
    "rows_in": 10,
    "rows_kept": 9,
    "rows_quarantined": 1,
    "lake_version": 1,
    "quarantine_version": 1,
    "event_time_min": None,
    "event_time_max": None,
    "bytes": 100,
    "contract_digest": "c" * 64,
}


def test_an_ingested_batch_has_one_event(story: Any, ledger: Ledger) -> None:
    event = story.arrive("a")
    assert (event.kind, event.subject, event.data["rows_kept"]) == ("batch.ingested", "flights", 9)
    assert ledger.pending_events("delays") == [event]
    found = ledger.batch("a")
    assert found is not None and (found.state, found.rows_in) == (BatchState.INGESTED, 10)


def test_a_label_batch_is_told_as_labels_arrived(story: Any, ledger: Ledger) -> None:
    assert story.arrive("a", role="labels").kind == "labels.arrived"
    assert [batch.batch_id for batch in ledger.batches("flights", role="labels")] == ["a"]
    assert ledger.batches("flights", role="rows") == []


def test_a_second_copy_of_a_batch_changes_nothing(story: Any, ledger: Ledger) -> None:
    story.arrive("a")
    assert story.claim_batch("a") == BatchClaim(status="done", fence=0)
    ledger.note_duplicate("a", "file:///inbox/again.csv")
    assert len(ledger.pending_events("delays")) == 1
    assert ledger.audit_trail("a")[0].action == "batch.duplicate"


def test_a_batch_that_somebody_ingests_is_held_until_the_lease_ends(story: Any, ledger: Ledger, clock: Any) -> None:
    first = story.claim_batch("a", owner="one", lease_s=60)
    clock.pass_by(59.9)
    assert story.claim_batch("a", owner="two").status == "held"
    assert ledger.pending_batches_exist("flights")
    clock.pass_by(0.1)
    second = story.claim_batch("a", owner="two")
    assert (second.status, second.fence) == ("claimed", first.fence + 1)


def test_a_holder_that_was_taken_over_can_not_finish(story: Any, ledger: Ledger, clock: Any) -> None:
    first = story.claim_batch("a")
    clock.pass_by(61)
    second = story.claim_batch("a")
    for end in (
        lambda: ledger.finish_batch("a", first.fence, **COUNTS),
        lambda: ledger.refuse_batch("a", first.fence, error={"code": "RT-DATA"}),
    ):
        with pytest.raises(FencedError):
            end()
    ledger.finish_batch("a", second.fence, **COUNTS)
    with pytest.raises(FencedError):
        ledger.finish_batch("a", first.fence, **COUNTS)
    assert len(ledger.pending_events("delays")) == 1


def test_a_holder_may_say_twice_that_it_finished(story: Any, ledger: Ledger) -> None:
    claim = story.claim_batch("a")
    assert ledger.finish_batch("a", claim.fence, **COUNTS) == ledger.finish_batch("a", claim.fence, **COUNTS)
    assert not ledger.pending_batches_exist("flights")


def test_a_batch_that_loses_rows_is_not_accepted(story: Any, ledger: Ledger) -> None:
    claim = story.claim_batch("a")
    with pytest.raises(LedgerError, match="lost rows"):
        ledger.finish_batch("a", claim.fence, **(COUNTS | {"rows_kept": 8}))
    assert ledger.pending_events("delays") == []


def test_a_refused_batch_asks_for_no_decision_and_may_come_again(story: Any, ledger: Ledger) -> None:
    claim = story.claim_batch("a")
    event = ledger.refuse_batch("a", claim.fence, error={"code": "RT-SCHEMA"})
    assert (event.kind, event.data["error"]) == ("batch.refused", {"code": "RT-SCHEMA"})
    assert ledger.pending_events("delays") == []
    again = story.claim_batch("a")
    assert (again.status, again.fence) == ("claimed", 2)
    assert ledger.refuse_batch("a", again.fence, error={"code": "RT-SCHEMA"}).event_id != event.event_id


def test_the_same_content_under_another_id_is_a_conflict(story: Any, ledger: Ledger) -> None:
    story.arrive("a")
    with pytest.raises(ConflictError):
        ledger.claim_batch(
            batch_id="b",
            dataset="flights",
            role="rows",
            digest="digest of a",
            source_uri="file:///x",
            as_of=COUNTS["as_of"],
            owner="one",
            lease_s=60,
        )


def test_a_batch_that_nobody_claimed_can_not_be_finished(story: Any, ledger: Ledger) -> None:
    with pytest.raises(NotFoundError):
        ledger.finish_batch("a", 1, **COUNTS)


def test_of_many_that_claim_at_once_one_gets_the_batch(
    story: Any, open_ledger: Callable[[], Ledger], race: Callable[[Sequence[Callable[[], object]]], list[Any]]
) -> None:
    stories = [type(story)(open_ledger()) for _ in range(4)]
    claims = race([lambda one=one: one.claim_batch("a") for one in stories])
    assert sorted(claim.status for claim in claims) == ["claimed", "held", "held", "held"]
