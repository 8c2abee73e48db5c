"""Profiles add up: any window is the sum of its batches' profiles."""

from collections.abc import Iterable

import polars as pl

from ratoon.errors import DataError
from ratoon.profiles.profiling import PROFILE_SCHEMA

_ADDED = ("n", "nulls", "nans", "infs", "sum", "sum2", "rest", "rest_singletons")


def merge(profiles: pl.DataFrame | pl.LazyFrame | Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Add profiles up: associative, commutative, and the empty profile changes nothing.

    Counts are exact whatever the order; ``sum`` and ``sum2`` agree to floating-point rounding. ``rest_singletons``
    is an upper bound (a value may be single in each of two batches), ``distinct`` a lower one.

    Args:
        profiles: Frames of :data:`ratoon.profiles.PROFILE_SCHEMA`, or one frame that holds the rows of many batches
            (more columns, such as the batch id, are not looked at).

    Returns:
        A frame of :data:`ratoon.profiles.PROFILE_SCHEMA`, one row per column, sorted by its name; no row where
        there is no profile.

    Raises:
        DataError: The profiles are of more than one binning.
    """
    added = (
        _rows(profiles)
        .group_by("column")
        .agg(
            pl.col("kind", "binning", "categories").first(),
            pl.col(_ADDED).sum(),
            pl.col("min").min(),
            pl.col("max", "distinct").max(),
            pl.col("counts").explode(empty_as_null=False),
            n_values=pl.col("sum").count(),
            n_profiles=pl.len(),
            digests=pl.col("binning").unique(),
        )
    )
    found = added.sort("column").collect()
    _check_one_binning(found)
    totals = [_total(flat, n) for flat, n in zip(found["counts"], found["n_profiles"], strict=True)]
    has_values = pl.col("n_values") > 0
    return found.with_columns(
        pl.Series("counts", totals, dtype=pl.List(pl.Int64)),
        *(pl.when(has_values).then(pl.col(name)).alias(name) for name in ("sum", "sum2")),
    ).select(pl.col(name).cast(dtype) for name, dtype in PROFILE_SCHEMA.items())


def _total(flat: pl.Series, n_profiles: int) -> list[int]:
    """Add up the counts of several profiles that were laid one behind the other."""
    total: list[int] = flat.to_numpy().reshape(n_profiles, -1).sum(axis=0).tolist()
    return total


def _check_one_binning(found: pl.DataFrame) -> None:
    digests = found["digests"].explode().unique().sort().to_list() if len(found) else []
    if len(digests) > 1:
        shown = ", ".join(digest[:12] for digest in digests[:5])
        raise DataError(
            f"profiles of {len(digests)} binnings ({shown}) can't be added up; "
            "select those of one, or profile the batches again"
        )


def _rows(profiles: pl.DataFrame | pl.LazyFrame | Iterable[pl.DataFrame]) -> pl.LazyFrame:
    if isinstance(profiles, pl.DataFrame | pl.LazyFrame):
        return profiles.lazy().select(*PROFILE_SCHEMA)
    parts = [part.lazy().select(*PROFILE_SCHEMA) for part in profiles]
    return pl.concat([pl.LazyFrame(schema=PROFILE_SCHEMA), *parts])
