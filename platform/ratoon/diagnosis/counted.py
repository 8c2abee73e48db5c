"""Profile rows as numbers to reason with: one column of one batch, and the same column over past batches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon.identity import digest_json
from ratoon.profiles import ColumnBinning

Vector = NDArray[np.float64]

_INTEGERS: Final = ("n", "nulls", "nans", "infs", "counts", "rest", "lengths", "patterns")
_EWMA: Final = 0.4
"""Weight of the newest batch in a forecast: seasons move, and one odd day must not decide."""
_COMMON: Final = 0.3
_DOUBLING: Final = 0.7
_ENOUGH: Final = 4
"""Past batches from which their own variation is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One column of one batch.

    Shares are of all rows, NaN and infinity count as missing; mean, sd, low and high are NaN where there is
    no value; mean and sd leave zeros out where they are common.
    """

    n: int
    missing: int
    mean: float
    sd: float
    low: float
    high: float
    counts: Vector
    rest: int
    lengths: Vector
    patterns: Vector
    n_moments: int
    """Rows that mean and sd are of."""

    @property
    def n_values(self) -> int:
        """Return how many rows hold a value."""
        return self.n - self.missing

    @property
    def missing_share(self) -> float:
        """Return the share of the rows without a value."""
        return self.missing / self.n if self.n else 0.0

    @property
    def shares(self) -> Vector:
        """Return the bins' (or listed values') shares of all rows."""
        return self.counts / max(self.n, 1)

    @classmethod
    def of(cls, row: Mapping[str, Any], zeros: int | None = None) -> Self:
        """Read a row of :data:`ratoon.profiles.PROFILE_SCHEMA`.

        Args:
            row: The row.
            zeros: The bin that holds zeros only, where they are to be left out of mean and sd.
        """
        missing = row["nulls"] + row["nans"] + row["infs"]
        n_zeros = row["counts"][zeros] if zeros is not None else 0
        mean, sd = _moments(row, row["n"] - missing, n_zeros)
        return cls(
            n_moments=row["n"] - missing - n_zeros,
            n=row["n"],
            missing=missing,
            mean=mean,
            sd=sd,
            low=_number(row["min"]),
            high=_number(row["max"]),
            counts=np.asarray(row["counts"] or [], dtype=np.float64),
            rest=row["rest"],
            lengths=np.asarray(row["lengths"] or [], dtype=np.float64),
            patterns=np.asarray(row["patterns"] or [], dtype=np.float64),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the next batch was expected to hold, and how far batches usually are from such a forecast."""

    center: float
    scale: float

    def surprise(self, value: float) -> float:
        """Return how many usual errors a value is away; 0 where either isn't known."""
        if not (np.isfinite(value) and np.isfinite(self.center)):
            return 0.0
        return abs(value - self.center) / self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: now, over the past batches (oldest first), and of the reference."""

    name: str
    binning: ColumnBinning
    now: Counted
    past: tuple[Counted, ...]
    reference: Counted

    def of_past(self, what: str) -> Vector:
        """Return one number of each past batch, oldest first; batches that have none are left out."""
        values = np.array([getattr(one, what) for one in self.past if one.n], dtype=np.float64)
        return values[np.isfinite(values)]

    def most(self, what: str) -> float:
        """Return the largest of a number over the past batches and the reference."""
        return float(np.max([*self.of_past(what), getattr(self.reference, what)]))

    def least(self, what: str) -> float:
        """Return the smallest of a number over the past batches and the reference."""
        return float(np.min([*self.of_past(what), getattr(self.reference, what)]))

    def past_shares(self, what: str) -> Vector:
        """Return the shares of a list of counts, of shape (past batches and the reference, cells)."""
        rows = [(getattr(one, what), one.n) for one in (*self.past, self.reference) if one.n]
        return np.array([cells / n for cells, n in rows if len(cells)], dtype=np.float64)

    def mean_forecast(self) -> Forecast:
        """Forecast the mean: the newest batches weigh most, and no batch is surer than 5 % of a standard deviation."""
        sd = self.reference.sd if np.isfinite(self.reference.sd) and self.reference.sd > 0 else 1.0
        noise = sd / np.sqrt(max(self.now.n_moments, 1))
        return forecast(self.of_past("mean"), self.reference.mean, guess=0.5 * sd, floor=max(0.05 * sd, noise))

    def mean_surprise(self, mean: float) -> float:
        """Return how far a mean is from its forecast.

        Where values are never negative, their logarithm is looked at too, and the smaller surprise counts: amounts (of
        rain, of money) vary by factors.
        """
        linear, means = self.mean_forecast().surprise(mean), self.of_past("mean")
        if mean <= 0 or self.least("low") < 0 or not (means > 0).all() or not self.reference.mean > 0:
            return linear
        noise = self.reference.sd / self.reference.mean / np.sqrt(max(self.now.n_moments, 1))
        factors = forecast(
            np.log(means), float(np.log(self.reference.mean)), guess=0.5, floor=max(self._factor_floor, noise)
        )
        return min(linear, factors.surprise(float(np.log(mean))))

    @property
    def is_bursty(self) -> bool:
        """Return whether a column holds amounts that vary by about as much as their mean: they double easily."""
        return self.least("low") >= 0 and self.reference.sd > 0.85 * self.reference.mean

    @property
    def _factor_floor(self) -> float:
        """Return the least error of a forecast of a logarithm."""
        return _DOUBLING if self.is_bursty else 0.02

    def spread_forecast(self) -> Forecast:
        """Forecast the logarithm of the standard deviation."""
        spreads = self.of_past("sd")
        floor = max(0.05, self._factor_floor, 1.0 / np.sqrt(max(self.now.n_moments, 1)))
        return forecast(np.log(spreads[spreads > 0]), _log(self.reference.sd), guess=0.3, floor=floor)


def forecast(past: Vector, reference: float, *, guess: float, floor: float) -> Forecast:
    """Forecast a number from its past: an exponentially weighted mean, with the error that it usually has.

    Args:
        past: The number of each past batch, oldest first.
        reference: What it is in the reference; all that is known with fewer than 4 past batches.
        guess: Usual error, where there are too few batches to know it.
        floor: Smallest error.
    """
    if len(past) < _ENOUGH:
        return Forecast(center=float(past[-1]) if len(past) else reference, scale=max(guess, floor))
    level, errors = float(past[0]), []
    for value in past[1:].tolist():
        errors.append(value - level)
        level += _EWMA * (value - level)
    size = np.abs(np.asarray(errors))
    # Normal consistency of the median absolute error; the root mean square keeps the tails of few batches.
    usual = max(1.4826 * float(np.median(size)), 0.7 * float(np.sqrt(np.mean(size**2))))
    return Forecast(center=level, scale=max(usual, floor))


def columns_of(
    binning: Mapping[str, ColumnBinning], current: pl.DataFrame, past: Sequence[pl.DataFrame], reference: pl.DataFrame
) -> dict[str, Column]:
    """Return every column that all of the profiles count, the joint row aside."""
    now, then = _by_column(current), _by_column(reference)
    before = [_by_column(one) for one in past]
    found = {}
    for name in sorted(set(now) & set(then) & set(binning)):
        zeros = _bin_of_zeros(binning[name], then[name])
        found[name] = Column(
            name=name,
            binning=binning[name],
            now=Counted.of(now[name], zeros),
            past=tuple(Counted.of(one[name], zeros) for one in before if name in one),
            reference=Counted.of(then[name], zeros),
        )
    return found


def counts_digest(profile: pl.DataFrame) -> str:
    """Return a digest of a profile's whole numbers: equal where two batches hold the same rows, in any order.

    Sums are left out, since they depend on the order of the rows in their last bits.
    """
    rows = profile.sort("column").select("column", *_INTEGERS)
    return digest_json(rows.rows())


def _by_column(profile: pl.DataFrame) -> dict[str, dict[str, Any]]:
    rows: Iterable[dict[str, Any]] = profile.filter(pl.col("kind") != "joint").iter_rows(named=True)
    return {row["column"]: row for row in rows}


def _bin_of_zeros(binning: ColumnBinning, reference: Mapping[str, Any]) -> int | None:
    """Return the bin that holds zeros only, where they are common: how often it rains is no matter of unit."""
    if binning.kind != "numeric" or 0.0 not in binning.edges:
        return None
    bin_ = binning.edges.index(0.0)
    is_point = bin_ > 0 and binning.edges[bin_ - 1] >= (-1.0 if binning.type == "int" else -1e-9)
    return bin_ if is_point and reference["counts"][bin_] >= _COMMON * max(reference["n"], 1) else None


def _moments(row: Mapping[str, Any], n_values: int, n_zeros: int) -> tuple[float, float]:
    n, center = n_values - n_zeros, row["center"]
    if row["sum"] is None or n <= 0:
        return float("nan"), float("nan")
    mean = (row["sum"] + n_zeros * center) / n
    return center + mean, float(np.sqrt(max((row["sum2"] - n_zeros * center * center) / n - mean * mean, 0.0)))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _log(value: float) -> float:
    return float(np.log(value)) if value > 0 else float("nan")
