"""What is counted of one column, piece by piece of a batch."""

import math
from typing import Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon.profiles.binning import ColumnBinning
from ratoon.profiles.kinds import TEXT, TIMES
from ratoon.profiles.ranges import RangeTally, TimeTally, larger, smaller
from ratoon.profiles.schema import Row
from ratoon.profiles.sketch import N_REGISTERS, hashes_of, registers
from ratoon.profiles.texts import N_LENGTHS, N_PATTERNS, Texts, count_classes, length_classes, pattern_classes


class Tally(Protocol):
    """Counts one column."""

    def expressions(self) -> list[pl.Expr]:
        """Return what polars is to compute over a piece; their names begin with the column's."""
        ...

    def add(self, found: Row, values: pl.Series) -> None:
        """Add a piece: what its expressions found, and its values."""
        ...

    def row(self) -> Row:
        """Return the fields of the column's row that are neither 0 nor null."""
        ...


def tally(name: str, column: ColumnBinning, dtype: pl.DataType) -> Tally:
    """Return the tally of a column."""
    match column.kind:
        case "numeric":
            return NumericTally(name, column, dtype)
        case "category":
            return CategoryTally(name, column)
        case "identifier":
            return TextTally(name, column, has_registers=True)
        case "time" | "key" if column.type in TIMES:
            return TimeTally(name, column)
        case _ if column.type in TEXT:
            return TextTally(name, column)
        case _:
            return RangeTally(name, column)


class NumericTally:
    """Rows per bin, moments around the center, range.

    Bins are counted as the rows <= each edge, one comparison and sum each: with 20 edges that is several times as
    fast as looking up each row's bin (shared/research/drift.md, section 2).
    """

    def __init__(self, name: str, column: ColumnBinning, dtype: pl.DataType) -> None:
        self._name, self._column, self._dtype = name, column, dtype
        self._center = 0.0 if column.pii else (column.center or 0.0)
        self._nulls = self._nans = self._infs = self._n = 0
        self._below = np.zeros(len(column.edges), dtype=np.int64)
        self._sum = self._sum2 = 0.0
        self._min: float | None = None
        self._max: float | None = None

    def expressions(self) -> list[pl.Expr]:
        """Return the comparisons, moments and range."""
        return _numeric_expressions(pl.col(self._name), self._name, self._dtype, self._column, self._center)

    def add(self, found: Row, values: pl.Series) -> None:
        """Add a piece; NaN and infinities, which spoil its sums, are counted apart."""
        name = self._name
        self._n += len(values)
        self._nulls += found[f"{name} nulls"]
        if not math.isfinite(found[f"{name} sum2"]):
            found = self._without_the_infinite(values)
        self._below += np.array([found[f"{name} {at}"] for at in range(len(self._below))], dtype=np.int64)
        self._sum += found[f"{name} sum"]
        self._sum2 += found[f"{name} sum2"]
        self._min = smaller(self._min, found[f"{name} min"])
        self._max = larger(self._max, found[f"{name} max"])

    def _without_the_infinite(self, values: pl.Series) -> Row:
        """Count NaN and infinities, and count again without them (or find that a square was too large)."""
        raw = pl.col("v")
        parted = values.alias("v").to_frame()
        if self._dtype.is_float():
            self._nans += int(values.is_nan().sum())
            self._infs += int(values.is_infinite().sum())
            parted = parted.select(pl.when(raw.is_finite()).then(raw))
        return parted.select(_numeric_expressions(raw, self._name, self._dtype, self._column, self._center)).row(
            0, named=True
        )

    def row(self) -> Row:
        """Return the counts, and unless personal data the moments and the range."""
        n_finite = self._n - self._nulls - self._nans - self._infs
        counts = np.diff(self._below, prepend=0, append=n_finite).tolist()
        found: Row = {"nulls": self._nulls, "nans": self._nans, "infs": self._infs, "counts": counts}
        if not self._column.pii:
            found |= {"center": self._center, "sum": self._sum, "sum2": self._sum2, "min": self._min, "max": self._max}
        return found


def _numeric_expressions(
    raw: pl.Expr, name: str, dtype: pl.DataType, column: ColumnBinning, center: float
) -> list[pl.Expr]:
    value = raw.cast(pl.Float64)
    centered = value - center
    found = {
        "nulls": raw.null_count(),
        "sum": centered.sum(),
        "sum2": (centered * centered).sum(),
        "min": value.min(),
        "max": value.max(),
    }
    found |= {str(at): _at_most(raw, edge, dtype).sum() for at, edge in enumerate(column.edges)}
    return [expression.alias(f"{name} {what}") for what, expression in found.items()]


def _at_most(raw: pl.Expr, edge: float, dtype: pl.DataType) -> pl.Expr:
    """Compare in the column's own dtype, where that is exact: a Float32 is <= e where it is <= e rounded down."""
    if dtype != pl.Float32 or not math.isfinite(edge):
        return raw.cast(pl.Float64) <= edge
    rounded = np.float32(edge)
    down = rounded if float(rounded) <= edge else np.nextafter(rounded, np.float32(-np.inf))
    return raw <= pl.lit(float(down), dtype=pl.Float32)


class CategoryTally:
    """Rows per listed value, the rest and its rare mass; length and form of texts.

    All values are counted, the unlisted ones too: whether one is single is only known at the end.
    """

    def __init__(self, name: str, column: ColumnBinning) -> None:
        self._name, self._column = name, column
        self._nulls = 0
        self._rows = pl.DataFrame(schema={"value": pl.String, "n": pl.Int64})
        self._most_pending = _MOST_PENDING

    def expressions(self) -> list[pl.Expr]:
        """Return the values and their rows."""
        values = pl.col(self._name)
        counted = values.drop_nulls().alias("value").value_counts(name="n")
        return [values.null_count().alias(f"{self._name} nulls"), counted.implode().alias(f"{self._name} values")]

    def add(self, found: Row, values: pl.Series) -> None:
        """Add a piece's values."""
        del values
        self._nulls += found[f"{self._name} nulls"]
        counted = found[f"{self._name} values"].explode(empty_as_null=False).struct.unnest()
        self._rows = pl.concat(
            [self._rows, counted.select(pl.col("value").cast(pl.String), pl.col("n").cast(pl.Int64))]
        )
        if self._rows.height > self._most_pending:
            self._rows = _summed(self._rows)
            self._most_pending = _MOST_PENDING + 2 * self._rows.height

    def row(self) -> Row:
        """Return the counts of the listed values, the rest, and the classes of texts."""
        listed = self._column.categories
        rows = _summed(self._rows)
        is_listed = rows["value"].is_in(listed)
        rows_of = dict(rows.filter(is_listed).iter_rows())
        rest = rows.filter(~is_listed)["n"]
        found: Row = {
            "nulls": self._nulls,
            "counts": [rows_of.get(category, 0) for category in listed],
            "categories": listed,
            "rest": int(rest.sum()),
            "rest_singletons": int((rest == 1).sum()),
        }
        return found | _text_classes(rows["value"], rows["n"].to_numpy()) if self._column.type in TEXT else found


_MOST_PENDING: Final = 1 << 18


def _summed(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("value").agg(pl.col("n").sum())


def _text_classes(values: pl.Series, weights: NDArray[np.int64] | None = None) -> Row:
    return {
        "lengths": count_classes(length_classes(values), N_LENGTHS, weights),
        "patterns": count_classes(pattern_classes(Texts.of(values)), N_PATTERNS, weights),
    }


class TextTally:
    """Length and form of every text; how many distinct ones where asked."""

    def __init__(self, name: str, column: ColumnBinning, *, has_registers: bool = False) -> None:
        self._name, self._is_text = name, column.type in TEXT
        self._nulls = 0
        self._registers = np.zeros(N_REGISTERS, dtype=np.uint8) if has_registers else None
        self._lengths = np.zeros(N_LENGTHS, dtype=np.int64)
        self._patterns = np.zeros(N_PATTERNS, dtype=np.int64)

    def expressions(self) -> list[pl.Expr]:
        """Return nothing: texts are looked at as bytes."""
        return []

    def add(self, found: Row, values: pl.Series) -> None:
        """Add a piece's texts."""
        del found
        self._nulls += values.null_count()
        kept = values.drop_nulls()
        if self._is_text:
            kept = kept.cast(pl.String)
            classes = _text_classes(kept)
            self._lengths += classes["lengths"]
            self._patterns += classes["patterns"]
        if self._registers is not None:
            np.maximum(self._registers, registers(hashes_of(kept)), out=self._registers)

    def row(self) -> Row:
        """Return the classes, and the sketch."""
        found: Row = {"nulls": self._nulls}
        if self._is_text:
            found |= {"lengths": self._lengths.tolist(), "patterns": self._patterns.tolist()}
        if self._registers is not None:
            found["registers"] = self._registers.tobytes()
        return found
