"""The assets that watch one model: a run takes every event that waits, in its order."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from ratoon.declarations import ModelSpec
from ratoon.identity import digest_json
from ratoon_assets import evidence
from ratoon_assets.dataset_assets import materialization, result
from ratoon_assets.graph import DRIFT_CHECK, MONITOR_STAGES, model_specs
from ratoon_assets.rendering import Metadata, charted, plain, scalars
from ratoon_assets.resources import RESOURCE, app_of

if TYPE_CHECKING:
    from ratoon.bootstrap import Ratoon
    from ratoon.ledger.records import Performance
    from ratoon.loop.reports import StepReport

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation | dg.MaterializeResult[None] | dg.AssetCheckResult
Seen = tuple[Metadata, str]
"""What one stage showed at one step: its metadata and its data version."""


def monitor_assets(spec: ModelSpec, root: Path) -> dg.AssetsDefinition:
    """Return ``predictions``, ``performance`` and ``drift`` of a model as one operation.

    Each event that waits is one step of the loop, and one materialization of each asset that it touched, so
    that the numbers plot over time; the last carries the picture.
    """
    specs = model_specs(spec, root)
    keys = {stage: specs[stage].key for stage in MONITOR_STAGES}
    check = dg.AssetCheckSpec(
        DRIFT_CHECK, asset=keys["drift"], description="No column drifted from what the champion learned from."
    )

    @dg.multi_asset(
        name=f"{spec.name}__monitor",
        specs=[specs[stage] for stage in MONITOR_STAGES],
        check_specs=[check],
        can_subset=True,
        required_resource_keys={RESOURCE},
    )
    def monitor(context: dg.AssetExecutionContext) -> Iterator[Event]:
        from ratoon.loop import monitor_model  # loads polars: a listing of assets must not

        app = app_of(context)
        selected = {stage: key for stage, key in keys.items() if key in context.selected_asset_keys}
        last: dict[str, Seen] = {}
        report: Mapping[str, Any] | None = None
        for step in monitor_model(app, spec.name, on_step=context.log.info):
            context.log.info(step_line(step))
            report = step.drift or report
            for stage, seen in step_shows(step).items():
                if stage in last and stage in selected:
                    yield materialization(selected[stage], *last[stage], {})
                last[stage] = seen
        yield from final_events(app, spec, selected, last, report)

    return monitor


def step_line(step: "StepReport") -> str:
    """Return one line of a run's log about a step."""
    decision = step.decision or {"outcome": "no decision", "reason": ""}
    return f"{step.kind} as of {step.as_of:%Y-%m-%d %H:%M}: {decision['outcome']}. {decision['reason']}".rstrip()


def step_shows(step: "StepReport") -> dict[str, Seen]:
    """Return what each stage shows of a step; a stage that the step did not touch is absent."""
    decided = evidence.decision_metadata(step)
    shows: dict[str, Seen] = {}
    if step.predictions:
        shows["predictions"] = (
            scalars(step.predictions) | decided,
            f"predictions@{step.predictions['lake_version']}",
        )
    if step.performance:
        shows["performance"] = (
            evidence.performance_metadata(step.performance) | decided,
            digest_json(plain(step.performance))[:16],
        )
    if step.drift:
        shows["drift"] = (evidence.drift_metadata(step.drift) | decided, digest_json(plain(step.drift))[:16])
    return shows


def final_events(
    app: "Ratoon",
    spec: ModelSpec,
    selected: Mapping[str, dg.AssetKey],
    last: Mapping[str, Seen],
    report: Mapping[str, Any] | None,
) -> Iterator[Event]:
    """Say what each selected asset is at the end of the run, with its picture, and the drift check's result."""
    pictures = {"performance": lambda: performance_picture(app, spec), "drift": lambda: drift_picture(report)}
    for stage, key in selected.items():
        metadata, version = last.get(stage, ({"new_events": 0}, ""))
        metadata = charted(pictures[stage]() if stage in pictures else "") | metadata
        yield result(key, metadata, version) if version else dg.MaterializeResult(asset_key=key, metadata=metadata)
    if "drift" in selected:
        yield drift_result(selected["drift"], report)


def drift_result(key: dg.AssetKey, report: Mapping[str, Any] | None) -> dg.AssetCheckResult:
    """Judge the newest drift report; without one there is nothing to warn about."""
    drifted = report["drifted"] if report else []
    metadata = evidence.drift_metadata(report) if report else {"judged": dg.MetadataValue.bool(False)}
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=DRIFT_CHECK,
        passed=not drifted,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )


def performance_picture(app: "Ratoon", spec: ModelSpec) -> str:
    """Draw the model's matured metric over time, with its promotions: cohorts of one instant as their weighted mean."""
    from ratoon_assets.charts import performance_over_time  # Altair takes a second to import

    measured: dict[datetime, list[Performance]] = {}
    for row in app.ledger.performance(spec.name):
        if row.value is not None and row.n_matured and row.metric == spec.gate.metric:
            measured.setdefault(row.as_of, []).append(row)
    rows = [_point(as_of, cohorts) for as_of, cohorts in measured.items()]
    promotions = [
        {"at": promotion.at.isoformat(), "version": promotion.version} for promotion in app.ledger.promotions(spec.name)
    ]
    return performance_over_time(rows, metric=spec.gate.metric, promotions=promotions)


def _point(as_of: datetime, cohorts: list["Performance"]) -> dict[str, Any]:
    value = evidence.weighted_mean([(row.value, row.n_matured) for row in cohorts if row.value is not None])
    return {"as_of": as_of.isoformat(), "value": value, "reference": cohorts[-1].details.get("reference")}


def drift_picture(report: Mapping[str, Any] | None) -> str:
    """Draw the newest drift report, or nothing where none was made."""
    from ratoon_assets.charts import drift_per_column  # Altair takes a second to import

    if not report:
        return ""
    columns = [
        {name: column[name] for name in ("column", "score", "flagged")}
        for column in report["columns"]
        if column["score"] is not None
    ]
    return drift_per_column(columns, threshold=report["settings"]["min_effect"])
