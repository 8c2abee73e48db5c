"""Why, lineage and status: answered from the ledger alone."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event

from ratoon.errors import LedgerError, NotFoundError
from ratoon.ledger import Ledger


def score(ledger: Ledger, version: int, batch_id: str) -> Any:
    as_of = datetime(2013, 2, 1, tzinfo=UTC)
    return ledger.record_scoring("delays", version, batch_id, n_rows=9, lake_version=4, as_of=as_of)


def test_why_tells_the_decision_its_cause_and_its_outcome(story: Any, ledger: Ledger) -> None:
    promoted = story.promoted()
    waited = story.decide(story.arrive("last"), rows=0)
    newest, oldest = ledger.why("delays")
    assert (newest.decision, newest.event.data["batch_id"]) == (waited, "last")
    assert (newest.retrain, newest.evaluation, newest.promotion) == (None, None, None)
    assert oldest.retrain == promoted
    assert oldest.evaluation == story.evaluation
    assert oldest.promotion == ledger.promotions("delays")[0]
    assert len(ledger.why("delays", limit=1)) == 1


def test_lineage_goes_back_to_files_and_forward_to_predictions(story: Any, ledger: Ledger) -> None:
    story.arrive("labels-1", role="labels")
    story.promoted()
    story.promoted()
    score(ledger, 1, "day-3")
    score(ledger, 2, "day-9")
    ledger.rollback("delays", actor="me", reason="worse")
    first = ledger.lineage("delays", 1)
    assert ledger.lineage("delays") == first
    assert (first.version, first.is_champion, first.artifact_digest) == (1, True, "a" * 64)
    assert [(batch.batch_id, batch.role, batch.digest) for batch in first.batches] == [
        ("labels-1", "labels", "digest of labels-1"),
        ("day-2", "rows", "digest of day-2"),
    ]
    assert first.event["data"]["batch_id"] == "day-2"
    assert first.decision["reason"].startswith("new_rows fired")
    assert (first.code, first.params) == ({"features": "f" * 64}, {"max_depth": 6})
    assert (first.evaluation["verdict"], first.evaluation["reasons"]) == ("promote", ["auc 0.70 against 0.68"])
    moves = [(move.revision, move.kind) for move in first.promotions]
    assert moves == [(1, "promotion"), (3, "rollback")]
    assert first.promotions == [move for move in ledger.promotions("delays") if move.version == 1]
    assert [(scored.batch_id, scored.n_rows) for scored in first.scorings] == [("day-3", 9)]
    assert len(ledger.lineage("delays", 2).batches) == 3


def test_only_files_that_were_in_the_lake_when_it_was_read_stand_behind_a_version(story: Any, ledger: Ledger) -> None:
    claim = story.claim(story.dispatched())
    data = story.artifact.data | {"rows_version": 0, "labels_version": None}
    artifact = story.artifact.model_copy(update={"data": data})
    ledger.report_trained(claim.retrain.retrain_id, claim.fence, artifact=artifact)
    judge = story.claim(claim.retrain.retrain_id, "evaluate")
    ledger.report_evaluated(claim.retrain.retrain_id, judge.fence, evaluation=story.evaluation)
    ledger.conclude(claim.retrain.retrain_id)
    assert ledger.lineage("delays").batches == []


def test_lineage_is_one_query(story: Any, ledger: Ledger) -> None:
    story.promoted()
    statements: list[str] = []
    sqlalchemy_event.listen(ledger.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    ledger.lineage("delays")
    assert len([statement for statement in statements if not statement.startswith("BEGIN")]) == 1


@pytest.mark.parametrize("version", [None, 7])
def test_lineage_of_nothing_is_not_found(story: Any, ledger: Ledger, version: int | None) -> None:
    with pytest.raises(NotFoundError):
        ledger.lineage("delays", version)


def test_status_shows_every_model_and_dataset(story: Any, ledger: Ledger) -> None:
    ledger.ensure_model("young", "flights")
    story.promoted()
    active = story.requested()
    claim = story.claim_batch("bad")
    ledger.refuse_batch("bad", claim.fence, error={"code": "RT-SCHEMA"})
    status = ledger.status()
    delays, young = status.models
    assert (delays.champion_version, delays.pending_events, status.unsent) == (1, 0, 1)
    assert delays.active_retrain is not None and delays.active_retrain.retrain_id == active
    assert delays.last_decision is not None and delays.last_decision.outcome == "retrain"
    assert (young.champion_version, young.pending_events, young.last_decision) == (None, 2, None)
    (flights,) = status.datasets
    assert (flights.n_batches, flights.n_refused, flights.rows_kept, flights.rows_quarantined) == (2, 1, 18, 2)


def test_a_scoring_is_recorded_once_per_model_and_batch(story: Any, ledger: Ledger) -> None:
    first = score(ledger, 1, "day-3")
    assert score(ledger, 2, "day-3") == first
    assert ledger.scorings("delays") == [first]


def test_a_cohorts_performance_follows_its_labels(story: Any, ledger: Ledger) -> None:
    for value, n_matured in ((None, 0), (0.7, 9)):
        ledger.record_performance(
            "delays",
            "day-3",
            as_of=datetime(2013, 2, 1, tzinfo=UTC),
            metric="auc",
            value=value,
            n_rows=9,
            n_matured=n_matured,
            version=1,
            details={"low": 0.6},
        )
    (cohort,) = ledger.performance("delays")
    assert (cohort.cohort, cohort.value, cohort.n_matured, cohort.details) == ("day-3", 0.7, 9, {"low": 0.6})


def test_a_drift_report_measured_again_replaces_the_first(story: Any, ledger: Ledger) -> None:
    for score_ in (0.1, 0.2):
        ledger.record_drift("delays", "event-1", as_of=datetime(2013, 2, 1, tzinfo=UTC), report={"worst": score_})
    assert [found.report for found in ledger.drift("delays")] == [{"worst": 0.2}]


def test_a_model_keeps_its_dataset(story: Any, ledger: Ledger) -> None:
    assert ledger.ensure_model("delays", "flights") == ledger.model("delays")
    with pytest.raises(LedgerError, match="name of its own"):
        ledger.ensure_model("delays", "taxis")
    with pytest.raises(NotFoundError):
        ledger.model("unknown")
