from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import dagster as dg

from ratoon.declarations import Project
from ratoon_assets.dataset_assets import dataset_assets

NAME = "deliveries"


def run(
    project: Project, application: Any, instance: dg.DagsterInstance, selection: list[str] | None = None
) -> dg.ExecuteInProcessResult:
    keys = [dg.AssetKey([NAME, stage]) for stage in selection or ["batches", "dataset", "profile"]]
    assets = dataset_assets(project.datasets[NAME])
    return dg.materialize(
        [assets], instance=instance, resources={"ratoon": application}, selection=keys, raise_on_error=False
    )


def shown(instance: dg.DagsterInstance, stage: str) -> list[dg.AssetMaterialization]:
    """Return an asset's materializations, oldest first."""
    records = instance.fetch_materializations(dg.AssetKey([NAME, stage]), limit=50).records
    return [record.asset_materialization for record in reversed(records)]


def profiled(diagnosis: dict[str, Any] | None) -> SimpleNamespace:
    moments = dict.fromkeys(("mean", "sd", "min", "max", "distinct"), 1.0)
    column = {"column": "items", "kind": "numeric", "missing": 0.3, **moments}
    about = {"batch_id": "batch-1", "as_of": None, "n_rows": 10, "binning_digest": "b" * 64}
    return SimpleNamespace(**about, columns=[column], diagnosis=diagnosis)


def test_every_file_is_one_materialization_so_that_its_numbers_plot(
    project: Project,
    application: Any,
    instance: dg.DagsterInstance,
    loop: ModuleType,
    batch: Callable[..., SimpleNamespace],
) -> None:
    files = [
        batch(1),
        batch(2, status="duplicate", rows_in=0, rows_kept=0),
        batch(3, rows_kept=95, rows_quarantined=5, reasons={"items.min": 5}),
    ]
    loop.ingest_arrivals = lambda app, dataset, *, limit, on_batch: files
    assert run(project, application, instance).success
    assert [one.metadata["status"].value for one in shown(instance, "batches")] == ["accepted", "duplicate", "accepted"]
    assert [one.metadata["rows_version"].value for one in shown(instance, "dataset")] == [1, 3]
    assert shown(instance, "dataset")[-1].metadata["rows_quarantined_share"].value == 0.05
    assert shown(instance, "dataset")[-1].tags["dagster/data_version"] == "rows@3"
    assert "items.min" in shown(instance, "dataset")[-1].metadata["reasons"].value


def test_rows_and_labels_plot_apart(
    project: Project,
    application: Any,
    instance: dg.DagsterInstance,
    loop: ModuleType,
    batch: Callable[..., SimpleNamespace],
) -> None:
    loop.ingest_arrivals = lambda app, dataset, *, limit, on_batch: [batch(1), batch(2, role="labels", lake_version=1)]
    assert run(project, application, instance).success
    rows, labels = shown(instance, "dataset")
    assert "rows_kept" in rows.metadata and "labels_kept" not in rows.metadata
    assert "labels_kept" in labels.metadata and "rows_kept" not in labels.metadata
    assert [one.tags["dagster/data_version"] for one in (rows, labels)] == ["rows@1", "labels@1"]


def test_a_quarantined_row_is_a_warning_and_a_refused_file_an_error(
    project: Project,
    application: Any,
    instance: dg.DagsterInstance,
    loop: ModuleType,
    batch: Callable[..., SimpleNamespace],
) -> None:
    refused = batch(
        2,
        status="refused",
        rows_in=None,
        rows_kept=None,
        rows_quarantined=None,
        error={"code": "RT-SCHEMA", "message": "no column items"},
    )
    seen = []
    for files in ([batch(1)], [batch(1, rows_quarantined=1, rows_kept=99)], [batch(1), refused]):
        loop.ingest_arrivals = lambda app, dataset, *, limit, on_batch, files=files: files
        [check, _] = run(project, application, instance).get_asset_check_evaluations()
        seen.append((check.passed, check.severity))
    assert seen[0][0] is True
    assert seen[1:] == [(False, dg.AssetCheckSeverity.WARN), (False, dg.AssetCheckSeverity.ERROR)]
    assert "no column items" in check.metadata["refused"].value


def test_a_run_without_anything_new_still_says_what_each_asset_is(
    project: Project, application: Any, instance: dg.DagsterInstance, loop: ModuleType
) -> None:
    assert run(project, application, instance).success
    assert [len(shown(instance, stage)) for stage in ("batches", "dataset", "profile")] == [1, 1, 1]


def test_choosing_only_the_profile_takes_no_file(
    project: Project, application: Any, instance: dg.DagsterInstance, loop: ModuleType
) -> None:
    taken: list[str] = []
    loop.ingest_arrivals = lambda app, dataset, *, limit, on_batch: taken.append(dataset) or []
    loop.profile_pending = lambda app, dataset: [profiled(None)]
    assert run(project, application, instance, ["profile"]).success
    assert taken == []
    assert shown(instance, "profile")[0].metadata["missing_share"].value == 0.3


def test_a_broken_batch_is_an_error_and_an_unclear_one_a_warning(
    project: Project, application: Any, instance: dg.DagsterInstance, loop: ModuleType
) -> None:
    finding = {"cause": "unit_change", "columns": ["items"], "sentence": "items is 1000 times larger", "advice": "hold"}
    seen = []
    for verdict in (None, "clean", "shift", "unclear", "broken"):
        diagnosis = verdict and {"verdict": verdict, "sentence": f"it is {verdict}", "findings": [finding]}
        loop.profile_pending = lambda app, dataset, diagnosis=diagnosis: [profiled(diagnosis)]
        [check] = run(project, application, instance, ["profile"]).get_asset_check_evaluations()
        seen.append((check.passed, check.severity if not check.passed else None))
    warn, error = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
    assert seen == [(True, None), (True, None), (True, None), (False, warn), (False, error)]
    assert "items is 1000 times larger" in check.metadata["findings"].value
    assert shown(instance, "profile")[-1].metadata["diagnosis"].value == "broken"
