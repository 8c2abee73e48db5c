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
_MOST_REPORTS = 20
"""Drift reports behind the sparklines of a page."""

Seen = tuple[Metadata, str]
"""What one stage showed at one step: its metadata and its data version."""

_MOST_COHORTS = 300
"""Newest cohorts that a page is drawn from."""


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
    pages = {"performance": lambda: performance_page(app, spec), "drift": lambda: drift_page(app, spec, report)}
    for stage, key in selected.items():
        metadata, version = last.get(stage, ({"new_events": 0}, ""))
        metadata = (pages[stage]() if stage in pages else {}) | metadata
        yield result(key, metadata, version) if version else dg.MaterializeResult(asset_key=key, metadata=metadata)
    if "drift" in selected:
        yield drift_result(selected["drift"], report)


def drift_result(key: dg.AssetKey, report: Mapping[str, Any] | None) -> dg.AssetCheckResult:
    """Judge the newest drift report; without one there is nothing to warn about."""
    moved_together = bool(report and (report.get("joint") or {}).get("flagged"))
    drifted = bool(report and report["drifted"]) or moved_together
    metadata = evidence.drift_metadata(report) if report else {"judged": dg.MetadataValue.bool(False)}
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=DRIFT_CHECK,
        passed=not drifted,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )


def performance_page(app: "Ratoon", spec: ModelSpec) -> Metadata:
    """Draw the model's metric over time, with its estimated band and promotions: cohorts of one instant together."""
    from ratoon_assets.charts import performance_over_time  # Altair takes a second to import

    known: dict[datetime, list[Performance]] = {}
    for row in app.ledger.performance(spec.name, limit=_MOST_COHORTS):
        if row.metric == spec.gate.metric:
            known.setdefault(row.as_of, []).append(row)
    points = (_point(as_of, cohorts) for as_of, cohorts in known.items())
    rows = [point for point in points if point["value"] is not None or point["estimate"] is not None]
    promotions = [
        {"at": promotion.at.isoformat(), "version": promotion.version} for promotion in app.ledger.promotions(spec.name)
    ]
    return charted(performance_over_time(rows, metric=spec.gate.metric, promotions=promotions))


def _point(as_of: datetime, cohorts: list["Performance"]) -> dict[str, Any]:
    measured = [(row.value, row.n_matured) for row in cohorts if row.value is not None and row.n_matured]
    n_rows, n_matured = sum(row.n_rows for row in cohorts), sum(row.n_matured for row in cohorts)
    estimate = cohorts[-1].details.get("estimate") or {}
    return {
        "as_of": as_of.isoformat(),
        "value": evidence.weighted_mean(measured) if measured else None,
        "reference": cohorts[-1].details.get("reference"),
        "maturity": n_matured / n_rows if n_rows else 0.0,
        "estimate": estimate.get("value"),
        "low": estimate.get("low"),
        "high": estimate.get("high"),
    }


def drift_page(app: "Ratoon", spec: ModelSpec, report: Mapping[str, Any] | None) -> Metadata:
    """Draw the newest drift report, with a row per column; nothing where none was made."""
    from ratoon_assets.charts import drift_per_column  # Altair takes a second to import

    if not report:
        return {}
    earlier = [record.report for record in reversed(app.ledger.drift(spec.name, limit=_MOST_REPORTS))]
    columns = [
        {name: column[name] for name in ("column", "score", "flagged")}
        for column in report["columns"]
        if column["score"] is not None
    ]
    picture = drift_per_column(columns, threshold=report["settings"]["min_effect"])
    return charted(picture) | evidence.drift_table(report, earlier)
