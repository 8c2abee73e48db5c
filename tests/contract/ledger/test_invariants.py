"""The check-up finds each way in which a ledger can be wrong, and nothing in a ledger that is right."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from ratoon.errors import ConflictError
from ratoon.ledger import Ledger

BROKEN = {
    "a decision without its retrain": ("I2", "DELETE FROM retrain"),
    "a retrain of a decision to wait": ("I2", "UPDATE decision SET outcome = 'wait'"),
    "an artifact of another fence": ("I3", "UPDATE artifact SET fence = 0"),
    "no artifact": ("I4", "DELETE FROM artifact"),
    "no evaluation": ("I4", "DELETE FROM evaluation"),
    "no promotion": ("I4", "DELETE FROM promotion"),
    "a promotion of a rejected retrain": ("I4", "UPDATE retrain SET state = 'REJECTED'"),
    "a gap in the revisions": ("I5", "UPDATE promotion SET revision = 2"),
    "a champion that nobody promoted": ("I5", "UPDATE model SET champion_version = 2"),
    "a gap in the versions": ("I5", "UPDATE model_version SET version = 2"),
    "an evaluation under an old fence": ("I6", "UPDATE evaluation SET fence = 1"),
    "a terminal state that changed": ("I8", "UPDATE retrain SET state = 'FAILED'"),
    "an ingested batch that counts no rows": ("I10", "UPDATE batch SET rows_in = NULL"),
    "an audit entry that was edited": (
        "audit",
        "UPDATE audit SET actor = 'somebody else' WHERE action = 'champion.changed'",
    ),
    "an audit entry that is gone": ("audit", "DELETE FROM audit WHERE action = 'champion.changed'"),
    "the newest audit entry is gone": ("audit", "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_ledger_is_found(ledger: Ledger, plain_story: Any, broken: str) -> None:
    invariant, statement = BROKEN[broken]
    plain_story.promoted()
    assert ledger.check_invariants() == []
    with ledger.engine.begin() as connection:
        connection.execute(text(statement))
    assert invariant in {violation.invariant for violation in ledger.check_invariants()}


@pytest.mark.parametrize(("begin", "stage"), [("requested", "train"), ("trained", "evaluate")])
def test_a_retrain_that_no_message_asks_for_is_found(ledger: Ledger, plain_story: Any, begin: str, stage: str) -> None:
    getattr(plain_story, begin)()
    with ledger.engine.begin() as connection:
        connection.execute(text("DELETE FROM outbox WHERE stage = :stage"), {"stage": stage})
    assert [violation.invariant for violation in ledger.check_invariants()] == ["I7"]


@pytest.mark.parametrize("held_up", ["running", "evaluated", "cancelling"])
def test_what_nobody_sweeps_is_found_after_a_grace(ledger: Ledger, plain_story: Any, clock: Any, held_up: str) -> None:
    if held_up == "evaluated":
        plain_story.evaluated()
    else:
        claim = plain_story.claim(plain_story.dispatched())
        if held_up == "cancelling":
            ledger.request_cancel(claim.retrain.retrain_id, "me")
    assert ledger.check_invariants(now=clock.now + timedelta(seconds=100)) == []
    late = clock.now + timedelta(seconds=60 + 121)
    assert [violation.invariant for violation in ledger.check_invariants(now=late)] == ["I7"]
    ledger.reconcile(now=late)
    clock.pass_by(200)
    assert ledger.check_invariants() == []


def test_a_state_that_a_bug_wrote_after_the_end_is_found_in_the_audit(ledger: Ledger, plain_story: Any) -> None:
    retrain = plain_story.promoted()
    with ledger.writing() as tx:
        tx.audit("retrain.RUNNING", retrain.retrain_id)
    assert "I8" in {violation.invariant for violation in ledger.check_invariants()}


def test_the_database_itself_refuses_a_second_active_retrain_and_lost_rows(ledger: Ledger, plain_story: Any) -> None:
    first = plain_story.requested()
    plain_story.arrive("a")
    columns = "SELECT 'other', 999, 'other', model, dataset, state, as_of, queue, spec_digest, \"order\", deadline_s, "
    columns += "max_attempts, attempt, fence, requested_at, updated_at FROM retrain"
    insert = (
        "INSERT INTO retrain (retrain_id, seq, decision_id, model, dataset, state, as_of, queue, spec_digest, "
        '"order", deadline_s, max_attempts, attempt, fence, requested_at, updated_at) '
    )
    for statement in (insert + columns, "UPDATE batch SET rows_kept = 0"):
        with pytest.raises(ConflictError), ledger.writing() as tx:
            tx.connection.execute(text(statement))
    assert [retrain.retrain_id for retrain in ledger.retrains()] == [first]
