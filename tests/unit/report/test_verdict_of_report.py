"""The sentence on top: the most urgent thing first, and nothing where nothing is to be done."""

from collections.abc import Callable

import pytest

from ratoon.report.values import AlertView, DiagnosisView, ReportData
from ratoon.report.verdict import summarize

Make = Callable[..., ReportData]


@pytest.fixture
def quiet(make_data: Make) -> ReportData:
    """Return a model whose last report flagged nothing and whose last decision waits."""
    data = make_data(days=20)
    assert data.drift is not None
    calm = data.drift.model_copy(update={"drifted": [], "joint": None})
    return data.model_copy(update={"drift": calm, "diagnosis": None, "decisions": data.decisions[:1]})


def test_a_model_at_rest_needs_nobody(quiet: ReportData) -> None:
    found = summarize(quiet)
    assert (found.level, found.headline) == ("quiet", "Nothing needs you.")


def test_drift_is_told_with_what_the_policy_does_about_it(quiet: ReportData, make_data: Make) -> None:
    drifted = quiet.model_copy(update={"drift": make_data(days=20).drift})
    assert summarize(drifted).headline == "4 of 20 columns drifted; the policy waits because no trigger fired."
    held = next(one for one in make_data(days=60).decisions if one.kind == "held")
    found = summarize(drifted.model_copy(update={"decisions": [held]}))
    assert found.headline.endswith("the policy waits because new_rows fired, but cooldown ends in two days.")
    retrain = next(one for one in make_data(days=60).decisions if one.kind == "retrain")
    found = summarize(drifted.model_copy(update={"decisions": [retrain]}))
    assert (found.level, found.headline) == ("watch", "4 of 20 columns drifted; the policy asked for a retrain.")


def test_a_broken_batch_comes_before_everything(quiet: ReportData) -> None:
    broken = DiagnosisView(verdict="broken", advice="reingest", sentence="temp is 1,000 times as large")
    alert = AlertView(title="auc fell")
    found = summarize(quiet.model_copy(update={"diagnosis": broken, "alerts": [alert]}))
    assert (found.level, found.headline) == ("act", "The newest batch looks broken: deliver it again.")


def test_a_failed_retrain_is_told_until_the_next_one(quiet: ReportData, make_data: Make) -> None:
    retrain = next(one for one in make_data(days=60).decisions if one.retrain is not None)
    assert retrain.retrain is not None
    failed = retrain.model_copy(
        update={"retrain": retrain.retrain.model_copy(update={"state": "FAILED", "error": "out of memory"})}
    )
    found = summarize(quiet.model_copy(update={"decisions": [*quiet.decisions, failed]}))
    assert found.level == "act" and "failed" in found.headline and found.detail == "out of memory."
    assert summarize(quiet.model_copy(update={"decisions": [retrain, failed]})).level == "watch"


def test_a_muted_alert_asks_for_nobody(quiet: ReportData) -> None:
    alert = AlertView(title="auc fell")
    found = summarize(quiet.model_copy(update={"alerts": [alert]}))
    assert (found.level, found.headline) == ("watch", "auc fell.")
    muted = alert.model_copy(update={"muted": True})
    assert summarize(quiet.model_copy(update={"alerts": [muted]})).level == "quiet"


def test_a_critical_alert_asks_for_a_person_and_a_warning_is_told_beside_the_drift(make_data: Make) -> None:
    data, alert = make_data(days=20), AlertView(title="auc fell", sentence="from 0.74 to 0.6\n- and more")
    found = summarize(data.model_copy(update={"alerts": [alert]}))
    assert found.level == "watch" and found.detail.endswith("1 alert is open.")
    worst = alert.model_copy(update={"severity": "critical"})
    found = summarize(data.model_copy(update={"alerts": [alert, worst]}))
    assert (found.level, found.headline, found.detail) == ("act", "auc fell.", "from 0.74 to 0.6.")


def test_a_model_without_a_champion_says_what_it_waits_for(quiet: ReportData) -> None:
    found = summarize(quiet.model_copy(update={"champion": None}))
    assert (found.headline, found.detail) == ("There is no champion yet.", "The policy waits: no trigger fired.")
