"""Whether numeric columns move together as they did: correlations on both sides, from the profiles' joint rows."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ratoon.drift.sides import JointCounts
from ratoon.profiles.joint import LARGEST_SCORE

Floats = NDArray[np.float64]

_LARGEST: Final = 1 - 1e-9
"""Correlations are kept below 1, so that Fisher's z stays finite."""
_LARGEST_FOURTH: Final = 6.0
_CONSTANT: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Every pair of the joint row's columns, one place per pair."""

    first: NDArray[np.int64]
    """Place of the pair's columns in the joint row."""
    second: NDArray[np.int64]
    reference: Floats
    """Correlation; 0 where a column is constant."""
    current: Floats
    p_value: Floats
    """1 where a column is constant on a side, or excluded."""


def compare_pairs(reference: JointCounts, current: JointCounts, extent: Floats, excluded: set[str]) -> Pairs:
    """Compare the correlations of bounded scores on both sides.

    Fisher's z of both correlations, two-sided. For normal data the variance of z is 1/n + 1/m; see :func:`inflation`
    for other data.

    Args:
        reference: The reference's joint row.
        current: The current window's, of the same columns.
        extent: How far the farthest value of each column lies from its mean, in standard deviations; infinity
            where that isn't known.
        excluded: Columns that are not judged.
    """
    first, second = np.triu_indices(len(reference.columns), 1)
    (matrix, largest), (now, largest_now) = _correlations(reference), _correlations(current)
    before, after = matrix[first, second], now[first, second]
    z = np.abs(np.arctanh(_inner(before)) - np.arctanh(_inner(after)))
    pooled = (before * reference.n + after * current.n) / (reference.n + current.n)
    bound = np.minimum(extent, np.fmax(largest, largest_now))
    factor = inflation(pooled, bound[first], bound[second])
    variance = factor * (1 / max(reference.n - 3, 1) + 1 / max(current.n - 3, 1))
    p_value = 2 * special.ndtr(-z / np.sqrt(variance))
    is_out = np.array([name in excluded for name in reference.columns], dtype=bool)
    return Pairs(
        first=first,
        second=second,
        reference=np.nan_to_num(before),
        current=np.nan_to_num(after),
        p_value=np.where(np.isnan(p_value) | is_out[first] | is_out[second], 1.0, p_value),
    )


def inflation(correlation: Floats, extent: Floats, other: Floats) -> Floats:
    """Bound by what factor the variance of Fisher's z exceeds the one of normal data.

    For standardized x and y = r x + s e, s² = 1 - r², the influence of one row on z is r (x² - e²) / 2 + s x e. Its
    standard deviation is at most |r| / 2 (sqrt(E x⁴ - 1) + sqrt(E e⁴ - 1)) + s sqrt(E x² e²). Scores are bounded, and
    |e| by what that leaves: E e⁴ <= max e². So a few rows far from a narrow cloud (flights over midnight, whose
    hour of arrival is small) are allowed for. For E x⁴ and E x² e² the same bound is used up to 6, twice the one of
    the normal distribution: 1 for independent columns, and the largest seen for columns of a shared size is 4.7.

    Args:
        correlation: r of each pair.
        extent: Most distance of a pair's first column from its mean, in standard deviations.
        other: The same of its second column.
    """
    r = np.abs(_inner(correlation))
    s = np.sqrt(1 - r**2)
    fourth = np.minimum(np.minimum(extent, other) ** 2, _LARGEST_FOURTH)
    residual = (r * np.minimum(extent, other) + np.maximum(extent, other)) / s
    spread = np.sqrt(np.maximum(fourth - 1, 0.0)) + np.sqrt(np.maximum(residual**2 - 1, 0.0))
    return np.asarray((r / 2 * spread + s * np.sqrt(fourth)) ** 2)


def _correlations(side: JointCounts) -> tuple[Floats, Floats]:
    """Return the matrix of correlations, and how far a score can lie from its mean in standard deviations.

    Both are NaN for a constant column.
    """
    k = len(side.columns)
    counts = np.asarray(side.counts, dtype=np.float64) / side.n
    mean, products = counts[:k], np.zeros((k, k))
    products[np.triu_indices(k)] = counts[k:]
    covariance = np.triu(products) + np.triu(products, 1).T - np.outer(mean, mean)
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    deviation[deviation < _CONSTANT] = np.nan
    return covariance / np.outer(deviation, deviation), (LARGEST_SCORE + np.abs(mean)) / deviation


def _inner(correlation: Floats) -> Floats:
    return np.clip(correlation, -_LARGEST, _LARGEST)
