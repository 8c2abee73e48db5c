"""The rows of the batch itself, read only when a rule has a question that its counts can't answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from ratoon.contracts.casts import DTYPES, cast_column
from ratoon.contracts.spec import Contract
from ratoon.diagnosis.counted import Column, Vector
from ratoon.diagnosis.delivery import finding, listed, percent
from ratoon.diagnosis.values import Finding

_MOST_VALUES: Final = 10_000
_MOST_PARTS: Final = 30
_PART: Final = 0.65
"""Largest share of the rows that is still a part of them."""
_APART: Final = 0.4
"""Least difference of the bad share within the part and outside of it."""
PARTIAL: Final = 0.08
"""Rise of the bad share from which the parts of the batch are looked at."""
_AS_USUAL: Final = 0.05
_FEWEST: Final = 30
_EXPLAINED: Final = 0.7


@dataclass(frozen=True)
class Rows:
    """The typed rows that arrived, quarantined ones and all; or none, where they aren't at hand."""

    batch: pl.DataFrame | pl.LazyFrame | None

    @cached_property
    def frame(self) -> pl.DataFrame | None:
        """Return the rows; a lazy frame is read here, once."""
        return self.batch.collect() if isinstance(self.batch, pl.LazyFrame) else self.batch

    def values(self, name: str) -> Vector | None:
        """Return the finite values of a numeric column, at most 20,000 of them, evenly spread over the batch."""
        if self.frame is None or name not in self.frame.columns:
            return None
        values: Vector = self.frame[name].cast(pl.Float64).drop_nulls().to_numpy()
        values = values[np.isfinite(values)]
        return values[:: max(1, len(values) // _MOST_VALUES)]

    def above(self, one: str, other: str) -> float | None:
        """Return the share of the rows where one numeric column is above another, of those that hold both and differ."""
        if self.frame is None or not {one, other} <= set(self.frame.columns):
            return None
        differ = self.frame.select(pl.col(one).cast(pl.Float64), pl.col(other).cast(pl.Float64).alias("other"))
        share = differ.filter(pl.col(one) != pl.col("other")).select((pl.col(one) > pl.col("other")).mean()).item()
        return None if share is None else float(share)

    def pile(self, name: str, value: float) -> tuple[float, float] | None:
        """Return the share of all rows at one value of a numeric column, and how far its nearest other value is."""
        if self.frame is None or name not in self.frame.columns:
            return None
        gap = (pl.col(name).cast(pl.Float64) - value).abs()
        found = self.frame.select((gap == 0.0).sum().alias("at"), gap.filter(gap > 0.0).min().alias("gap")).row(0)
        return found[0] / max(self.frame.height, 1), float("inf") if found[1] is None else float(found[1])

    def membership(self, name: str, values: list[str]) -> float | None:
        """Return the share of a text column's values that are in a list."""
        if self.frame is None or name not in self.frame.columns:
            return None
        share = self.frame.select(pl.col(name).cast(pl.String).drop_nulls().is_in(values).mean()).item()
        return 0.0 if share is None else float(share)

    def top_text(self, column: Column) -> tuple[str, float] | None:
        """Return a text column's most frequent value that its binning doesn't list, and its share of all rows."""
        if self.frame is None or column.name not in self.frame.columns or not len(column.now.patterns):
            return None
        text = pl.col(column.name).drop_nulls()
        unlisted = text.filter(~text.is_in(column.binning.categories)).alias("value")
        top = self.frame.select(unlisted.value_counts(sort=True, name="n").head(1)).unnest("value")
        return (top["value"][0], top["n"][0] / self.frame.height) if top.height else None


def partition_finding(rows: Rows, columns: Mapping[str, Column], suspected: Sequence[Column]) -> list[Finding]:
    """Return a finding per part of the rows that alone holds the bad values of columns.

    A value is bad when it is missing where it seldom was, or outside of the reference's range. A part is the rows with
    one value of a category column.
    """
    frame = rows.frame
    parts = [one for one in columns.values() if one.binning.kind == "category" and len(one.binning.categories) >= 2]
    if frame is None or frame.height < 100:
        return []
    by_part: dict[str, list[tuple[Column, float, float]]] = {}
    for column in suspected:
        found = _worst_part(frame, column, [one for one in parts if one.name != column.name])
        if found is not None:
            by_part.setdefault(found.part, []).append((column, found.within, found.outside))
    return [_finding(part, hit) for part, hit in sorted(by_part.items())]


class _Apart(NamedTuple):
    explained: float
    part: str
    within: float
    outside: float


def _worst_part(frame: pl.DataFrame, column: Column, parts: Sequence[Column]) -> _Apart | None:
    """Return the part that alone explains a column's bad values: the missing ones, else those out of range as well."""
    usual = column.most("missing_share")
    for is_bad in (pl.col(column.name).is_null(), _is_unusable(column)):
        found: list[_Apart] = []
        for part in parts:
            counted = (
                frame.group_by(pl.col(part.name).cast(pl.String).alias("part"))
                .agg(pl.len().alias("n"), is_bad.sum().alias("bad"))
                .drop_nulls("part")
                .sort("part")
            )
            if 2 <= counted.height <= _MOST_PARTS:
                found += [_Apart(one[0], f"{part.name}={one[1]}", *one[2:]) for one in _apart(counted, usual)]
        if found:
            return max(found, key=lambda one: one.explained)
    return None


def _apart(counted: pl.DataFrame, usual: float) -> Iterator[tuple[float, str, float, float]]:
    """Yield the parts that are bad where the others are as usual: how much that explains, name, bad share, the others'."""
    height, total = int(counted["n"].sum()), int(counted["bad"].sum())
    for value, n, n_bad in counted.filter(pl.col("n").is_between(_FEWEST, _PART * height)).iter_rows():
        outside = (total - n_bad) / max(height - n, 1)
        excess = total - min(usual, outside) * height
        if total - usual * height < PARTIAL * height:
            continue
        explained = (n_bad - outside * n) / excess if excess > 0 else 0.0
        is_apart = n_bad / n - max(outside, usual) >= _APART and outside <= usual + _AS_USUAL
        if is_apart and explained >= _EXPLAINED:
            yield explained, value, n_bad / n, outside


def _is_unusable(column: Column) -> pl.Expr:
    """Return whether a row holds no value, or one that no batch before held the like of."""
    value = pl.col(column.name)
    if column.binning.kind != "numeric":
        return value.is_null()
    number = value.cast(pl.Float64)
    low, high = column.least("low"), column.most("high")
    room = 0.5 * (high - low)
    least = max(low - room, 0.0) if low >= 0 else low - room
    is_inside = number.is_between(least, high + room) if np.isfinite(room) else number.is_finite()
    return ~is_inside.fill_null(value=False)


def _finding(part: str, hit: Sequence[tuple[Column, float, float]]) -> Finding:
    names = [column.name for column, _, _ in hit]
    column, within, outside = max(hit, key=lambda one: one[1] - one[2])
    return finding(
        "partition_fault",
        f"Only rows with {part} are at fault: {percent(within)} of them have no usable {listed(names)}, {percent(outside)} of "
        "the others; look at what delivers this part, and fetch it again.",
        {"bad within": within, "bad elsewhere": outside, "usually missing": column.most("missing_share")},
        columns=names,
        partition=part,
        confidence=float(np.clip(0.5 + (within - outside) / 2, 0, 0.98)),
    )


def column_changes(schema: pl.Schema, contract: Contract) -> dict[str, Any]:
    """Return what of a file's columns is not as its contract says, as fields of :class:`BatchFacts`.

    Args:
        schema: Columns and types as the file holds them.
        contract: What they must be.

    Returns:
        ``columns_missing``, ``columns_added`` and ``columns_retyped``: those whose type can never become the contract's.
    """
    casts = {
        name: cast_column(name, schema[name], column.type)
        for name, column in contract.columns.items()
        if name in schema
    }
    return {
        "columns_missing": [name for name in contract.columns if name not in schema],
        "columns_added": [name for name in schema if name not in contract.columns],
        "columns_retyped": {name: str(schema[name]) for name, cast in casts.items() if cast is None},
    }


def restore_rows(quarantine: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Return quarantined rows typed as the contract says, whatever rule they broke.

    A mistake of unit often sends every row to quarantine: without them there would be nothing to look at. What can't
    be read as its type is null, as is a column that the row lacks.

    Args:
        quarantine: ``row`` (JSON text), as :class:`ratoon.contracts.Validation` or the lake holds them.
        contract: Its columns are read.

    Returns:
        The contract's columns in their order and canonical types; rows in the quarantine's order.
    """
    as_text = pl.Struct(dict.fromkeys(contract.columns, pl.String))
    if quarantine.is_empty():
        return pl.DataFrame(schema={name: DTYPES[column.type] for name, column in contract.columns.items()})
    raw = quarantine["row"].str.json_decode(as_text).struct.unnest()
    casts = {name: cast_column(name, raw.schema[name], column.type) for name, column in contract.columns.items()}
    return raw.select(cast.value.alias(name) for name, cast in casts.items() if cast is not None)
