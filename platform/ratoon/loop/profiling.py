"""Profiles every batch once, in the dataset's bins."""

import polars as pl

from ratoon.bootstrap import Ratoon
from ratoon.declarations import DatasetSpec
from ratoon.ledger.records import Batch
from ratoon.ledger.states import BatchState
from ratoon.loop.reports import ProfileReport
from ratoon.profiles import MIN_ROWS, PROFILE_SCHEMA, Binning, make_binning, profile


def profile_pending(app: Ratoon, dataset: str) -> list[ProfileReport]:
    """Profile the batches of a dataset that have no profile yet, oldest first.

    The bins are made once, from the first batch with at least 500 rows; smaller ones before it wait for it.

    Args:
        app: The application.
        dataset: A declared dataset.

    Returns:
        One report per batch that was profiled now.
    """
    spec = app.dataset(dataset)
    known = app.lake.scan_profiles(dataset, schema=PROFILE_SCHEMA).select("_batch", "binning").unique().collect()
    profiled = set(known["_batch"].to_list())
    pending = [
        batch
        for batch in reversed(app.ledger.batches(dataset, role="rows"))
        if _is_due(batch) and batch.batch_id not in profiled
    ]
    binning = _binning(app, spec, known["binning"].to_list(), pending)
    return [] if binning is None else [_profile_one(app, spec, binning, batch) for batch in pending]


def _is_due(batch: Batch) -> bool:
    return batch.state == BatchState.INGESTED and bool(batch.rows_kept)


def _binning(app: Ratoon, spec: DatasetSpec, digests: list[str], pending: list[Batch]) -> Binning | None:
    if digests:
        return Binning.from_json(app.artifacts.get(digests[0]).decode())
    first = next((batch for batch in pending if (batch.rows_kept or 0) >= MIN_ROWS), None)
    if first is None:
        return None
    binning = make_binning(_rows(app, spec, first), spec.contract)
    digest = app.artifacts.put(binning.to_json().encode())
    return Binning.from_json(app.artifacts.get(digest).decode())


def _profile_one(app: Ratoon, spec: DatasetSpec, binning: Binning, batch: Batch) -> ProfileReport:
    counted = profile(_rows(app, spec, batch), binning)
    app.lake.append_profiles(spec.name, batch.batch_id, counted, as_of=batch.as_of)
    usable = pl.col("n") - pl.col("nulls") - pl.col("nans") - pl.col("infs")
    columns = counted.select(
        "column", "kind", "n", "nulls", "min", "max", mean=pl.when(usable > 0).then(pl.col("sum") / usable)
    )
    return ProfileReport(
        batch_id=batch.batch_id,
        as_of=batch.as_of,
        n_rows=batch.rows_kept or 0,
        columns=columns.to_dicts(),
        binning_digest=binning.digest,
    )


def _rows(app: Ratoon, spec: DatasetSpec, batch: Batch) -> pl.DataFrame:
    return (
        app.lake.scan_rows(spec.name, contract=spec.contract)
        .filter(pl.col("_batch") == batch.batch_id)
        .drop("_batch", "_as_of")
        .collect()
    )
