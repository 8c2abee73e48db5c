"""A model's report, gathered from a loop that ran for some weeks."""

from datetime import timedelta

import pytest
from tests.integration.loop.conftest import DATASET, START

from ratoon.errors import NotFoundError
from ratoon.loop import ingest_arrivals, monitor_model, profile_pending
from ratoon.loop.modelreport import gather_report
from ratoon.report import ReportData, render

WEEKS = 5


def run_weeks(shop, first: int, last: int) -> None:
    for week in range(first, last):
        shop.land_week(week)
    shop.now[0] += timedelta(hours=1)
    ingest_arrivals(shop.app, "orders")
    profile_pending(shop.app, "orders")
    list(monitor_model(shop.app, "returns"))


def test_a_model_that_never_ran_has_a_report(shop) -> None:
    data = gather_report(shop.app, "returns")
    assert (data.champion, data.drift, data.cohorts, data.decisions) == (None, None, [], [])
    assert "Nothing has been decided yet." in render(data)


def test_a_report_holds_what_the_ledger_and_the_profiles_hold(shop) -> None:
    run_weeks(shop, 0, WEEKS)
    data, ledger = gather_report(shop.app, "returns"), shop.app.ledger
    champion = ledger.champion("returns")
    assert data.champion is not None and data.champion.version == champion.version
    assert data.as_of == ledger.why("returns", 1)[0].decision.as_of
    assert [one.number for one in data.decisions] == [entry.decision.number for entry in ledger.why("returns", 100)]
    assert {one.name: one.n_rows for one in data.cohorts} == {
        one.batch_id: one.n_rows for one in ledger.scorings("returns")
    }
    measured = {row.cohort: row.value for row in ledger.performance("returns")}
    assert {one.name: one.value for one in data.cohorts if one.n_matured} == measured
    assert len(data.drift_history) == len(ledger.drift("returns")) > 0
    assert ReportData.model_validate_json(data.model_dump_json()) == data
    assert f"version {champion.version}" in render(data)
    check_that_distributions_are_the_windows_that_were_judged(data)
    check_that_nothing_after_the_asked_time_is_shown(shop, data)


def check_that_distributions_are_the_windows_that_were_judged(data: ReportData) -> None:
    assert data.drift is not None
    for row in data.drift.columns:
        drawn = data.columns[row.column].distribution
        if drawn is not None and row.kind in ("numeric", "category"):
            assert sum(drawn.reference) + drawn.rest_reference == row.n_reference
            assert sum(drawn.current) + drawn.rest_current == row.n_current
    assert {name for name, view in data.columns.items() if view.distribution} >= {"amount", "items", "shop"}
    assert all(len(view.history) == len(data.drift_history) for view in data.columns.values())


def check_that_nothing_after_the_asked_time_is_shown(shop, newest: ReportData) -> None:
    at = START + timedelta(weeks=3, hours=1)
    data = gather_report(shop.app, "returns", as_of=at)
    assert data.as_of == at and data.decisions
    assert max(one.at for one in (*data.decisions, *data.cohorts, *data.promotions, *data.drift_history)) <= at
    assert len(data.decisions) < len(newest.decisions)


def test_personal_data_leaves_no_value_in_the_report(make_shop) -> None:
    shop = make_shop(dataset=DATASET.replace("allowed: [north, south]", "allowed: [north, south], pii: true"))
    run_weeks(shop, 0, WEEKS)
    data = gather_report(shop.app, "returns")
    assert data.drift is not None and "shop" in data.columns
    assert data.columns["shop"].pii and data.columns["shop"].distribution is None
    assert "north" not in render(data)


def test_a_model_that_is_not_declared_has_none(shop) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        gather_report(shop.app, "nobody")
