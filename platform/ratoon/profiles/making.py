"""Makes the bins of a reference."""

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import polars as pl

from ratoon.contracts.spec import Contract
from ratoon.errors import EmptyWindowError
from ratoon.profiles.binning import MOST_JOINT, Binning, ColumnBinning, has_scores
from ratoon.profiles.chunks import column_groups, count_rows
from ratoon.profiles.kinds import Role, roles

MIN_ROWS: Final = 500
"""Rows that a batch needs before bins are made of it: 25 per bin."""

_MOST_DISTINCT: Final = 200
"""All values are listed up to here. Listing only the top ones would bias the batch that chose them: they are the top
ones partly by chance, so that the next batch seems to hold fewer of them."""
_QUARTILES: Final = (0.25, 0.5, 0.75)
_NORMAL_IQR: Final = 1.349


def make_binning(
    frame: pl.DataFrame | pl.LazyFrame,
    contract: Contract | None = None,
    *,
    max_bins: int = 20,
    min_rows: int = MIN_ROWS,
    keys: Collection[str] = (),
    pii: Collection[str] = (),
    joint: Sequence[str] | None = None,
) -> Binning:
    """Make a dataset's bins from its reference.

    Numeric columns get the distinct ones of ``max_bins - 1`` quantiles, so that bins hold about equal shares and a
    value with a large share gets a bin of its own, and two more bins for values outside of the reference's range.
    Text columns list all their values; with more than 200 distinct ones, or as personal data, they are identifiers.

    Args:
        frame: The rows, typed as the contract says; nulls, NaN and infinities are left out.
        contract: Its columns are binned; the entity key and the event time get kind ``key``. None bins every column
            by its dtype.
        max_bins: Most bins of a numeric column within the reference's range, >= 2.
        min_rows: Fewest rows.
        keys: Further columns of kind ``key``: they name rows and are never judged.
        pii: Further columns of personal data.
        joint: Columns of the joint matrix; None takes the first 100 that vary, by name.

    Raises:
        EmptyWindowError: The frame has fewer rows than ``min_rows``.
        SchemaMismatchError: A column has a type that can't be counted, or the contract names one that is missing.
    """
    found = roles(frame.collect_schema(), contract, keys=keys, pii=pii)
    check_rows(count_rows(frame), min_rows)
    columns: dict[str, ColumnBinning] = {}
    varying: list[str] = []
    for part in column_groups(frame, list(found)):
        binned, vary = bin_columns(part, {name: found[name] for name in part.columns}, max_bins)
        columns |= binned
        varying += vary
    return Binning(columns=columns, joint=choose_joint(varying, joint))


def check_rows(n_rows: int, min_rows: int) -> None:
    """Refuse to make bins of too few rows.

    Raises:
        EmptyWindowError: There are fewer than ``min_rows``.
    """
    if n_rows < min_rows:
        raise EmptyWindowError(f"bins need {min_rows} rows, the batch has {n_rows}; make them from a larger batch")


def choose_joint(varying: Iterable[str], wanted: Sequence[str] | None) -> list[str]:
    """Return the columns of the joint matrix, sorted: those wanted, or the first 100 that vary."""
    return sorted(varying)[:MOST_JOINT] if wanted is None else sorted(wanted)


def bin_columns(
    part: pl.DataFrame, found: dict[str, Role], max_bins: int
) -> tuple[dict[str, ColumnBinning], list[str]]:
    """Return the bins of some columns, and the names of those that could be part of the joint matrix."""
    measured = _measure(part, found, max_bins)
    columns = {name: _column(role, measured.get(name)) for name, role in found.items()}
    return columns, [name for name, column in columns.items() if _varies(column, measured.get(name))]


class _Spread(NamedTuple):
    """What the reference holds of a numeric column; None where it holds no value."""

    quantiles: list[float]
    quartiles: list[float]
    sd: float
    smallest: float
    largest: float


_Found = _Spread | list[dict[str, Any]] | None
"""Of a text column: its most frequent values, each with its rows."""


def _measure(part: pl.DataFrame, group: dict[str, Role], max_bins: int) -> dict[str, _Found]:
    shares = [i / max_bins for i in range(1, max_bins)]
    expressions = {name: _statistics(name, role, shares) for name, role in group.items()}
    wanted = [expression for parts in expressions.values() for expression in parts]
    if not wanted:
        return {}
    row = part.select(wanted).row(0, named=True)
    return {name: _found(name, group[name], row, len(shares)) for name, parts in expressions.items() if parts}


def _statistics(name: str, role: Role, shares: list[float]) -> list[pl.Expr]:
    if role.kind == "numeric":
        value = pl.col(name).cast(pl.Float64)
        usable = value.filter(value.is_finite())
        return [
            usable.quantile([*shares, *_QUARTILES], interpolation="nearest").alias(f"{name} quantiles"),
            usable.std(ddof=0).alias(f"{name} sd"),
            usable.min().alias(f"{name} min"),
            usable.max().alias(f"{name} max"),
        ]
    if role.kind == "category" and role.type != "bool":
        counted = pl.col(name).cast(pl.String).drop_nulls().alias("value").value_counts(sort=True, name="n")
        return [counted.head(_MOST_DISTINCT + 1).implode().alias(f"{name} values")]
    return []


def _found(name: str, role: Role, row: dict[str, Any], n_shares: int) -> _Found:
    if role.kind != "numeric":
        values: list[dict[str, Any]] = row[f"{name} values"]
        return values
    if row[f"{name} min"] is None:
        return None
    quantiles = row[f"{name} quantiles"]
    return _Spread(
        quantiles=sorted(quantiles[:n_shares]),
        quartiles=quantiles[n_shares:],
        sd=row[f"{name} sd"] or 0.0,
        smallest=row[f"{name} min"],
        largest=row[f"{name} max"],
    )


def _column(role: Role, found: _Found) -> ColumnBinning:
    if role.kind == "category" and role.type == "bool":
        return ColumnBinning(kind="category", type="bool", pii=role.pii, categories=["false", "true"])
    if isinstance(found, list):
        if len(found) > _MOST_DISTINCT:
            return ColumnBinning(kind="identifier", type=role.type, pii=role.pii)
        by_count = sorted(found, key=lambda entry: (-entry["n"], entry["value"]))
        return ColumnBinning(kind="category", type=role.type, categories=[entry["value"] for entry in by_count])
    if found is None:
        return ColumnBinning(kind=role.kind, type=role.type, pii=role.pii)
    if role.pii:
        return ColumnBinning(kind="numeric", type=role.type, pii=True, edges=_rounded_edges(found))
    return ColumnBinning(
        kind="numeric", type=role.type, edges=_edges(found, role.type), center=found.quartiles[1], scale=_scale(found)
    )


def _scale(found: _Spread) -> float:
    spread = (found.quartiles[2] - found.quartiles[0]) / _NORMAL_IQR
    usable = [scale for scale in (spread, found.sd) if math.isfinite(scale) and scale > 0]
    return usable[0] if usable else 1.0


def _edges(found: _Spread, type_: str) -> list[float]:
    """Return the distinct quantiles, the range, and an edge just below each value that holds a large share.

    Such a value is a quantile more than once, or the minimum; without that edge a rise from it to the next bin
    would be seen, but not a fall from 0 to -1.
    """
    large = {value for value, following in pairwise(found.quantiles) if value == following} | {found.smallest}
    below = {just_below(value, type_) for value in large}
    return sorted({*found.quantiles, *below, found.largest})


def just_below(value: float, type_: str) -> float:
    """Return the edge that parts a value from all smaller ones."""
    return value - 1 if type_ == "int" and abs(value) < 2**53 else math.nextafter(value, -math.inf)


def _rounded_edges(found: _Spread) -> list[float]:
    """Return quantiles rounded to a tenth of the spread: no person's value, and no range."""
    spread = found.quartiles[2] - found.quartiles[0] or found.sd
    if not (math.isfinite(spread) and spread > 0):
        return []
    digits = 1 - math.floor(math.log10(spread))
    return sorted({round(value, digits) for value in found.quantiles})


def _varies(column: ColumnBinning, found: _Found) -> bool:
    return has_scores(column) and isinstance(found, _Spread) and found.smallest < found.largest
