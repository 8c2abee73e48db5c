"""What each asset and check says about a report or a record. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from ratoon_assets.rendering import Metadata, charted, error_text, instant, plain, scalars, table

if TYPE_CHECKING:
    from ratoon.ledger.records import ArtifactRecord, Batch, EvaluationRecord, Promotion, Retrain, Version
    from ratoon.loop.reports import BatchReport, ProfileReport, StepReport

_SPARKS = 20
"""Reports behind a column's sparkline."""

_SHOWN_OF_ORDER = ("dataset", "features", "rows_version", "labels_version", "as_of", "champion")


def batch_metadata(batch: "BatchReport") -> Metadata:
    """Return what ``[dataset, batches]`` says of one file; counts are named by its role, so that rows and labels plot apart."""
    metadata: Metadata = {
        "batch": batch.batch_id,
        "file": batch.name,
        "role": batch.role,
        "status": batch.status,
        "digest": batch.digest,
    }
    if batch.status == "accepted":
        metadata |= {
            f"{batch.role}_in": batch.rows_in,
            f"{batch.role}_kept": batch.rows_kept,
            f"{batch.role}_quarantined": batch.rows_quarantined,
        }
    if batch.error:
        metadata["error"] = error_text(batch.error)
    return metadata | instant("as_of", batch.as_of)


def dataset_metadata(batch: "BatchReport") -> Metadata:
    """Return what ``[dataset, dataset]`` says of one accepted file."""
    metadata: Metadata = {
        "batch": batch.batch_id,
        f"{batch.role}_kept": batch.rows_kept,
        f"{batch.role}_quarantined": batch.rows_quarantined,
    }
    if batch.rows_in:
        metadata[f"{batch.role}_quarantined_share"] = batch.rows_quarantined / batch.rows_in
    if batch.lake_version is not None:
        metadata[f"{batch.role}_version"] = batch.lake_version
    if batch.reasons:
        metadata["reasons"] = dg.MetadataValue.md(reasons_table([batch]))
    return metadata | instant("as_of", batch.as_of)


def latest_batch_metadata(batch: "Batch | None") -> Metadata:
    """Return what both say when a run found nothing new: which batch was the last."""
    if batch is None:
        return {"new_files": 0}
    version = {f"{batch.role}_version": batch.lake_version} if batch.lake_version is not None else {}
    return {"new_files": 0, "batch": batch.batch_id, "digest": batch.digest, **version, **instant("as_of", batch.as_of)}


def contract_metadata(batches: Sequence["BatchReport"]) -> Metadata:
    """Return what the contract check says of a run's files."""
    refused = [batch for batch in batches if batch.status == "refused"]
    metadata: Metadata = {
        "files": len(batches),
        "files_refused": len(refused),
        "duplicates": sum(batch.status == "duplicate" for batch in batches),
        "rows_in": sum(batch.rows_in or 0 for batch in batches),
        "rows_quarantined": sum(batch.rows_quarantined or 0 for batch in batches),
    }
    if any(batch.reasons for batch in batches):
        metadata["reasons"] = dg.MetadataValue.md(reasons_table(batches))
    if refused:
        metadata["refused"] = dg.MetadataValue.md(
            table(["file", "why"], [(batch.name, error_text(batch.error)) for batch in refused])
        )
    return metadata


def reasons_table(batches: Iterable["BatchReport"]) -> str:
    """Return the quarantined rows per reason, most first; a row may count for several."""
    totals: dict[str, int] = {}
    for batch in batches:
        for reason, count in (batch.reasons or {}).items():
            totals[reason] = totals.get(reason, 0) + count
    return table(["reason", "rows"], sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def profile_metadata(profile: "ProfileReport") -> Metadata:
    """Return what ``[dataset, profile]`` says of one batch."""
    missing = [column["missing"] or 0.0 for column in profile.columns]
    told = [
        (column["column"], column["kind"], f"{column['missing'] or 0.0:.2%}", *map(_number, _moments(column)))
        for column in profile.columns
    ]
    metadata: Metadata = {
        "batch": profile.batch_id,
        "rows": profile.n_rows,
        "missing_share": sum(missing) / max(len(missing), 1),
        "binning": profile.binning_digest,
        **instant("as_of", profile.as_of),
        "columns": dg.MetadataValue.md(
            table(["column", "kind", "missing", "mean", "sd", "min", "max", "distinct"], told)
        ),
    }
    if profile.diagnosis is not None:
        metadata |= {"diagnosis": profile.diagnosis["verdict"], "diagnosed": profile.diagnosis["sentence"]}
    return metadata


def _moments(column: Mapping[str, Any]) -> list[Any]:
    is_time = column["kind"] in ("time", "key")  # its moments are seconds since 1970, which tell people nothing
    return [None if is_time else column[name] for name in ("mean", "sd", "min", "max")] + [column["distinct"]]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.6g}"


def fault_metadata(profiles: Sequence["ProfileReport"]) -> Metadata:
    """Return what the diagnoses of a run's batches say, those that found something first."""
    diagnosed = [(profile.batch_id, profile.diagnosis) for profile in profiles if profile.diagnosis]
    findings = [
        (batch, finding["cause"], ", ".join(finding["columns"]), finding["sentence"], finding["advice"])
        for batch, diagnosis in diagnosed
        for finding in diagnosis["findings"]
    ]
    metadata: Metadata = {"batches": len(profiles), "diagnosed": len(diagnosed)}
    if diagnosed:
        metadata["newest"] = diagnosed[-1][1]["sentence"]
    if findings:
        metadata["findings"] = dg.MetadataValue.md(
            table(["batch", "cause", "columns", "what was seen", "advice"], findings)
        )
    return metadata


def decision_metadata(step: "StepReport") -> Metadata:
    """Return which decision a monitoring step led to."""
    decision = step.decision or {}
    metadata: Metadata = {"event": step.event_id, "event_kind": step.kind, **instant("as_of", step.as_of)}
    if decision:
        metadata |= {"decision": decision["outcome"], "reason": decision["reason"]}
    if step.retrain_id:
        metadata["retrain"] = step.retrain_id
    return metadata


def performance_metadata(cohorts: Sequence[Mapping[str, Any]]) -> Metadata:
    """Return what ``[model, performance]`` says of the cohorts that one label file touched.

    The metric is the mean over the cohorts, weighted by their matured rows; absent where none has a value.
    """
    measured = [cohort for cohort in cohorts if cohort["value"] is not None]
    n_matured = sum(cohort["n_matured"] for cohort in measured)
    metadata: Metadata = {
        "cohorts": len(cohorts),
        "rows": sum(cohort["n_rows"] for cohort in cohorts),
        "rows_matured": n_matured,
    }
    if n_matured:
        metadata[measured[-1]["metric"]] = weighted_mean(
            [(cohort["value"], cohort["n_matured"]) for cohort in measured]
        )
    if measured and measured[-1].get("reference") is not None:
        metadata["reference"] = float(measured[-1]["reference"])
    if metadata["rows"]:
        metadata["maturity"] = sum(cohort["n_matured"] for cohort in cohorts) / metadata["rows"]
    metadata |= _estimate_metadata(cohorts[-1].get("estimate"))
    told = [
        (
            cohort["cohort"],
            cohort["version"],
            "" if cohort["value"] is None else cohort["value"],
            (cohort.get("estimate") or {}).get("value", ""),
            cohort["n_matured"],
            cohort["n_rows"],
        )
        for cohort in cohorts
    ]
    header = ["cohort", "version", cohorts[-1]["metric"], "estimated before", "matured", "rows"]
    return metadata | {"by_cohort": dg.MetadataValue.md(table(header, told))}


def _estimate_metadata(estimate: Mapping[str, Any] | None) -> Metadata:
    """Return the estimate of the newest cohort that was touched: its band, and what it says of itself."""
    if not estimate:
        return {}
    band = {f"estimate.{name}": float(estimate[name]) for name in ("value", "low", "high")}
    return band | {"estimate.says": estimate["sentence"]}


def weighted_mean(pairs: Sequence[tuple[float, int]]) -> float:
    """Return the mean of values by their weights, of which one at least is above 0."""
    return sum(value * weight for value, weight in pairs) / sum(weight for _, weight in pairs)


def training_set_metadata(retrain: "Retrain", batches: Sequence["Batch"]) -> Metadata:
    """Return what a retrain may read: the pinned versions, and the rows up to them.

    An order may carry a store's credentials, so that only named fields of it are shown. Which window of the rows
    is used is decided by the training: the candidate says it.

    Args:
        retrain: The retrain.
        batches: The dataset's batches of rows.
    """
    order = {name: retrain.order[name] for name in _SHOWN_OF_ORDER if retrain.order.get(name) is not None}
    read = [
        batch
        for batch in batches
        if batch.lake_version is not None and batch.lake_version <= retrain.order.get("rows_version", -1)
    ]
    metadata: Metadata = {
        "retrain": retrain.retrain_id,
        **scalars(order),
        "batches": len(read),
        "rows": sum(batch.rows_kept or 0 for batch in read),
    }
    metadata |= instant(
        "event_time_min", min((batch.event_time_min for batch in read if batch.event_time_min), default=None)
    )
    return metadata | instant(
        "event_time_max", max((batch.event_time_max for batch in read if batch.event_time_max), default=None)
    )


def candidate_metadata(retrain: "Retrain", artifact: "ArtifactRecord") -> Metadata:
    """Return what ``[model, candidate]`` says of a trained model."""
    return {
        "retrain": retrain.retrain_id,
        "attempt": retrain.attempt,
        "artifact": artifact.digest,
        "dagster/size_bytes": artifact.size,
        **scalars(artifact.metrics),
        "params": dg.MetadataValue.json(plain(artifact.params)),
        "code": dg.MetadataValue.json(plain(artifact.code)),
        "data": dg.MetadataValue.json(plain(artifact.data)),
    }


def evaluation_metadata(evaluation: "EvaluationRecord", picture: str) -> Metadata:
    """Return what ``[model, evaluation]`` says of a judged candidate."""
    reasons = "\n".join(f"- {reason}" for reason in evaluation.reasons)
    return {
        **charted(picture),
        "verdict": evaluation.verdict,
        "reasons": dg.MetadataValue.md(reasons),
        "rows": evaluation.n_rows,
        **scalars(evaluation.metrics),
        "report": evaluation.report_digest,
    }


def champion_metadata(promotion: "Promotion", version: "Version", picture: str) -> Metadata:
    """Return what ``[model, champion]`` says of a promotion, however it came about."""
    metadata: Metadata = {
        **charted(picture),
        "version": promotion.version,
        "promotion": promotion.kind,
        "actor": promotion.actor,
        "artifact": version.artifact_digest,
        "retrain": version.retrain_id,
        **instant("promoted_at", promotion.at),
        **instant("data_until", version.data_until),
    }
    if promotion.previous_version is not None:
        metadata["previous_version"] = promotion.previous_version
    if promotion.reason:
        metadata["reason"] = promotion.reason
    return metadata | scalars(version.metrics)


def drift_metadata(report: Mapping[str, Any]) -> Metadata:
    """Return what ``[model, drift]`` says of one drift report (the JSON of a ``DriftReport``)."""
    columns, drifted = report["columns"], report["drifted"]
    metadata: Metadata = {
        "drifted_columns": len(drifted),
        "worst_score": max((column["score"] or 0.0 for column in columns), default=0.0),
        "rows": report["n_rows_current"],
        "rows_reference": report["n_rows_reference"],
    }
    if not report["judged"]:
        metadata["not_judged"] = report["not_judged_reason"]
    if report.get("alpha") is not None:
        metadata["alpha"] = float(report["alpha"])
    joint = report.get("joint")
    if joint is not None:
        metadata["moving_together"] = joint["sentence"]
    if drifted:
        told = [
            (column["column"], column["score"] or 0.0, column["sentence"]) for column in columns if column["flagged"]
        ]
        metadata["drifted"] = dg.MetadataValue.md(table(["column", "score", "what changed"], told))
    return metadata


def drift_table(report: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> Metadata:
    """Return every column of the newest drift report, flagged ones first, with its score over the last reports.

    Args:
        report: The newest report, the JSON of a ``DriftReport``.
        earlier: The reports before it and itself, oldest first.
    """
    from ratoon.report import block_sparkline  # loads numpy: a listing of assets must not

    histories = column_scores(earlier)
    rows = sorted(report["columns"], key=lambda column: not column["flagged"])
    told = []
    for column in rows:
        smallest = smallest_effect(report["settings"], column["column"])
        scores = histories.get(column["column"], [])[-_SPARKS:]
        named = f"**{column['column']}**" if column["flagged"] else column["column"]
        told.append(
            (
                named,
                block_sparkline(scores, top=max([2 * smallest, *(one for one in scores if one is not None)])),
                "" if column["score"] is None else f"{column['score']:.3f} of {smallest:g}",
                "" if column.get("p_value") is None else f"{column['p_value']:.2g}",
                column.get("n_current", ""),
                column["sentence"],
            )
        )
    if not told:
        return {}
    header = ["column", f"last {_SPARKS} reports", "score", "p", "rows", "what changed"]
    return {"columns": dg.MetadataValue.md(table(header, told))}


def column_scores(reports: Iterable[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Return each column's scores in the order of the reports; one that a report lacks is a gap."""
    found: dict[str, list[float | None]] = {}
    for position, report in enumerate(reports):
        for column in report.get("columns", []):
            scores = found.setdefault(column["column"], [])
            scores += [None] * (position - len(scores)) + [column["score"]]
    return found


def smallest_effect(settings: Mapping[str, Any], column: str) -> float:
    """Return the smallest score of a column that matters: its own dial, or the report's."""
    own = (settings.get("columns") or {}).get(column) or {}
    return float(own.get("min_effect") or settings["min_effect"])


def judged_scores(metrics: Mapping[str, Any]) -> list[Metadata]:
    """Return ``name``, ``value``, ``low`` and ``high`` of candidate, champion and baseline, as far as they were judged.

    Args:
        metrics: An evaluation's metrics by flat name: ``candidate``, ``candidate_low``, ``candidate_high`` ...
    """
    judged = [name for name in ("candidate", "champion", "baseline") if metrics.get(name) is not None]
    return [
        {
            "name": name,
            "value": float(metrics[name]),
            "low": metrics.get(f"{name}_low"),
            "high": metrics.get(f"{name}_high"),
        }
        for name in judged
    ]


def gate_metadata(evaluation: "EvaluationRecord", checks: Sequence[Mapping[str, Any]]) -> Metadata:
    """Return what the promotion gate says: every check with its value and its sentence."""
    rows = [(check["name"], "yes" if check["passed"] else "**no**", check["sentence"]) for check in checks]
    measured = {check["name"]: check["value"] for check in checks if check["value"] is not None}
    return {
        "verdict": evaluation.verdict,
        "rows": evaluation.n_rows,
        **measured,
        "checks": dg.MetadataValue.md(table(["check", "passed", "because"], rows)),
    }
