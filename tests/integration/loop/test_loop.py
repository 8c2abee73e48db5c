"""The loop on made data: arrivals, a first model, predictions before labels, performance after, a retrain, a rollback."""

from datetime import timedelta

import polars as pl
import pytest
from tests.integration.loop.conftest import MODEL, START

from ratoon.errors import RefusedError
from ratoon.identity import derive_id
from ratoon.loop import ingest_arrivals, monitor_model, note_passed_time, profile_pending, request_retrain

pytestmark = pytest.mark.integration


def arrive(shop, *weeks: int) -> list:
    for week in weeks:
        shop.land_week(week)
    ingest_arrivals(shop.app, "orders")
    profile_pending(shop.app, "orders")
    return list(monitor_model(shop.app, "returns"))


@pytest.fixture
def grown(shop):
    """Four weeks in: a first champion after two, a second after four."""
    shop.steps = arrive(shop, 0, 1, 2, 3)
    return shop


def test_new_rows_make_a_first_model_and_then_the_next_one(grown) -> None:
    promotions = grown.app.ledger.promotions("returns")
    assert [(p.revision, p.version, p.kind) for p in promotions] == [(1, 1, "promotion"), (2, 2, "promotion")]
    retrains = [step for step in grown.steps if step.retrain_id]
    assert [step.kind for step in retrains] == ["labels.arrived", "labels.arrived"]
    assert all("new_rows fired" in step.decision["reason"] for step in retrains)
    assert grown.app.ledger.check_invariants() == []
    assert grown.app.ledger.replay_decisions() == []


def test_every_event_is_decided_about_once(grown) -> None:
    assert len(grown.steps) == 8
    assert list(monitor_model(grown.app, "returns")) == []
    assert len(grown.app.ledger.decisions("returns")) == 8


def test_a_batch_is_predicted_by_the_champion_of_its_time_before_its_labels_are_known(grown) -> None:
    predictions = grown.app.lake.scan_predictions("returns").collect()
    weeks = predictions.group_by(pl.col("order_id").str.slice(0, 3)).agg(pl.col("version").unique()).sort("order_id")
    assert weeks.rows() == [("w02", [1]), ("w03", [1])]
    assert predictions["score"].null_count() == 0
    assert predictions.height == 1000


def test_performance_is_measured_on_matured_rows_of_each_cohort(grown) -> None:
    cohorts = grown.app.ledger.performance("returns")
    assert [(row.n_rows, row.n_matured) for row in cohorts] == [(500, 500), (500, 500)]
    assert all(row.value > 0.7 for row in cohorts)


def test_training_sees_no_label_that_became_known_later(grown) -> None:
    for version in grown.app.ledger.versions("returns"):
        retrain = grown.app.ledger.retrain(version.retrain_id)
        contract = grown.app.dataset("orders").contract
        known = grown.app.lake.labelled("orders", contract, as_of=retrain.as_of).collect()
        assert version.data["n_rows"] == known.height
        assert known["known_at"].max() <= retrain.as_of


def test_a_rollback_is_a_promotion_of_its_own_and_the_next_batch_is_predicted_by_it(grown) -> None:
    promotion = grown.app.ledger.rollback("returns", to_version=None, actor="ada", reason="returns look odd")
    assert (promotion.revision, promotion.version, promotion.previous_version, promotion.kind) == (3, 1, 2, "rollback")
    steps = arrive(grown, 4)
    assert steps[0].predictions["version"] == 1
    assert grown.app.ledger.check_invariants() == []


def test_a_person_may_ask_for_a_retrain_and_asking_twice_is_asking_once(grown) -> None:
    event_id = derive_id("event", "manual.requested", "ada's wish")
    first = request_retrain(grown.app, "returns", reason="new shop", actor="ada", event_id=event_id)
    second = request_retrain(grown.app, "returns", reason="new shop", actor="ada", event_id=event_id)
    assert first.outcome == "retrain"
    assert second.decision_id == first.decision_id
    retrain = grown.app.ledger.retrain(first.retrain_id)
    evaluation = grown.app.ledger.evaluation(first.retrain_id)
    # The champion has seen every labelled row, so nothing is left to judge on: the gate refuses, and says so.
    assert retrain.state == "REJECTED"
    assert any("rows" in reason for reason in evaluation.reasons)


def test_nobody_can_ask_for_a_model_before_there_is_a_label(shop) -> None:
    with pytest.raises(RefusedError, match="no labelled row"):
        request_retrain(shop.app, "returns", reason="now", actor="ada", event_id="event-1")


def test_lineage_goes_back_to_file_digests_and_forward_to_predictions(grown) -> None:
    lineage = grown.app.ledger.lineage("returns", version=1)
    digests = {batch.digest for batch in lineage.batches}
    known = {
        batch.digest
        for batch in grown.app.ledger.batches("orders")
        if batch.as_of <= START + timedelta(weeks=2, days=2)
    }
    assert digests
    assert digests <= known
    assert [scoring.n_rows for scoring in lineage.scorings] == [500, 500]


def test_a_champion_that_grew_too_old_is_an_event_although_nothing_arrives(make_shop) -> None:
    aged = MODEL.replace(
        "- {kind: new_rows, rows: 900}", "- {kind: new_rows, rows: 900}\n      - {kind: max_age, age: 60d}"
    )
    shop = make_shop(model=aged)
    arrive(shop, 0, 1)
    spec, live = shop.app.model("returns"), shop.app.settings.model_copy(update={"clock": "wall"})
    object.__setattr__(shop.app, "settings", live)
    assert not note_passed_time(shop.app, spec, now=START + timedelta(days=30))
    late = START + timedelta(days=200)
    assert note_passed_time(shop.app, spec, now=late)
    assert note_passed_time(shop.app, spec, now=late + timedelta(hours=1))
    assert [event.kind for event in shop.app.ledger.pending_events("returns")] == ["clock.passed"]
