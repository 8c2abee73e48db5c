"""Watching on made data: broken batches, references that move, estimates before labels, and their alerts."""

from datetime import timedelta

import polars as pl
import pytest
from tests.integration.loop.conftest import DATASET, MODEL, START, orders

from ratoon.loop import ingest_arrivals, monitor_model, profile_pending
from ratoon.loop.decay import change_of, cohorts_of, forecasts_of, maturity_of, slices_of
from ratoon.loop.references import windows

pytestmark = pytest.mark.integration

WATCHED = MODEL + "  monitoring:\n    slices: [shop]\n"


def step(shop) -> list:
    ingest_arrivals(shop.app, "orders")
    profile_pending(shop.app, "orders")
    return list(monitor_model(shop.app, "returns"))


def weeks(shop, *numbers: int) -> list:
    for number in numbers:
        shop.land_week(number)
    return step(shop)


def broken(week: int) -> pl.DataFrame:
    """Amounts in thousands: every row breaks the rule that an order is worth its items."""
    return orders(week).with_columns(pl.col("amount") / 1000)


@pytest.fixture
def grown(make_shop):
    """Six weeks in, with a champion."""
    shop = make_shop(model=WATCHED.replace("rows: 900", "rows: 1900"))
    shop.steps = weeks(shop, 0, 1, 2, 3, 4, 5)
    assert [promotion.version for promotion in shop.app.ledger.promotions("returns")] == [1]
    return shop


def test_a_broken_batch_is_named_alerted_once_and_holds_retrains_until_a_clean_one(grown) -> None:
    ledger = grown.app.ledger
    grown.land_orders(6, broken(6))
    grown.land_outcomes(5, orders(5), after=timedelta(weeks=1, days=2))
    step(grown)
    newest = ledger.profiles("orders", limit=1)[0]
    assert newest.diagnosis["verdict"] == "broken"
    assert "unit_change" in {finding["cause"] for finding in newest.diagnosis["findings"]}
    held = ledger.decisions("returns", limit=1)[0]
    assert [guard.passed for guard in held.decision.guards if guard.kind == "data_hold"] == [False]
    [alert] = [alert for alert in ledger.alerts() if alert.dataset == "orders"]
    assert (alert.kind, alert.severity) == ("data_broken", "critical")
    assert alert.incident.startswith("incident-")

    weeks(grown, 7)
    assert ledger.profiles("orders", limit=1)[0].diagnosis["verdict"] == "clean"
    assert [alert for alert in ledger.alerts() if alert.kind == "data_broken"] == []
    after = ledger.decisions("returns", limit=1)[0]
    assert [guard.passed for guard in after.decision.guards if guard.kind == "data_hold"] == [True]
    assert ledger.check_invariants() == []
    assert ledger.replay_decisions() == []


def test_a_file_that_lost_a_column_is_refused_and_people_are_told_which(shop) -> None:
    made = orders(0).drop("amount").rename({"shop": "store"})
    shop.land_orders(0, made)
    ingest_arrivals(shop.app, "orders")
    [alert] = shop.app.ledger.alerts()
    assert (alert.kind, alert.severity, alert.dataset) == ("data_broken", "critical", "orders")
    assert alert.evidence["causes"] == ["schema_change"]
    assert all(name in alert.text for name in ("amount", "shop"))


def test_a_metric_is_estimated_before_labels_and_checked_against_them_afterwards(grown) -> None:
    cohorts = cohorts_of(grown.app, grown.app.model("returns"))
    estimates = [row.details["estimate"] for row in cohorts]
    assert all(found["metric"] == "auc" and found["low"] <= found["value"] <= found["high"] for found in estimates)
    assert [found["past_error"]["n_cohorts"] for found in estimates] == [0, 1]
    assert all(abs(row.details["estimate"]["value"] - row.value) < 0.1 for row in cohorts)

    grown.land_orders(6, orders(6))
    step(grown)
    waiting = cohorts_of(grown.app, grown.app.model("returns"))[-1]
    assert (waiting.value, waiting.n_matured, waiting.n_rows) == (None, 0, 500)
    assert waiting.details["estimate"]["past_error"]["n_cohorts"] == 2


def test_labels_that_come_before_their_rows_are_measured_when_the_rows_are_predicted(grown) -> None:
    grown.land_outcomes(6, orders(6), after=-timedelta(days=1))
    step(grown)
    grown.land_orders(6, orders(6))
    steps = step(grown)
    # Each outcome is known a day after its order, so those of the last day are not known yet.
    [found] = steps[-1].performance
    assert 400 < found["n_matured"] < 500
    assert found["value"] > 0.7
    assert cohorts_of(grown.app, grown.app.model("returns"))[-1].n_matured == found["n_matured"]


def test_cohorts_tell_when_labels_come_and_where_the_model_is_worse(grown) -> None:
    grown.land_orders(6, orders(6))
    step(grown)
    spec = grown.app.model("returns")
    cohorts = cohorts_of(grown.app, spec)
    assert list(forecasts_of(spec, *maturity_of(cohorts))) == [cohorts[-1].cohort]
    assert {found.value for found in slices_of(spec, cohorts).slices} == {"north", "south"}
    change = change_of(spec, cohorts)
    assert (change.judged, change.alarm) == (False, False)


def test_a_moved_reference_gets_bins_of_its_own_and_an_unmoved_one_is_a_sum(make_shop, monkeypatch) -> None:
    shop = make_shop()
    for week in range(2):
        shop.land_week(week)
    for week in range(2, 5):
        moved = orders(week).with_columns(pl.col("amount") * 0.1 + 900)
        shop.land_orders(week, moved)
        shop.land_outcomes(week, moved, after=timedelta(days=1, minutes=1))
    steps = step(shop)
    binnings = {report.drift["binning"] for report in steps if report.drift}
    assert len(binnings) == 2
    champion = shop.app.ledger.champion("returns")
    found = windows(shop.app, shop.app.model("returns"), champion, as_of=START + timedelta(weeks=8))
    row = found.reference.filter(pl.col("column") == "amount").row(0, named=True)
    assert max(row["counts"]) < 0.2 * row["n"]
    assert row["n"] == champion.data["n_rows"]

    stored = shop.app.lake.scan_references("returns").select("_batch").unique().collect().height
    monkeypatch.setattr("ratoon.loop.references.batch_rows", None)
    windows(shop.app, shop.app.model("returns"), champion, as_of=START + timedelta(weeks=8))
    assert shop.app.lake.scan_references("returns").select("_batch").unique().collect().height == stored


def test_what_reports_spend_of_the_quarter_stays_below_its_budget(grown) -> None:
    weeks(grown, 6, 7, 8)
    spent = [alpha for _, alpha in grown.app.ledger.drift_alphas("returns", since=START, except_event="")]
    assert len(spent) >= 4
    assert 0 < sum(spent) < 0.05
    assert all(alpha <= 0.01 for alpha in spent)


def test_a_seasonal_reference_holds_the_batches_of_the_same_weekday(make_shop) -> None:
    seasonal = WATCHED + "    drift: {reference: {kind: same_weekday, weeks: 3}}\n"
    shop = make_shop(model=seasonal)
    weeks(shop, 0, 1, 2, 3, 4, 5)
    champion = shop.app.ledger.champion("returns")
    shop.land_orders(6, orders(6))
    step(shop)
    found = windows(shop.app, shop.app.model("returns"), champion, as_of=START + timedelta(weeks=8))
    assert found.reference["n"].max() <= 3 * 500
    assert found.current["n"].max() == 500


def test_a_contract_that_gains_a_column_gets_new_bins(make_shop) -> None:
    weeks(make_shop(), 0, 1, 2)
    shop = make_shop(
        dataset=DATASET.replace("    rules:", "      channel: {type: category, nullable: true}\n    rules:")
    )
    made = orders(3).with_columns(channel=pl.lit("web"))
    shop.land_orders(3, made)
    steps = step(shop)
    assert [found.kind for found in steps] == ["batch.ingested"]
    assert steps[0].drift["judged"]
    assert "channel" in {column["column"] for column in steps[0].drift["columns"]}
