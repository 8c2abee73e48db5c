"""Which alerts follow from what was seen, and which are over."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ratoon.alerts import Decay, alerts_of_batch, alerts_of_model, alerts_of_retrain
from ratoon.alerts.decide import Change, alerts_of_worker
from ratoon.drift.values import ColumnDrift, DriftReport
from ratoon.ledger.records import AlertRaised, AlertResolved, Retrain, WorkerRow
from ratoon.monitoring import DriftSettings
from ratoon.policy.values import Decision, GuardResult, TriggerResult

NOW = datetime(2026, 1, 5, tzinfo=UTC)
EVERY_KEY = {
    f"{subject}/{kind}"
    for subject in ("delays", "flights")
    for kind in ("data_broken", "drift", "performance", "stale_champion", "retrain_failed", "candidate_rejected")
}


def column(name: str, *, flagged: bool) -> ColumnDrift:
    values: dict[str, Any] = dict.fromkeys(ColumnDrift.model_fields)
    values |= {"column": name, "kind": "numeric", "n_reference": 1000, "n_current": 1000, "score": 0.4}
    values |= {"test": "ks", "p_value": 0.001, "null_rate_reference": 0.0, "null_rate_current": 0.0, "severity": 2.0}
    values |= {"flagged": flagged, "reasons": ["distribution"], "sentence": f"{name} moved."}
    return ColumnDrift.model_validate(values)


def report(*drifted: str, judged: bool = True) -> dict[str, Any]:
    columns = [column(name, flagged=name in drifted) for name in ("distance", "carrier")]
    found = DriftReport(
        judged=judged,
        not_judged_reason=None if judged else "too few rows",
        n_rows_reference=1000,
        n_rows_current=1000,
        settings=DriftSettings(),
        drifted=list(drifted),
        columns=columns if judged else [],
    )
    return found.model_dump(mode="json")


def decision(
    outcome: str = "wait",
    *,
    kind: str = "performance",
    value: float | None = 0.08,
    fired: bool = False,
    streak: int = 0,
    held: str | None = None,
) -> Decision:
    trigger = TriggerResult(
        key=kind, kind=kind, value=value, threshold=0.05, streak=streak, fired=fired, note=f"{kind} note"
    )
    guards = [GuardResult(kind="cooldown", passed=held is None, note=held or "passed")]
    return Decision.model_validate(
        {"outcome": outcome, "reason": "because", "triggers": [trigger], "guards": guards, "decided_at": NOW}
    )


def of_model(**seen: Any) -> list[Change]:
    return alerts_of_model("delays", incident="flights/e", open_keys=EVERY_KEY, **seen)


def only(changes: list[Change]) -> AlertRaised:
    (change,) = changes
    assert isinstance(change, AlertRaised)
    return change


def resolved(changes: list[Change]) -> list[str]:
    return [change.key for change in changes if isinstance(change, AlertResolved)]


def diagnosis(verdict: str, advice: str = "hold") -> dict[str, Any]:
    finding = {"cause": "unit_change", "columns": ["distance"], "confidence": 0.9, "sentence": "distance is in km now."}
    findings = [finding] if verdict == "broken" else []
    return {"verdict": verdict, "advice": advice, "sentence": "The batch is broken.", "findings": findings}


def test_drift_is_a_warning_that_names_the_columns() -> None:
    alert = only(of_model(drift=report("distance")))
    assert (alert.key, alert.severity) == ("delays/drift", "warning")
    assert "distance moved." in alert.text
    assert "carrier moved." not in alert.text
    assert alert.title == "delays: 1 of 2 columns drifted"


def test_drift_that_a_retrain_answers_is_only_good_to_know() -> None:
    seen = decision("retrain", kind="drift", value=1, fired=True)
    assert only(of_model(drift=report("distance"), decision=seen)).severity == "info"


def test_drift_is_over_with_the_first_judged_report_that_flags_nothing() -> None:
    assert resolved(of_model(drift=report())) == ["delays/drift"]
    assert of_model(drift=report(judged=False)) == []
    assert of_model(drift=None) == []


def test_nothing_is_resolved_that_is_not_open() -> None:
    assert alerts_of_model("delays", incident="i", drift=report(), open_keys={"other/drift"}) == []


def test_broken_data_says_nothing_about_drift() -> None:
    for found in (report(), report("distance")):
        assert of_model(drift=found, diagnosis=diagnosis("broken")) == []


@pytest.mark.parametrize(("advice", "severity"), [("hold", "critical"), ("reingest", "warning")])
def test_broken_data_is_one_alert_of_its_dataset(advice: str, severity: str) -> None:
    alert = only(alerts_of_batch("flights", incident="i", diagnosis=diagnosis("broken", advice)))
    assert (alert.key, alert.severity, alert.model) == ("flights/data_broken", severity, None)
    assert "distance is in km now." in alert.text
    assert alert.evidence["causes"] == ["unit_change"]


@pytest.mark.parametrize(("verdict", "over"), [("clean", True), ("shift", True), ("unclear", False)])
def test_broken_data_is_over_with_a_batch_without_fault(verdict: str, over: bool) -> None:
    changes = alerts_of_batch("flights", incident="i", diagnosis=diagnosis(verdict), open_keys=EVERY_KEY)
    assert resolved(changes) == (["flights/data_broken"] if over else [])


@pytest.mark.parametrize(("outcome", "severity"), [("wait", "critical"), ("retrain", "warning")])
def test_a_fall_of_performance_is_critical_unless_a_retrain_answers_it(outcome: str, severity: str) -> None:
    alert = only(of_model(decision=decision(outcome, fired=True, streak=1), performance=[{"cohort": "batch-1"}]))
    assert (alert.key, alert.severity) == ("delays/performance", severity)
    assert alert.evidence["cohorts"] == ["batch-1"]
    assert "performance note" in alert.text


def test_a_fall_that_is_not_confirmed_yet_changes_nothing() -> None:
    assert of_model(decision=decision(streak=1)) == []


MEASURED = [{"cohort": "batch-1"}]


def test_performance_is_back_once_it_was_measured_and_holds_no_more() -> None:
    assert resolved(of_model(decision=decision(value=0.0), performance=MEASURED)) == ["delays/performance"]
    assert of_model(decision=decision(value=None), performance=MEASURED) == []
    assert of_model(decision=decision(streak=1), performance=MEASURED) == []


def test_a_step_that_measured_no_performance_resolves_none() -> None:
    """A batch between two label files knows nothing of the loss: it must not end what they raise."""
    assert of_model(decision=decision(value=0.0)) == []


def test_figures_that_are_no_numbers_break_no_alert() -> None:
    odd = {"worst": float("nan"), "of": [1.0, float("inf")], "in": {"x": float("-inf")}}
    alert = only(of_model(decay=Decay(is_worse=True, sentence="s", evidence=odd)))
    assert {name: alert.evidence[name] for name in odd} == {"worst": None, "of": [1.0, None], "in": {"x": None}}


def test_a_loss_that_changed_for_the_worse_raises_without_any_trigger_and_keeps_the_alert_open() -> None:
    decay = Decay(is_worse=True, sentence="The loss rose on 3 March.", evidence={"since": "2026-03-03"})
    for seen in (None, decision(value=0.0)):
        alert = only(of_model(decay=decay, decision=seen))
        assert "The loss rose on 3 March." in alert.text
        assert alert.evidence["since"] == "2026-03-03"
    assert resolved(of_model(decay=Decay(is_worse=False, sentence=""))) == ["delays/performance"]


def test_an_old_champion_is_an_alert_only_where_a_guard_holds_the_retrain_back() -> None:
    held = decision(kind="max_age", value=9e6, fired=True, streak=1, held="the cooldown holds")
    alert = only(of_model(decision=held))
    assert alert.key == "delays/stale_champion"
    assert "the cooldown holds" in alert.text
    assert of_model(decision=decision("retrain", kind="max_age", value=9e6, fired=True)) == []
    assert resolved(of_model(decision=decision(kind="max_age", value=1.0))) == ["delays/stale_champion"]


def retrain(state: str, error: dict[str, Any] | None = None) -> Retrain:
    values: dict[str, Any] = dict.fromkeys(Retrain.model_fields)
    values |= {"retrain_id": "retrain-1", "seq": 1, "decision_id": "d", "model": "delays", "dataset": "flights"}
    values |= {"state": state, "as_of": NOW, "queue": "cpu", "spec_digest": "s", "order": {}, "deadline_s": 1.0}
    values |= {"max_attempts": 3, "attempt": 3, "fence": 1, "requested_at": NOW, "updated_at": NOW, "error": error}
    return Retrain.model_validate(values)


@pytest.mark.parametrize(("retryable", "severity"), [(False, "critical"), (True, "warning")])
def test_a_failed_retrain_is_critical_where_it_can_not_pass_by_itself(retryable: bool, severity: str) -> None:
    error = {"code": "RT-TRAIN", "message": "features failed", "retryable": retryable}
    alert = only(alerts_of_retrain(retrain("FAILED", error)))
    assert (alert.key, alert.severity) == ("delays/retrain_failed", severity)
    assert "RT-TRAIN features failed" in alert.text


def test_a_rejected_candidate_is_good_to_know_and_a_cancelled_one_is_nothing() -> None:
    assert only(alerts_of_retrain(retrain("REJECTED"))).severity == "info"
    assert alerts_of_retrain(retrain("CANCELLED"), open_keys=EVERY_KEY) == []


def test_a_promotion_ends_what_is_open_about_its_model_and_nothing_else() -> None:
    keys = resolved(alerts_of_retrain(retrain("PROMOTED"), open_keys=EVERY_KEY))
    assert set(keys) == {key for key in EVERY_KEY if key.startswith("delays/") and "data_broken" not in key}


def test_a_silent_worker_is_a_warning_about_that_worker() -> None:
    alert = alerts_of_worker(WorkerRow(name="worker@a", seen_at=NOW), silent_s=180)
    assert (alert.key, alert.severity) == ("worker@a/worker_silent", "warning")
    assert "180 s" in alert.text
