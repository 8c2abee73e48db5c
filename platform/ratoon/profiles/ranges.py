"""What is counted of keys and times: their range, hours of the day and weekdays."""

from typing import Final

import numpy as np
import polars as pl

from ratoon.profiles.binning import N_HOURS, N_WEEKDAYS, ColumnBinning
from ratoon.profiles.schema import Row


class RangeTally:
    """The range of a key that is a number; nothing but its missing values otherwise."""

    def __init__(self, name: str, column: ColumnBinning) -> None:
        self._name, self._column = name, column
        self._nulls = 0
        self._min: float | None = None
        self._max: float | None = None

    def expressions(self) -> list[pl.Expr]:
        """Return the range."""
        values = pl.col(self._name)
        found = [values.null_count().alias(f"{self._name} nulls")]
        if self._has_range:
            number = values.cast(pl.Float64)
            finite = number.filter(number.is_finite())
            found += [finite.min().alias(f"{self._name} min"), finite.max().alias(f"{self._name} max")]
        return found

    @property
    def _has_range(self) -> bool:
        return self._column.type in ("int", "float") and not self._column.pii

    def add(self, found: Row, values: pl.Series) -> None:
        """Add a piece's range."""
        del values
        self._nulls += found[f"{self._name} nulls"]
        if self._has_range:
            self._min = smaller(self._min, found[f"{self._name} min"])
            self._max = larger(self._max, found[f"{self._name} max"])

    def row(self) -> Row:
        """Return the range."""
        return {"nulls": self._nulls, "min": self._min, "max": self._max}


class TimeTally:
    """Range, hours of the day and weekdays of dates and times, in UTC."""

    def __init__(self, name: str, column: ColumnBinning) -> None:
        self._name, self._column = name, column
        self._nulls = 0
        self._hours = np.zeros(N_HOURS, dtype=np.int64)
        self._weekdays = np.zeros(N_WEEKDAYS, dtype=np.int64)
        self._min: float | None = None
        self._max: float | None = None

    def expressions(self) -> list[pl.Expr]:
        """Return nothing: times are looked at as integers."""
        return []

    def add(self, found: Row, values: pl.Series) -> None:
        """Add a piece's times."""
        del found
        self._nulls += values.null_count()
        kept = values.drop_nulls()
        if not len(kept):
            return
        if kept.dtype == pl.Date:
            kept = kept.cast(pl.Datetime("us"))
        units = _UNITS_PER_S[_unit(kept.dtype)]
        moments = kept.to_physical().cast(pl.Int64).to_numpy()
        self._min = smaller(self._min, int(moments.min()) / units)
        self._max = larger(self._max, int(moments.max()) / units)
        if self._column.type in ("datetime", "time"):
            self._hours += np.bincount(moments // (3600 * units) % N_HOURS, minlength=N_HOURS)
        if self._column.type in ("datetime", "date"):
            self._weekdays += np.bincount((moments // (86_400 * units) + _THURSDAY) % 7, minlength=N_WEEKDAYS)

    def row(self) -> Row:
        """Return the counts, and unless personal data the range."""
        counts = [*self._hours.tolist(), *self._weekdays.tolist()]
        found: Row = {"nulls": self._nulls, "counts": counts}
        return found if self._column.pii else found | {"min": self._min, "max": self._max}


_THURSDAY: Final = 3
_UNITS_PER_S: Final = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def _unit(dtype: pl.DataType) -> str:
    return dtype.time_unit or "us" if isinstance(dtype, pl.Datetime | pl.Duration) else "ns"


def smaller(first: float | None, second: float | None) -> float | None:
    """Return the smaller of two numbers, either of which may be missing."""
    return min((value for value in (first, second) if value is not None), default=None)


def larger(first: float | None, second: float | None) -> float | None:
    """Return the larger of two numbers, either of which may be missing."""
    return max((value for value in (first, second) if value is not None), default=None)
