"""One additive profile per batch, in one pass over its rows."""

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from ratoon.errors import SchemaMismatchError
from ratoon.profiles.binning import Binning, ColumnBinning
from ratoon.profiles.chunks import MOST_COLUMNS, chunks
from ratoon.profiles.joint import JointSums
from ratoon.profiles.kinds import type_of
from ratoon.profiles.schema import PROFILE_SCHEMA, Row
from ratoon.profiles.tallies import tally


def profile(frame: pl.DataFrame | pl.LazyFrame, binning: Binning) -> pl.DataFrame:
    """Count a batch in a dataset's bins, piece by piece: each column is read once, whatever the batch's size.

    Args:
        frame: Rows with at least the binning's columns, typed as the contract says; others are not looked at.
        binning: The dataset's bins.

    Returns:
        A frame of :data:`PROFILE_SCHEMA`; :func:`ratoon.profiles.merge` adds such frames up.

    Raises:
        SchemaMismatchError: The frame lacks a column of the binning, or has it with a dtype that can't be counted so.
    """
    _check(frame.collect_schema(), binning)
    rows: list[Row] = []
    for names in _groups(binning):
        rows += profile_columns(frame, {name: binning.columns[name] for name in names}, _joint_of(binning, names))
    return as_profile(rows, binning)


def as_profile(rows: list[Row], binning: Binning) -> pl.DataFrame:
    """Return rows as a profile: what they don't say is 0 or null."""
    defaults = {**_DEFAULTS, "binning": binning.digest}
    whole = [defaults | row for row in sorted(rows, key=lambda row: str(row["column"]))]
    return pl.DataFrame(whole, schema=PROFILE_SCHEMA, orient="row")


_DEFAULTS: Final[dict[str, Any]] = dict.fromkeys(PROFILE_SCHEMA) | {
    "nulls": 0,
    "nans": 0,
    "infs": 0,
    "center": 0.0,
    "counts": [],
    "rest": 0,
    "rest_singletons": 0,
}


def profile_columns(
    frame: pl.DataFrame | pl.LazyFrame, columns: dict[str, ColumnBinning], joint: JointSums | None = None
) -> list[Row]:
    """Count some columns of a batch, and the joint matrix on the way where they hold its columns."""
    schema = frame.collect_schema()
    joint_names = [] if joint is None else joint.names
    tallies = {name: tally(name, column, schema[name]) for name, column in columns.items()}
    expressions = [expression for one in tallies.values() for expression in one.expressions()]
    n_rows = 0
    for chunk in chunks(frame, list(columns) or joint_names):
        n_rows += chunk.height
        found = _found(chunk.select(expressions))
        for name, one in tallies.items():
            one.add(found, chunk[name])
        if joint is not None:
            joint.add(chunk)
    rows = [{"column": name, "kind": columns[name].kind, "n": n_rows} | one.row() for name, one in tallies.items()]
    return rows if joint is None else [*rows, joint.row(n_rows)]


def _found(table: pl.DataFrame) -> Row:
    """Return a row's numbers as they are, and its lists as columns."""
    lists = [column for column in table if column.dtype == pl.List]
    numbers = table.drop(column.name for column in lists)
    row: Row = numbers.row(0, named=True) if numbers.width else {}
    return row | {column.name: column for column in lists}


def joint_row(frame: pl.DataFrame | pl.LazyFrame, binning: Binning) -> list[Row]:
    """Count the joint matrix alone: one row, or none where it has no columns."""
    return profile_columns(frame.select(binning.joint), {}, JointSums(binning)) if binning.joint else []


def _groups(binning: Binning) -> Iterator[list[str]]:
    """Yield the names of the columns that are read together; those of the joint matrix are in the first."""
    names = [*binning.joint, *sorted(set(binning.columns) - set(binning.joint))]
    for start in range(0, len(names), MOST_COLUMNS):
        yield names[start : start + MOST_COLUMNS]


def _joint_of(binning: Binning, names: list[str]) -> JointSums | None:
    return JointSums(binning) if binning.joint and set(binning.joint) <= set(names) else None


def _check(schema: pl.Schema, binning: Binning) -> None:
    missing = sorted(set(binning.columns) - set(schema))
    if missing:
        raise SchemaMismatchError(
            f"the batch lacks columns {missing} of the binning {binning.digest[:12]}; "
            "make a new binning when the contract changes"
        )
    for name, column in binning.columns.items():
        found = type_of(name, schema[name])
        if schema[name] != pl.Null and _family(found) != _family(column.type):
            raise SchemaMismatchError(
                f"column {name!r} has dtype {schema[name]}, but the binning {binning.digest[:12]} counts it as "
                f"{column.type}; cast it, or make a new binning when the contract changes"
            )


def _family(type_: str) -> str:
    return {"int": "number", "float": "number", "category": "text", "string": "text"}.get(type_, type_)
