"""Predictions of arriving batches, and their performance once labels are known."""

from datetime import datetime
from functools import lru_cache
from typing import Any

import polars as pl

from ratoon.bootstrap import Ratoon
from ratoon.contracts.spec import label_contract
from ratoon.declarations import ModelSpec
from ratoon.errors import NotFoundError
from ratoon.ledger.records import Event, Version
from ratoon.loop.decay import cohorts_of, estimate_cohort
from ratoon.performance import cohort_delays, cohort_loss, cohort_performance, score_sums, slice_sums
from ratoon.performance.cohorts import matured_arrays
from ratoon.training.scoring import Scorer

_COHORT = "_batch"


def predict_batch(app: Ratoon, spec: ModelSpec, champion: Version, event: Event, *, as_of: datetime) -> dict[str, Any]:
    """Score a batch with the champion into the prediction log: each batch once, each row with its model's version.

    A crash between the log and the ledger leaves the batch scored by the version in the log, also when the champion
    has changed since.

    Args:
        app: The application.
        spec: The model.
        champion: What scores.
        event: The batch's event.
        as_of: Time of the prediction.
    """
    batch_id = event.data["batch_id"]
    contract = app.dataset(spec.dataset).contract
    scorer = _scorer(app, champion.artifact_digest)
    rows = (
        app.lake.scan_rows(spec.dataset, contract=contract).filter(pl.col(_COHORT) == batch_id).drop("_batch", "_as_of")
    )
    scored = scorer.score(rows.sort(contract.event_time, *contract.entity_key).collect())
    frame = scored.select(
        *contract.entity_key, contract.event_time, "score", version=pl.lit(champion.version, pl.Int64)
    )
    lake_version = app.lake.append_predictions(spec.name, batch_id, frame, as_of=as_of)
    written = app.lake.scan_predictions(spec.name).filter(pl.col(_COHORT) == batch_id)
    summary = written.select(pl.len(), pl.col("version").max(), score_mean=_score_mean(spec)).collect().row(0)
    n_rows, version, score_mean = summary
    version = version if version is not None else champion.version
    app.ledger.record_scoring(spec.name, version, batch_id, n_rows=n_rows, lake_version=lake_version, as_of=as_of)
    estimate = _open_cohort(app, spec, batch_id, version, scored, as_of)
    return {
        "estimate": None if estimate is None else estimate["value"],
        "batch_id": batch_id,
        "n_rows": n_rows,
        "version": version,
        "lake_version": lake_version,
        "score_mean": score_mean,
        "features_changed": scorer.features_changed,
    }


def _open_cohort(
    app: Ratoon, spec: ModelSpec, batch_id: str, version: int, scored: pl.DataFrame, as_of: datetime
) -> dict[str, Any] | None:
    """Record the cohort before any label is known, with what its metric probably is; return that estimate."""
    unlabelled = scored.select("score", label=pl.lit(None, pl.Float64))
    estimate = estimate_cohort(app, spec, version, unlabelled)
    details = {
        "maturity": 0.0,
        "estimate": estimate,
        "delays": _delays(
            scored.select(_as_of=pl.lit(as_of), known_at=pl.lit(None, pl.Datetime("us", "UTC"))), batch_id, as_of
        ),
    }
    app.ledger.open_performance(
        spec.name,
        batch_id,
        as_of=as_of,
        metric=spec.gate.metric,
        n_rows=scored.height,
        version=version,
        details=details,
    )
    return estimate


def update_performance(app: Ratoon, spec: ModelSpec, event: Event, *, as_of: datetime) -> list[dict[str, Any]]:
    """Compute again the performance of every cohort that a batch of labels touches, on matured rows only.

    Args:
        app: The application.
        spec: The model.
        event: The label batch's event.
        as_of: Labels that became known later are not seen.
    """
    contract = app.dataset(spec.dataset).contract
    if contract.label is None:
        raise NotFoundError(f"dataset {spec.dataset} declares no label; add label to its contract")
    predictions = app.lake.scan_predictions(spec.name)
    if "score" not in predictions.collect_schema():
        return []
    labels = app.lake.scan_labels(spec.dataset, contract, as_of=as_of)
    arrived = labels.filter(pl.col("_batch") == event.data["batch_id"]).select(contract.entity_key)
    touched = predictions.join(arrived, on=contract.entity_key, how="semi").select(_COHORT).unique().collect()[_COHORT]
    return measure_cohorts(app, spec, touched.to_list(), as_of=as_of)


def measure_cohorts(app: Ratoon, spec: ModelSpec, touched: list[str], *, as_of: datetime) -> list[dict[str, Any]]:
    """Compute the performance of predicted batches on the rows whose label is known; those without one are left out.

    Args:
        app: The application.
        spec: The model.
        touched: Ids of the batches.
        as_of: Labels that became known later are not seen.
    """
    contract = app.dataset(spec.dataset).contract
    if contract.label is None or not touched:
        return []
    key, predictions = contract.entity_key, app.lake.scan_predictions(spec.name)
    labels = app.lake.scan_labels(spec.dataset, contract, as_of=as_of)
    known_at = label_contract(contract).event_time
    known = labels.select(*key, pl.col(contract.label.column).alias("label"), pl.col(known_at).alias("known_at"))
    cohorts = predictions.filter(pl.col(_COHORT).is_in(touched))
    if spec.monitoring.slices:
        rows = app.lake.scan_rows(spec.dataset, contract=contract).filter(pl.col(_COHORT).is_in(touched))
        parts = rows.select(_COHORT, *key, *(pl.col(name).cast(pl.String) for name in _slices(spec, key)))
        cohorts = cohorts.join(parts, on=[_COHORT, *key], how="left")
    scored = cohorts.join(known, on=key, how="left").sort("_as_of", *key).collect()
    is_labelled = pl.col("label").is_not_null().any().over(_COHORT)
    return _record(app, spec, scored.filter(is_labelled), as_of)


def _slices(spec: ModelSpec, key: list[str]) -> list[str]:
    return [name for name in spec.monitoring.slices if name not in key]


def _record(app: Ratoon, spec: ModelSpec, scored: pl.DataFrame, as_of: datetime) -> list[dict[str, Any]]:
    versions = {version.version: version for version in app.ledger.versions(spec.name)}
    opened = {row.cohort: row for row in cohorts_of(app, spec)}
    found = []
    for (cohort,), rows in scored.group_by(_COHORT, maintain_order=True):
        version = rows["version"][0]
        classes = _classes(app, spec, versions[version])
        row = cohort_performance(rows, spec.task, spec.gate.metric, classes=classes)
        measured: dict[str, Any] = {"value": row.value, "n_rows": row.n_rows, "n_matured": row.n_matured}
        about: dict[str, Any] = {"as_of": as_of, "metric": spec.gate.metric, "version": version}
        before = opened[str(cohort)].details if str(cohort) in opened else {}
        details = {
            "maturity": row.maturity,
            "reference": versions[version].metrics.get("candidate"),
            "reason": row.reason,
            "estimate": before.get("estimate"),
        }
        sums = _sums(spec, str(cohort), rows, classes, as_of)
        app.ledger.record_performance(spec.name, str(cohort), **about, **measured, details=details | sums)
        found.append({"cohort": cohort, **about, **details, **measured})
    return found


def _sums(spec: ModelSpec, cohort: str, rows: pl.DataFrame, classes: Any, as_of: datetime) -> dict[str, Any]:
    """Return what adds up over cohorts: sums of scores and labels, labels by age, the loss, and the slices."""
    label, score = matured_arrays(rows, spec.task, classes)
    loss = cohort_loss(cohort, spec.gate.metric, label, score)
    slices = slice_sums(
        rows,
        [name for name in spec.monitoring.slices if name in rows.columns],
        spec.task,
        spec.gate.metric,
        classes=classes,
    )
    return {
        "sums": score_sums(rows, spec.task, classes=classes).model_dump(mode="json"),
        "delays": _delays(rows, cohort, as_of),
        "loss": None if loss is None else loss.model_dump(mode="json"),
        "slices": slices.to_dicts(),
    }


def _delays(rows: pl.DataFrame, cohort: str, as_of: datetime) -> dict[str, Any] | None:
    if rows.is_empty():
        return None
    found = cohort_delays(rows.select("known_at", scored_at="_as_of"), cohort, as_of=as_of)
    return found.model_dump(mode="json")


def _classes(app: Ratoon, spec: ModelSpec, version: Version) -> Any:
    """Return the classes of the version that scored: a later one may know more."""
    return _scorer(app, version.artifact_digest).classes if spec.task == "multiclass" else None


def _score_mean(spec: ModelSpec) -> pl.Expr:
    return pl.lit(None, pl.Float64) if spec.task == "multiclass" else pl.col("score").mean()


@lru_cache(maxsize=4)
def _scorer(app: Ratoon, digest: str) -> Scorer:
    """Return a loaded champion; a run scores many batches with the same one."""
    return Scorer.load(app.artifacts, digest, str(app.settings.project), threads=app.settings.threads)
