"""The bins that a dataset's batches are counted in: made once, so that counts of any two batches add up."""

import math
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, Self

import polars as pl
from pydantic import Field, ValidationError

from ratoon.contracts.spec import Column, Contract, Strict
from ratoon.errors import DataError, EmptyWindowError
from ratoon.identity import canonical_json, digest_json

Kind = Literal["numeric", "category", "identifier", "time", "key"]
"""What is profiled of a column, besides rows and nulls.

numeric: counts in bins, moments, range · category: counts of the listed values, the rest and its rare mass ·
identifier: distinct values · time: range (time moves on: that is no drift) · key: range, never judged.
"""

MIN_ROWS = 500
"""Rows that a batch needs before bins are made of it: 25 per bin."""

_MOST_DISTINCT = 200
"""All values are listed up to here. Listing only the top ones would bias the batch that chose them: they are the top
ones partly by chance, so that the next batch seems to hold fewer of them."""
_TIMES = ("date", "datetime")


class ColumnBinning(Strict):
    """How one column is counted."""

    kind: Kind
    type: str = Field(description="The contract's type.")
    pii: bool = Field(default=False, description="Personal data: no value, mean or range of it is stored.")
    edges: list[float] = Field(
        default=[], description="numeric: ascending; k edges make k+1 bins, (-inf, e1], (e1, e2] .. (ek, inf)."
    )
    categories: list[str] = Field(default=[], description="category: the listed values, most frequent first.")

    @property
    def n_bins(self) -> int:
        """Return the length of the column's counts."""
        return len(self.edges) + 1 if self.kind == "numeric" else len(self.categories)


class Binning(Strict):
    """The bins of one dataset. Profiles add up exactly when their binnings have the same digest.

    Example:
        >>> bins = Binning(columns={"x": ColumnBinning(kind="numeric", type="float", edges=[0.0, 1.5])})
        >>> Binning.from_json(bins.to_json()) == bins
        True
    """

    version: Literal[1] = 1
    columns: dict[str, ColumnBinning]

    def to_json(self) -> str:
        """Return the binning as canonical JSON text: equal binnings give equal bytes."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            DataError: The text is no binning, or one of another version.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as exc:
            raise DataError(f"stored binning can't be read (expected version 1): {exc}; make a new one") from exc

    @cached_property
    def digest(self) -> str:
        """SHA-256 of :meth:`to_json`, so that it names the stored bytes too."""
        return digest_json(self.model_dump(mode="json"))


def make_binning(
    frame: pl.DataFrame | pl.LazyFrame, contract: Contract, *, max_bins: int = 20, min_rows: int = MIN_ROWS
) -> Binning:
    """Make a dataset's bins from its first batch with enough rows.

    Numeric columns get the distinct ones of ``max_bins - 1`` quantiles, so that bins hold about equal shares and a
    value with a large share gets a bin of its own; both ends are open. Text columns list all their values;
    with more than 200 distinct ones, or as personal data, they are identifiers.

    Args:
        frame: Validated rows, typed as the contract says; nulls and NaN are left out.
        contract: Its columns are binned; the entity key and the event time get kind ``key``.
        max_bins: Most bins of a numeric column, >= 2.
        min_rows: Fewest rows.

    Raises:
        EmptyWindowError: The frame has fewer rows than ``min_rows``.
    """
    row = frame.lazy().select(pl.len().alias("n"), *_statistics(contract, max_bins)).collect().row(0, named=True)
    if row["n"] < min_rows:
        raise EmptyWindowError(f"bins need {min_rows} rows, the batch has {row['n']}; make them from a larger batch")
    return Binning(
        columns={
            name: _column(column, _kind(name, contract), row.get(name), row.get(f"{name} min"))
            for name, column in contract.columns.items()
        }
    )


def _kind(name: str, contract: Contract) -> Kind:
    column = contract.columns[name]
    if name in contract.entity_key or name == contract.event_time:
        return "key"
    if column.type in _TIMES:
        return "time"
    if column.type in ("int", "float"):
        return "numeric"
    return "identifier" if column.pii and column.type != "bool" else "category"


def _statistics(contract: Contract, max_bins: int) -> list[pl.Expr]:
    shares = [i / max_bins for i in range(1, max_bins)]
    expressions: list[pl.Expr] = []
    for name, column in contract.columns.items():
        match _kind(name, contract):
            case "numeric":
                value = pl.col(name).cast(pl.Float64)
                usable = value.filter(value.is_finite())
                expressions += [
                    usable.quantile(shares, interpolation="nearest").alias(name),
                    usable.min().alias(f"{name} min"),
                ]
            case "category" if column.type != "bool":
                counted = pl.col(name).cast(pl.String).drop_nulls().alias("value").value_counts(sort=True, name="n")
                expressions.append(counted.head(_MOST_DISTINCT + 1).implode().alias(name))
            case _:
                continue
    return expressions


def _column(column: Column, kind: Kind, found: list[Any] | None, smallest: float | None) -> ColumnBinning:
    if kind == "numeric":
        return ColumnBinning(
            kind=kind, type=column.type, pii=column.pii, edges=_edges(found or [], smallest, column.type)
        )
    if kind == "category" and column.type == "bool":
        return ColumnBinning(kind=kind, type=column.type, pii=column.pii, categories=["false", "true"])
    if kind == "category" and len(found or []) <= _MOST_DISTINCT:
        by_count = sorted(found or [], key=lambda entry: (-entry["n"], entry["value"]))
        return ColumnBinning(kind=kind, type=column.type, categories=[entry["value"] for entry in by_count])
    return ColumnBinning(kind="identifier" if kind == "category" else kind, type=column.type, pii=column.pii)


def _edges(quantiles: list[float | None], smallest: float | None, type_: str) -> list[float]:
    """Return the distinct quantiles, and an edge just below each value that holds a large share.

    Such a value is a quantile more than once, or the minimum; without that edge a rise from it to the next bin
    would be seen, but not a fall from 0 to -1.
    """
    found = sorted(edge for edge in quantiles if edge is not None)
    large = {value for value, following in pairwise(found) if value == following} | {
        v for v in found[:1] if v == smallest
    }
    below = {value - 1 if type_ == "int" else math.nextafter(value, -math.inf) for value in large}
    return sorted({*found, *below})
