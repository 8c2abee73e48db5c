"""Whether an ingested batch looks broken beside the batches before it."""

from datetime import datetime
from typing import NamedTuple

import polars as pl

from ratoon.alerts import raise_batch_alerts
from ratoon.bootstrap import Ratoon
from ratoon.declarations import DatasetSpec
from ratoon.diagnosis import (
    BatchFacts,
    Diagnosis,
    Watched,
    counts_digest,
    diagnose,
    group_incidents,
    restore_rows,
)
from ratoon.ledger.records import Batch, ProfileRecord
from ratoon.loop.counting import counts_of
from ratoon.profiles import Binning, merge, profile

_LOOKS_BACK = 30
"""Batches before, against which one is judged."""


class Judged(NamedTuple):
    """What is known of a batch, and what follows; no diagnosis where no batch came before."""

    facts: BatchFacts
    diagnosis: Diagnosis | None


def diagnose_batch(
    app: Ratoon, spec: DatasetSpec, binning: Binning, batch: Batch, counted: pl.DataFrame, rows: pl.DataFrame
) -> Judged:
    """Judge a batch against the newest batches before it, those that were held left out.

    Args:
        app: The application.
        spec: The dataset.
        binning: The bins of ``counted``.
        batch: The batch.
        counted: Its kept rows' profile.
        rows: Its kept rows.
    """
    quarantine = app.lake.scan_quarantine(spec.name).filter(pl.col("_batch") == batch.batch_id).collect()
    facts = _facts(app, spec, batch, counted, rows, quarantine)
    before = [
        record
        for record in app.ledger.profiles(spec.name, limit=_LOOKS_BACK, until=batch.as_of)
        if record.batch_id != batch.batch_id and record.rows_kept and not _is_held(record)
    ]
    if not before:
        return Judged(facts, None)
    before.reverse()
    times = {record.batch_id: record.as_of for record in before}
    stored = counts_of(app, spec, binning, times).partition_by("_batch", as_dict=True, include_key=False)
    past = [stored[record.batch_id,] for record in before if (record.batch_id,) in stored]
    arrived = rows
    if not quarantine.is_empty():
        unkept = restore_rows(quarantine, spec.contract)
        arrived, counted = pl.concat([rows, unkept]), merge([counted, profile(unkept, binning)])
    diagnosis = diagnose(
        merge(past),
        counted,
        binning=binning,
        facts=facts,
        history=[BatchFacts.model_validate(record.facts) for record in before],
        past=past,
        batch=arrived,
        event_time=spec.contract.event_time,
    )
    return Judged(facts, diagnosis)


def alert_about(app: Ratoon, dataset: str, diagnosis: Diagnosis, *, as_of: datetime) -> None:
    """Raise the alert of a batch that looks broken, under its incident, or resolve what an earlier one raised."""
    models = [model.name for model in app.project.models_of(dataset)]
    seen = Watched(dataset=dataset, as_of=as_of, models=models, diagnosis=diagnosis)
    incidents = {incident.cause: incident.key for incident in group_incidents([seen])}
    raise_batch_alerts(
        app.ledger,
        dataset,
        batch_id=diagnosis.batch_id,
        as_of=as_of,
        diagnosis=diagnosis.model_dump(mode="json"),
        incident=None if diagnosis.cause is None else incidents.get(diagnosis.cause),
    )


def _facts(
    app: Ratoon, spec: DatasetSpec, batch: Batch, counted: pl.DataFrame, rows: pl.DataFrame, quarantine: pl.DataFrame
) -> BatchFacts:
    reasons = quarantine["reasons"].explode(empty_as_null=False).value_counts().rows() if quarantine.height else []
    return BatchFacts(
        batch_id=batch.batch_id,
        as_of=batch.as_of,
        n_rows=batch.rows_in,
        n_quarantined=batch.rows_quarantined or 0,
        reasons=dict(sorted(reasons)),
        event_time_min=batch.event_time_min,
        event_time_max=batch.event_time_max,
        n_duplicate_keys=_repeated(app, spec, batch, rows),
        counts_digest=counts_digest(counted),
    )


def _repeated(app: Ratoon, spec: DatasetSpec, batch: Batch, rows: pl.DataFrame) -> int:
    """Count the rows whose entity key an earlier batch holds; only rows of the same event times are read."""
    if rows.is_empty():
        return 0
    key, time = spec.contract.entity_key, spec.contract.event_time
    earlier = app.lake.scan_rows(spec.name, contract=spec.contract, as_of=batch.as_of).filter(
        pl.col(time).is_between(batch.event_time_min, batch.event_time_max), pl.col("_batch") != batch.batch_id
    )
    return int(rows.lazy().select(key).join(earlier.select(key), on=key, how="semi").select(pl.len()).collect().item())


def _is_held(record: ProfileRecord) -> bool:
    return record.diagnosis is not None and Diagnosis.model_validate(record.diagnosis).is_held
