"""One additive profile per batch, in one pass over its rows."""

from typing import Any, Final

import polars as pl

from ratoon.errors import SchemaMismatchError
from ratoon.profiles.binning import Binning, ColumnBinning

PROFILE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "column": pl.String(),
    "kind": pl.String(),
    "binning": pl.String(),
    "n": pl.Int64(),
    "nulls": pl.Int64(),
    "nans": pl.Int64(),
    "infs": pl.Int64(),
    "sum": pl.Float64(),
    "sum2": pl.Float64(),
    "min": pl.Float64(),
    "max": pl.Float64(),
    "counts": pl.List(pl.Int64()),
    "rest": pl.Int64(),
    "rest_singletons": pl.Int64(),
    "categories": pl.List(pl.String()),
    "distinct": pl.Int64(),
}
"""Columns of a profile, one row per column of the dataset, sorted by its name.

kind, binning: see :mod:`ratoon.profiles.binning`; binning is the digest · n: rows, nulls and all · nulls, nans,
infs: rows without a usable value, each counted once · sum, sum2: of the finite values; null unless numeric ·
min, max: of the finite values, times in seconds since 1970; null where there is no value, for text and for
personal data · counts: rows per bin or listed category; empty unless numeric or category · rest: rows with a
value that isn't listed; rest_singletons: such values that one batch holds once · categories: the listed values;
null unless category · distinct: how many distinct values one batch holds, the largest one of all batches (distinct
values don't add up); null unless identifier.
"""

_Row = dict[str, Any]


def profile(frame: pl.DataFrame | pl.LazyFrame, binning: Binning) -> pl.DataFrame:
    """Count a batch in a dataset's bins: one lazy select, streamed, whatever the batch's size.

    Args:
        frame: Rows with at least the binning's columns, typed as the contract says; others are not looked at.
        binning: The dataset's bins.

    Returns:
        A frame of :data:`PROFILE_SCHEMA`; :func:`ratoon.profiles.merge` adds such frames up.

    Raises:
        SchemaMismatchError: The frame lacks a column of the binning.
    """
    lazy = frame.lazy()
    missing = sorted(set(binning.columns) - set(lazy.collect_schema().names()))
    if missing:
        raise SchemaMismatchError(
            f"the batch lacks columns {missing} of the binning {binning.digest[:12]}; "
            "make a new binning when the contract changes"
        )
    expressions = [expression for name, column in binning.columns.items() for expression in _expressions(name, column)]
    found = lazy.select(pl.len().alias("n"), *expressions).collect(engine="streaming").row(0, named=True)
    rows = [_row(name, column, binning.digest, found) for name, column in sorted(binning.columns.items())]
    return pl.DataFrame(rows, schema=PROFILE_SCHEMA, orient="row")


def _expressions(name: str, column: ColumnBinning) -> list[pl.Expr]:
    found = {"nulls": pl.col(name).null_count()}
    match column.kind:
        case "numeric":
            found |= _numeric(name, column)
        case "category":
            found |= _category(name, column)
        case "identifier":
            found["distinct"] = pl.col(name).drop_nulls().n_unique()
        case "time" | "key":
            found |= _range(name, column)
    return [expression.alias(f"{name} {what}") for what, expression in found.items()]


def _numeric(name: str, column: ColumnBinning) -> dict[str, pl.Expr]:
    value = pl.col(name).cast(pl.Float64)
    finite = pl.when(value.is_finite()).then(value)
    found = {"nans": value.is_nan().sum(), "infs": value.is_infinite().sum(), "low": (value == float("-inf")).sum()}
    found |= {f"le{i}": (value <= edge).sum() for i, edge in enumerate(column.edges)}
    if not column.pii:
        found |= {"sum": finite.sum(), "sum2": (finite * finite).sum(), "min": finite.min(), "max": finite.max()}
    return found


def _category(name: str, column: ColumnBinning) -> dict[str, pl.Expr]:
    value = pl.col(name).cast(pl.String)
    is_listed = value.is_in(column.categories)
    listed = value.filter(is_listed).alias("value").value_counts(name="n")
    rest = value.filter(~is_listed)
    return {"listed": listed.implode(), "rest": rest.len(), "rest_singletons": rest.is_unique().sum()}


def _range(name: str, column: ColumnBinning) -> dict[str, pl.Expr]:
    if column.pii or column.type in ("string", "category"):
        return {}
    if column.type in ("date", "datetime"):
        value = pl.col(name).dt.timestamp("us").cast(pl.Float64) / 1e6
    else:
        value = pl.col(name).cast(pl.Float64)
        value = value.filter(value.is_finite())
    return {"min": value.min(), "max": value.max()}


def _row(name: str, column: ColumnBinning, digest: str, found: _Row) -> _Row:
    numbers: _Row = {
        what: found.get(f"{name} {what}", 0) for what in ("nulls", "nans", "infs", "rest", "rest_singletons")
    }
    values: _Row = {what: found.get(f"{name} {what}") for what in ("sum", "sum2", "min", "max", "distinct")}
    return {
        "column": name,
        "kind": column.kind,
        "binning": digest,
        "n": found["n"],
        **numbers,
        **values,
        "counts": _counts(name, column, numbers, found),
        "categories": column.categories if column.kind == "category" else None,
    }


def _counts(name: str, column: ColumnBinning, numbers: _Row, found: _Row) -> list[int]:
    if column.kind == "category":
        listed = {entry["value"]: entry["n"] for entry in found[f"{name} listed"]}
        return [listed.get(category, 0) for category in column.categories]
    if column.kind != "numeric":
        return []
    n_finite = found["n"] - numbers["nulls"] - numbers["nans"] - numbers["infs"]
    below = [found[f"{name} le{i}"] - found[f"{name} low"] for i in range(len(column.edges))]
    return [upper - lower for lower, upper in zip([0, *below], [*below, n_finite], strict=True)]
