"""Profiles add up: any window is the sum of its batches' profiles."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon.errors import DataError
from ratoon.profiles.schema import PROFILE_SCHEMA

_ADDED: Final = ("n", "nulls", "nans", "infs", "sum", "sum2", "rest", "rest_singletons")
_Codes = NDArray[np.unsignedinteger[Any]]
_COUNTED: Final = ("n", "nulls", "nans", "infs", "rest")
_LISTS: Final = ("counts", "lengths", "patterns")
_SAME: Final = ("kind", "binning", "center", "categories")


def merge(profiles: pl.DataFrame | pl.LazyFrame | Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Add profiles up: associative, commutative, and the empty profile changes nothing.

    Counts are exact whatever the order; ``sum`` and ``sum2`` agree to floating-point rounding. ``rest_singletons``
    is an upper bound (a value may be single in each of two batches).

    Args:
        profiles: Frames of :data:`ratoon.profiles.PROFILE_SCHEMA`, or one frame that holds the rows of many batches
            (more columns, such as the batch id, are not looked at).

    Returns:
        A frame of :data:`ratoon.profiles.PROFILE_SCHEMA`, one row per column, sorted by its name; no row where
        there is no profile.

    Raises:
        DataError: The profiles are of more than one binning.
    """
    rows = _rows(profiles).rechunk()
    _check_one_binning(rows)
    added = (
        rows.group_by("column")
        .agg(
            pl.col(_SAME).first(),
            pl.col(_ADDED).sum(),
            pl.col("min").min(),
            pl.col("max").max(),
            n_values=pl.col("sum").count(),
        )
        .sort("column")
    )
    names = added["column"].to_list()
    codes = rows["column"].cast(pl.Enum(names)).to_physical().to_numpy()
    has_values = pl.col("n_values") > 0
    return added.with_columns(
        *(pl.Series(name, _list_totals(rows[name], codes, names), dtype=PROFILE_SCHEMA[name]) for name in _LISTS),
        pl.Series("registers", _register_unions(rows["registers"], codes, len(names)), dtype=pl.Binary),
        *(pl.when(has_values).then(pl.col(name)).alias(name) for name in ("sum", "sum2")),
    ).select(pl.col(name).cast(dtype) for name, dtype in PROFILE_SCHEMA.items())


def subtract(total: pl.DataFrame, part: pl.DataFrame) -> pl.DataFrame:
    """Take a part out of a sum again: the profile of the other batches.

    All counts are exact, those of the joint row too; ``sum`` and ``sum2`` agree to floating-point rounding. What
    can't be taken out stays that of the total: ``min``, ``max``, ``registers`` and ``rest_singletons`` are bounds.

    Args:
        total: A sum of profiles (:data:`ratoon.profiles.PROFILE_SCHEMA`).
        part: The sum of some of them.

    Returns:
        A frame like ``total``.

    Raises:
        DataError: The profiles are of different binnings or columns, or the part isn't one of the total.
    """
    if not part.height:
        return total.select(*PROFILE_SCHEMA)
    _check_one_binning(pl.concat([total.select("binning"), part.select("binning")]))
    rows, taken = (side.select(*PROFILE_SCHEMA).sort("column") for side in (total, part))
    if rows["column"].to_list() != taken["column"].to_list():
        raise DataError("the part has other columns than the total; subtract profiles of the same binning")
    left = rows.with_columns(
        *(rows[name] - taken[name] for name in (*_COUNTED, "sum", "sum2")),
        *(pl.Series(name, _differences(rows[name], taken[name]), dtype=PROFILE_SCHEMA[name]) for name in _LISTS),
    )
    return left.with_columns(rest_singletons=pl.min_horizontal("rest_singletons", "rest")).pipe(_check_counts)


def _differences(totals: pl.Series, parts: pl.Series) -> list[list[int] | None]:
    pairs = zip(totals.to_list(), parts.to_list(), strict=True)
    return [None if a is None else [x - y for x, y in zip(a, b, strict=True)] for a, b in pairs]


def _check_counts(left: pl.DataFrame) -> pl.DataFrame:
    """Refuse counts below 0; the sums of the joint row may be."""
    counted = left.filter(pl.col("kind") != "joint")
    lowest = pl.min_horizontal(*_COUNTED, *(pl.col(name).list.min() for name in _LISTS))
    wrong = counted.filter(lowest < 0)["column"].to_list()
    if wrong or (left["n"] < 0).any():
        raise DataError(f"the part is not one of the total: columns {wrong[:5]} would hold fewer than 0 rows")
    return left


def _list_totals(lists: pl.Series, codes: _Codes, names: list[str]) -> list[list[int] | None]:
    """Add up the lists of each column's rows; null where they are null."""
    if not len(lists):
        return []
    lengths = lists.list.len().cast(pl.Int64).fill_null(-1).to_numpy()
    n = len(names)
    first = codes[:n]
    is_regular = len(codes) % n == 0 and (codes.reshape(-1, n) == first).all() and len(np.unique(first)) == n
    if is_regular and (lengths.reshape(-1, n) == lengths[:n]).all():
        return _regular_totals(lists, lengths[:n], first)
    return [_column_total(lists.gather(np.flatnonzero(codes == code)), name) for code, name in enumerate(names)]


def _regular_totals(lists: pl.Series, lengths: NDArray[np.int64], codes: _Codes) -> list[list[int] | None]:
    """Add up batches that all have their columns in the same order: one sum over the flat values."""
    kept = np.maximum(lengths, 0)
    flat = lists.explode(empty_as_null=False, keep_nulls=False).to_numpy()
    total = flat.reshape(-1, int(kept.sum())).sum(axis=0) if kept.sum() else flat
    parts = np.split(total, np.cumsum(kept)[:-1])
    found: list[list[int] | None] = [None] * len(codes)
    for code, length, part in zip(codes.tolist(), lengths.tolist(), parts, strict=True):
        found[code] = None if length < 0 else part.tolist()
    return found


def _column_total(lists: pl.Series, name: str) -> list[int] | None:
    lengths = lists.list.len().unique().to_list()
    if len(lengths) > 1:
        raise DataError(f"profiles of column {name!r} hold counts of several lengths; profile its batches again")
    if not lengths[0]:
        return None if lengths[0] is None else []
    flat = lists.explode(empty_as_null=False).to_numpy()
    total: list[int] = flat.reshape(len(lists), -1).sum(axis=0).tolist()
    return total


def _register_unions(registers: pl.Series, codes: _Codes, n_columns: int) -> list[bytes | None]:
    has_sketch = registers.is_not_null().to_numpy()
    found: list[bytes | None] = [None] * n_columns
    for code in np.unique(codes[has_sketch]).tolist():
        found[code] = _union(registers.gather(np.flatnonzero(has_sketch & (codes == code))).to_list())
    return found


def _union(sketches: list[bytes]) -> bytes:
    largest: bytes = np.frombuffer(b"".join(sketches), dtype=np.uint8).reshape(len(sketches), -1).max(axis=0).tobytes()
    return largest


def _check_one_binning(rows: pl.DataFrame) -> None:
    digests = rows["binning"].unique().sort().to_list()
    if len(digests) > 1:
        shown = ", ".join(digest[:12] for digest in digests[:5])
        raise DataError(
            f"profiles of {len(digests)} binnings ({shown}) can't be added up; "
            "select those of one, or profile the batches again"
        )


def _rows(profiles: pl.DataFrame | pl.LazyFrame | Iterable[pl.DataFrame]) -> pl.DataFrame:
    if isinstance(profiles, pl.LazyFrame):
        return profiles.select(*PROFILE_SCHEMA).collect()
    if isinstance(profiles, pl.DataFrame):
        return profiles.select(*PROFILE_SCHEMA)
    return pl.concat([pl.DataFrame(schema=PROFILE_SCHEMA), *(part.select(*PROFILE_SCHEMA) for part in profiles)])
