"""What each asset and check says about a report or a record. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from ratoon_assets.rendering import Metadata, charted, error_text, instant, plain, scalars, table

if TYPE_CHECKING:
    from ratoon.ledger.records import ArtifactRecord, Batch, EvaluationRecord, Promotion, Retrain, Version
    from ratoon.loop.reports import BatchReport, ProfileReport, StepReport

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
    cells = profile.n_rows * max(len(profile.columns), 1)
    nulls = [(column["column"], column.get("nulls") or 0) for column in profile.columns]
    shares = [(name, f"{count:,}", f"{count / profile.n_rows:.2%}" if profile.n_rows else "") for name, count in nulls]
    return {
        "batch": profile.batch_id,
        "rows": profile.n_rows,
        "null_share": sum(count for _, count in nulls) / cells if cells else 0.0,
        "binning": profile.binning_digest,
        **instant("as_of", profile.as_of),
        "columns": dg.MetadataValue.md(table(["column", "nulls", "share"], shares)),
    }


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
    told = [
        (cohort["cohort"], cohort["version"], cohort["value"] or "", cohort["n_matured"], cohort["n_rows"])
        for cohort in cohorts
    ]
    return metadata | {
        "by_cohort": dg.MetadataValue.md(table(["cohort", "version", cohorts[-1]["metric"], "matured", "rows"], told))
    }


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
    if drifted:
        told = [
            (column["column"], column["score"] or 0.0, column["sentence"]) for column in columns if column["flagged"]
        ]
        metadata["drifted"] = dg.MetadataValue.md(table(["column", "score", "what changed"], told))
    return metadata


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
