"""The loop's rules, each where breaking it would show."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from tests.integration.loop.conftest import MODEL, START, orders

from ratoon.errors import BackendError, RefusedError
from ratoon.identity import derive_id
from ratoon.loop import ingest_arrivals, monitor_model, note_passed_time, profile_pending, request_retrain

pytestmark = pytest.mark.integration

BY_AGE = MODEL.replace(
    "- {kind: new_rows, rows: 900}", "- {kind: new_rows, rows: 900}\n      - {kind: max_age, age: 10d}"
)


def take_in(shop) -> list:
    ingest_arrivals(shop.app, "orders")
    profile_pending(shop.app, "orders")
    return list(monitor_model(shop.app, "returns"))


def arrive(shop, *weeks: int) -> list:
    for week in weeks:
        shop.land_week(week)
    return take_in(shop)


def versions_by_week(shop) -> list[tuple[str, list[int]]]:
    predictions = shop.app.lake.scan_predictions("returns").collect()
    week = pl.col("order_id").str.slice(0, 3).alias("week")
    return predictions.group_by(week).agg(pl.col("version").unique()).sort("week").rows()


def live(shop) -> None:
    """Let the wall clock decide what time it is."""
    object.__setattr__(shop.app, "settings", shop.app.settings.model_copy(update={"clock": "wall"}))


def test_a_batch_that_starts_a_retrain_is_predicted_by_the_champion_before_it(make_shop) -> None:
    shop = make_shop(model=BY_AGE)
    steps = arrive(shop, 0, 1, 2, 3, 4)
    started_by = [step.kind for step in steps if step.retrain_id]
    assert started_by[:2] == ["labels.arrived", "batch.ingested"]
    assert versions_by_week(shop)[:3] == [("w02", [1]), ("w03", [1]), ("w04", [2])]


def test_decisions_and_predictions_of_a_replay_are_as_of_the_event(shop) -> None:
    arrive(shop, 0, 1, 2)
    events = {batch.batch_id: batch.as_of for batch in shop.app.ledger.batches("orders")}
    decisions = shop.app.ledger.decisions("returns")
    assert sorted(decision.as_of for decision in decisions) == sorted(events.values())
    predicted = shop.app.lake.scan_predictions("returns").select("_batch", "_as_of").unique().collect()
    assert predicted.height == 1
    assert all(at == events[batch] for batch, at in predicted.rows())


def test_a_label_counts_from_the_time_at_which_it_was_known(shop) -> None:
    arrive(shop, 0, 1)
    made = orders(2)
    shop.land_orders(2, made)
    # A day's outcomes too early: those of the last day's orders are in the file, but not known yet.
    shop.land_outcomes(2, made, after=timedelta(minutes=1))
    steps = take_in(shop)

    known = made.filter(pl.col("placed") + timedelta(days=1) <= START + timedelta(weeks=3, minutes=1)).height
    [cohort] = shop.app.ledger.performance("returns")
    assert 100 < known < 500
    assert (cohort.n_rows, cohort.n_matured) == (500, known)
    decision = shop.app.ledger.decision("returns", steps[-1].event_id)
    assert decision.signals.new_labelled_rows == known
    assert decision.signals.labelled_rows == 1000 + known


def test_a_row_without_a_label_is_in_no_metric(shop) -> None:
    arrive(shop, 0, 1)
    made = orders(2)
    shop.land_orders(2, made)
    shop.land_outcomes(2, made.head(250), after=timedelta(days=2))
    take_in(shop)
    [half] = shop.app.ledger.performance("returns")
    assert (half.n_rows, half.n_matured) == (500, 250)

    labels = shop.app.lake.scan_predictions("returns").collect().join(made, on="order_id").head(250)
    ranks = labels["score"].rank()
    n_bad, n = labels["returned"].sum(), labels.height
    by_hand = (ranks.filter(labels["returned"]).sum() - n_bad * (n_bad + 1) / 2) / (n_bad * (n - n_bad))
    assert half.value == pytest.approx(by_hand)


def test_drift_is_measured_against_what_the_champion_learned_from(make_shop) -> None:
    shop = make_shop()
    arrive(shop, 0, 1)
    for week in (2, 3):
        shifted = orders(week).with_columns(amount=pl.col("amount") / 4 + 5, items=pl.lit(1))
        shop.land_orders(week, shifted)
        shop.land_outcomes(week, shifted, after=timedelta(days=1, minutes=1))
    drifts = [step.drift for step in take_in(shop) if step.drift]
    assert [(drift["n_rows_reference"], drift["n_rows_current"]) for drift in drifts] == [(1000, 500), (1000, 1000)]
    assert all("amount" in drift["drifted"] for drift in drifts)
    decided = shop.app.ledger.decisions("returns")
    assert sum("amount" in (row.signals.drift.drifted if row.signals.drift else ()) for row in decided) == 2


def test_batches_from_before_the_champions_window_are_no_news(make_shop) -> None:
    recent = MODEL.replace("holdout: 7d", "holdout: 7d, windows: [8d]").replace("rows: 900", "rows: 1900")
    shop = make_shop(model=recent)
    steps = arrive(shop, 0, 1, 2, 3, 4)
    [version] = shop.app.ledger.versions("returns")
    weeks = {batch.batch_id: batch.as_of for batch in shop.app.ledger.batches("orders", role="rows")}
    learned = sorted(weeks[batch] for batch in version.data["batches"])
    assert START + timedelta(weeks=1) not in learned, "the first week lies before the window"
    [drift] = [step.drift for step in steps if step.drift]
    assert drift["n_rows_current"] == 500


def test_in_a_replay_the_next_event_waits_for_the_retrain_that_the_last_one_started(make_shop) -> None:
    sent: list[Any] = []
    shop = make_shop(publish=sent.append)

    def work(line: str) -> None:
        assert line.startswith("waits for retrain-")
        for message in sent[:]:
            sent.remove(message)
            shop.work(message)

    for week in (0, 1, 2):
        shop.land_week(week)
    ingest_arrivals(shop.app, "orders")
    profile_pending(shop.app, "orders")
    list(monitor_model(shop.app, "returns", on_step=work))
    assert versions_by_week(shop) == [("w02", [1])]


def test_in_a_replay_the_first_event_waits_for_a_retrain_that_an_earlier_run_left(make_shop) -> None:
    sent: list[Any] = []
    shop = make_shop(publish=sent.append)
    shop.land_week(0)
    shop.land_week(1)
    ingest_arrivals(shop.app, "orders")
    steps = monitor_model(shop.app, "returns")
    while next(steps).retrain_id is None:
        pass
    steps.close()  # the stack stops here
    shop.land_week(2)
    ingest_arrivals(shop.app, "orders")
    profile_pending(shop.app, "orders")

    list(monitor_model(shop.app, "returns", on_step=lambda _: [shop.work(sent.pop()) for _ in sent[:]]))

    assert versions_by_week(shop) == [("w02", [1])]


def test_live_events_do_not_wait_for_a_retrain(make_shop) -> None:
    shop = make_shop(publish=lambda message: None)
    live(shop)
    steps = arrive(shop, 0, 1, 2)
    assert len(steps) == 6
    assert shop.app.ledger.active_retrain("returns") is not None
    assert len(shop.app.ledger.retrains("returns")) == 1


def test_without_a_broker_the_decision_stands_and_its_message_waits(make_shop) -> None:
    def down(message: Any) -> None:
        raise BackendError("the broker does not answer")

    shop = make_shop(publish=down)
    live(shop)
    said: list[str] = []
    for week in (0, 1):
        shop.land_week(week)
    ingest_arrivals(shop.app, "orders")
    steps = list(monitor_model(shop.app, "returns", on_step=said.append))

    [retrain_id] = [step.retrain_id for step in steps if step.retrain_id]
    assert len(steps) == 4
    assert any("outbox" in line for line in said)
    assert [message.retrain_id for message in shop.app.ledger.unsent()] == [retrain_id]
    assert shop.app.ledger.retrain(retrain_id).state == "REQUESTED"

    # Once it answers again, whoever sweeps first sends what waited.
    shop.app.ledger.relay(shop.work)
    assert shop.app.ledger.retrain(retrain_id).state == "PROMOTED"


def test_a_refused_request_leaves_nothing_to_decide_about(shop) -> None:
    shop.land_orders(0, orders(0))
    ingest_arrivals(shop.app, "orders")
    list(monitor_model(shop.app, "returns"))
    with pytest.raises(RefusedError):
        request_retrain(shop.app, "returns", reason="now", actor="ada", event_id="event-1")
    assert shop.app.ledger.pending_events("returns") == []


def test_a_request_is_decided_about_although_a_promotion_comes_in_between(shop, monkeypatch) -> None:
    arrive(shop, 0, 1, 2, 3)
    ledger, decide = shop.app.ledger, shop.app.ledger.decide

    def decide_after_a_rollback(*args: Any, **values: Any) -> Any:
        monkeypatch.undo()
        ledger.rollback("returns", to_version=1, actor="ada", reason="odd")
        return decide(*args, **values)

    monkeypatch.setattr(ledger, "decide", decide_after_a_rollback)
    event_id = derive_id("event", "manual.requested", "ada's wish")
    row = request_retrain(shop.app, "returns", reason="new shop", actor="ada", event_id=event_id)
    assert row.outcome == "retrain"
    assert row.signals.champion.version == 1


def test_time_passes_once_a_day_and_only_live(make_shop) -> None:
    shop = make_shop(model=BY_AGE)
    arrive(shop, 0, 1)
    spec, late = shop.app.model("returns"), START + timedelta(days=200)
    assert not note_passed_time(shop.app, spec, now=late)
    live(shop)
    for hours in (0, 1, 23, 24, 25, 48):
        assert note_passed_time(shop.app, spec, now=late + timedelta(hours=hours))
    days = [event.data["day"] for event in shop.app.ledger.pending_events("returns")]
    assert len(days) == len(set(days)) == 3
