"""Predictions of arriving batches, and their performance once labels are known."""

from datetime import datetime
from functools import lru_cache
from typing import Any

import polars as pl

from ratoon.bootstrap import Ratoon
from ratoon.declarations import ModelSpec
from ratoon.errors import NotFoundError
from ratoon.ledger.records import Event, Version
from ratoon.scoring import cohort_performance
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
    return {
        "batch_id": batch_id,
        "n_rows": n_rows,
        "version": version,
        "lake_version": lake_version,
        "score_mean": score_mean,
        "features_changed": scorer.features_changed,
    }


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
    key = contract.entity_key
    predictions = app.lake.scan_predictions(spec.name)
    if "score" not in predictions.collect_schema():
        return []
    labels = app.lake.scan_labels(spec.dataset, contract, as_of=as_of)
    arrived = labels.filter(pl.col("_batch") == event.data["batch_id"]).select(key)
    touched = predictions.join(arrived, on=key, how="semi").select(_COHORT).unique().collect()[_COHORT]
    if touched.is_empty():
        return []
    known = labels.select(*key, pl.col(contract.label.column).alias("label"))
    cohorts = predictions.filter(pl.col(_COHORT).is_in(touched.to_list()))
    scored = cohorts.join(known, on=key, how="left").sort("_as_of", *key).collect()
    return _record(app, spec, scored, as_of)


def _record(app: Ratoon, spec: ModelSpec, scored: pl.DataFrame, as_of: datetime) -> list[dict[str, Any]]:
    versions = {version.version: version for version in app.ledger.versions(spec.name)}
    found = []
    for (cohort,), rows in scored.group_by(_COHORT, maintain_order=True):
        version = rows["version"][0]
        row = cohort_performance(rows, spec.task, spec.gate.metric, classes=_classes(app, spec, versions[version]))
        measured: dict[str, Any] = {"value": row.value, "n_rows": row.n_rows, "n_matured": row.n_matured}
        about: dict[str, Any] = {"as_of": as_of, "metric": spec.gate.metric, "version": version}
        reference = versions[version].metrics.get("candidate")
        details = {"maturity": row.maturity, "reference": reference, "reason": row.reason}
        app.ledger.record_performance(spec.name, str(cohort), **about, **measured, details=details)
        found.append({"cohort": cohort, **about, **details, **measured})
    return found


def _classes(app: Ratoon, spec: ModelSpec, version: Version) -> Any:
    """Return the classes of the version that scored: a later one may know more."""
    return _scorer(app, version.artifact_digest).classes if spec.task == "multiclass" else None


def _score_mean(spec: ModelSpec) -> pl.Expr:
    return pl.lit(None, pl.Float64) if spec.task == "multiclass" else pl.col("score").mean()


@lru_cache(maxsize=4)
def _scorer(app: Ratoon, digest: str) -> Scorer:
    """Return a loaded champion; a run scores many batches with the same one."""
    return Scorer.load(app.artifacts, digest, str(app.settings.project), threads=app.settings.threads)
