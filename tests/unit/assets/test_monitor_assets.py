from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from ratoon.declarations import Project
from ratoon.ledger.records import Performance
from ratoon_assets import evidence
from ratoon_assets.monitor_assets import drift_result, monitor_assets

NAME = "late"


def run(
    project: Project, application: Any, instance: dg.DagsterInstance, stages: list[str] | None = None
) -> dg.ExecuteInProcessResult:
    assets = monitor_assets(project.models[NAME], project.root)
    keys = [dg.AssetKey([NAME, stage]) for stage in stages or ["predictions", "performance", "drift"]]
    return dg.materialize(
        [assets], instance=instance, resources={"ratoon": application}, selection=keys, raise_on_error=False
    )


def shown(instance: dg.DagsterInstance, stage: str) -> list[dg.AssetMaterialization]:
    records = instance.fetch_materializations(dg.AssetKey([NAME, stage]), limit=50).records
    return [record.asset_materialization for record in reversed(records)]


def test_each_waiting_event_is_one_materialization_and_the_last_carries_the_picture(
    project: Project,
    application: Any,
    instance: dg.DagsterInstance,
    loop: ModuleType,
    step: Callable[..., SimpleNamespace],
) -> None:
    loop.monitor_model = lambda app, model, *, on_step: iter([step(1), step(2), step(3)])
    cohorts = [
        {
            "cohort": f"batch-{number}",
            "metric": "auc",
            "as_of": step(number).as_of,
            "value": 0.7,
            "details": {"reference": 0.8},
        }
        for number in (1, 2)
    ]
    application.ledger.cohorts = [
        Performance(model=NAME, n_rows=1, n_matured=1, version=1, **cohort) for cohort in cohorts
    ]
    assert run(project, application, instance).success
    performance = shown(instance, "performance")
    assert [round(one.metadata["auc"].value, 2) for one in performance] == [0.71, 0.72, 0.73]
    assert ["chart" in one.metadata for one in performance] == [False, False, True]
    assert performance[-1].metadata["chart"].value.startswith("![")
    assert [one.metadata["n_rows"].value for one in shown(instance, "predictions")] == [100, 100, 100]
    assert [one.metadata["drifted_columns"].value for one in shown(instance, "drift")] == [0, 0, 1]


def test_the_drift_check_warns_by_the_newest_report_and_never_fails_the_run(
    project: Project,
    application: Any,
    instance: dg.DagsterInstance,
    loop: ModuleType,
    step: Callable[..., SimpleNamespace],
) -> None:
    verdicts = []
    for numbers in ([1, 3], [3, 1]):
        loop.monitor_model = lambda app, model, *, on_step, numbers=numbers: iter([step(number) for number in numbers])
        result = run(project, application, instance)
        [check] = result.get_asset_check_evaluations()
        verdicts.append((result.success, check.passed, check.severity))
    assert verdicts == [(True, False, dg.AssetCheckSeverity.WARN), (True, True, dg.AssetCheckSeverity.WARN)]


def test_a_run_with_nothing_pending_shows_the_present_state(
    project: Project, application: Any, instance: dg.DagsterInstance, loop: ModuleType
) -> None:
    assert run(project, application, instance).success
    assert [len(shown(instance, stage)) for stage in ("predictions", "performance", "drift")] == [1, 1, 1]


def test_a_chosen_part_is_shown_alone_although_every_event_is_taken(
    project: Project,
    application: Any,
    instance: dg.DagsterInstance,
    loop: ModuleType,
    step: Callable[..., SimpleNamespace],
) -> None:
    loop.monitor_model = lambda app, model, *, on_step: iter([step(1), step(2)])
    assert run(project, application, instance, ["performance"]).success
    assert len(shown(instance, "performance")) == 2
    assert shown(instance, "predictions") == shown(instance, "drift") == []


def test_an_event_that_only_leads_to_a_decision_shows_no_numbers(
    project: Project,
    application: Any,
    instance: dg.DagsterInstance,
    loop: ModuleType,
    step: Callable[..., SimpleNamespace],
) -> None:
    loop.monitor_model = lambda app, model, *, on_step: iter(
        [step(1), step(2, predictions=None, performance=None, drift=None, decision=None)]
    )
    assert run(project, application, instance).success
    assert len(shown(instance, "performance")) == 1


def test_the_last_drift_report_shows_every_column_with_its_course(
    project: Project,
    application: Any,
    instance: dg.DagsterInstance,
    loop: ModuleType,
    step: Callable[..., SimpleNamespace],
) -> None:
    loop.monitor_model = lambda app, model, *, on_step: iter([step(1), step(2), step(3)])
    application.ledger.drift_records = [SimpleNamespace(report=step(number).drift) for number in (3, 2, 1)]
    assert run(project, application, instance, ["drift"]).success
    drift = shown(instance, "drift")
    assert ["columns" in one.metadata for one in drift] == [False, False, True]
    lines = drift[-1].metadata["columns"].value.splitlines()
    assert lines[2].startswith("| **carrier** | ▁▁█ | 0.400 of 0.1 |")
    assert lines[3].startswith("| items | ▁▁▁ | 0.010 of 0.1 |")


def test_the_estimate_made_before_labels_stands_beside_the_metric(
    project: Project,
    application: Any,
    instance: dg.DagsterInstance,
    loop: ModuleType,
    step: Callable[..., SimpleNamespace],
) -> None:
    estimate = {"value": 0.72, "low": 0.7, "high": 0.74, "sentence": "auc is estimated at 0.72"}
    cohort = step(1).performance[0] | {"estimate": estimate}
    loop.monitor_model = lambda app, model, *, on_step: iter([step(1, performance=[cohort])])
    assert run(project, application, instance, ["performance"]).success
    metadata = shown(instance, "performance")[-1].metadata
    assert metadata["estimate.value"].value == 0.72 and metadata["maturity"].value == 0.9
    assert metadata["estimate.says"].value == "auc is estimated at 0.72"


def test_a_column_that_an_earlier_report_lacks_is_a_gap_in_its_course() -> None:
    old = {"columns": [{"column": "a", "score": 0.1}]}
    new = {"columns": [{"column": "a", "score": None}, {"column": "b", "score": 0.2}]}
    assert evidence.column_scores([old, new, old]) == {"a": [0.1, None, 0.1], "b": [None, 0.2]}


def test_a_columns_own_dial_is_its_threshold() -> None:
    settings = {"min_effect": 0.1, "columns": {"a": {"min_effect": 0.3}, "b": {"min_effect": None}}}
    assert [evidence.smallest_effect(settings, name) for name in "abc"] == pytest.approx([0.3, 0.1, 0.1])


@pytest.mark.parametrize(
    ("drifted", "joint", "passed"),
    [
        ([], None, True),
        ([], {"flagged": False, "sentence": "they move as before"}, True),
        (["temp"], None, False),
        ([], {"flagged": True, "sentence": "temp and dewp move apart"}, False),
    ],
)
def test_columns_that_no_longer_move_together_fail_the_check_as_a_drifted_one_does(drifted, joint, passed) -> None:
    column = {
        "column": "temp", "kind": "numeric", "score": 0.2, "flagged": bool(drifted), "sentence": "it moved", "p_value": 0.0,
        "n_reference": 10, "n_current": 10, "importance": None, "severity": 2.0, "reasons": [],
    }  # fmt: skip
    report = {
        "judged": True, "not_judged_reason": None, "n_rows_current": 10, "n_rows_reference": 10, "alpha": 0.01,
        "drifted": drifted, "columns": [column], "joint": joint, "settings": {"min_effect": 0.1},
    }  # fmt: skip
    assert drift_result(dg.AssetKey([NAME, "drift"]), report).passed is passed
