"""Batches as counts: what is stored of them in given bins, and what has to be counted once more."""

from datetime import datetime
from functools import lru_cache

import polars as pl

from ratoon.bootstrap import Ratoon
from ratoon.declarations import DatasetSpec
from ratoon.errors import DataError
from ratoon.profiles import PROFILE_SCHEMA, Binning, profile

BatchTimes = dict[str, datetime]
"""As-of time by batch id."""


def batch_rows(app: Ratoon, spec: DatasetSpec, batches: BatchTimes) -> pl.DataFrame:
    """Return the kept rows of some batches, with their origin in ``_batch``; files of other times are not read."""
    wanted = pl.col("_batch").is_in(list(batches)) & pl.col("_as_of").is_between(
        min(batches.values()), max(batches.values())
    )
    return app.lake.scan_rows(spec.name, contract=spec.contract).filter(wanted).drop("_as_of").collect()


def counts_of(app: Ratoon, spec: DatasetSpec, binning: Binning, batches: BatchTimes) -> pl.DataFrame:
    """Return the profiles of some batches in given bins; the ones that are missing are counted now, and kept.

    Cost: the stored rows of the batches' time. Raw rows are read only of batches that were never counted in these
    bins, and of each once.

    Returns:
        Rows of :data:`ratoon.profiles.PROFILE_SCHEMA` with ``_batch``.
    """
    if not batches:
        return pl.DataFrame(schema={**PROFILE_SCHEMA, "_batch": pl.String()})
    times = batches.values()
    stored = (
        app.lake.scan_profiles(
            spec.name, schema=PROFILE_SCHEMA, as_of=max(times), since=min(times), binning=binning.digest
        )
        .filter(pl.col("_batch").is_in(list(batches)))
        .drop("_as_of")
        .collect()
    )
    missing = sorted(set(batches) - set(stored["_batch"]))
    if not missing:
        return stored
    counted = [stored]
    for (name,), rows in batch_rows(app, spec, {name: batches[name] for name in missing}).group_by(
        "_batch", maintain_order=True
    ):
        found = count_rows(app, spec, binning, str(name), rows.drop("_batch"), as_of=batches[str(name)])
        counted.append(found.with_columns(_batch=pl.lit(name)))
    return pl.concat(counted)


def count_rows(
    app: Ratoon, spec: DatasetSpec, binning: Binning, batch_id: str, rows: pl.DataFrame, *, as_of: datetime
) -> pl.DataFrame:
    """Count a batch's rows in given bins and keep the profile: each batch once per bins."""
    counted = profile(rows, binning)
    app.lake.append_profiles(spec.name, batch_id, counted, as_of=as_of, binning=binning.digest)
    return counted


def keep_binning(app: Ratoon, binning: Binning) -> Binning:
    """Store bins under their digest."""
    app.artifacts.put(binning.to_json().encode())
    return binning


def load_binning(app: Ratoon, spec: DatasetSpec, digest: str) -> Binning | None:
    """Return stored bins, or None where they no longer fit: the contract has other columns, or an older Ratoon made them."""
    try:
        binning = _read(app, digest)
    except DataError:
        return None
    same = {name: column.type for name, column in spec.contract.columns.items()}
    return binning if {name: column.type for name, column in binning.columns.items()} == same else None


@lru_cache(maxsize=16)
def _read(app: Ratoon, digest: str) -> Binning:
    return Binning.from_json(app.artifacts.get(digest).decode())
