"""How far two sides are apart: distances of many columns at once.

Every function takes counts (columns x places, padded with 0) or shares, and returns one number per column.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ratoon.drift.cells import Counts, Pooled

Floats = NDArray[np.float64]

SMALLEST_SHARE: Final = 0.001
"""Half a row of 500."""


def psi(pooled: Pooled) -> Floats:
    """Compute the population stability index, sum of (q - p) ln(q / p) over the shares p and q.

    A share below a thousandth counts as one (or as half a row, where that is more): an empty cell leaves the index
    finite, and what is rare on both sides doesn't rule it in large windows. A column without cells has 0.

    Example:
        Half and half against one to three: (.25 - .5) ln(.25 / .5) + (.75 - .5) ln(.75 / .5) = .25 ln 2 + .25 ln 1.5

        >>> sides = Pooled(reference=np.array([[50.0, 50.0]]), current=np.array([[25.0, 75.0]]))
        >>> psi(sides).round(6).tolist()
        [0.274653]
    """
    p, q = (
        np.maximum(np.maximum(side, 0.5) / np.maximum(_total(side), 1), SMALLEST_SHARE)
        for side in (pooled.reference, pooled.current)
    )
    is_cell = (pooled.reference + pooled.current) > 0
    return np.asarray(np.where(is_cell, (q - p) * np.log(q / p), 0.0).sum(axis=1))


def expected_null_psi(pooled: Pooled) -> Floats:
    """Compute what PSI averages when nothing changed: (cells - 1) (1/n + 1/m).

    To second order, PSI is the chi-square statistic of homogeneity times (1/n + 1/m), whose mean is cells - 1
    (Yurdakul 2018, "Statistical properties of population stability index").
    """
    n, m = pooled.reference.sum(axis=1), pooled.current.sum(axis=1)
    return np.asarray(np.maximum(pooled.n_cells - 1, 0) * (1 / np.maximum(n, 1) + 1 / np.maximum(m, 1)))


def jensen_shannon(reference: Counts, current: Counts) -> Floats:
    """Compute the Jensen-Shannon distance of the shares: the root of the divergence in bits, 0..1."""
    p, q = reference / np.maximum(_total(reference), 1), current / np.maximum(_total(current), 1)
    middle = (p + q) / 2
    divergence = (special.rel_entr(p, middle) + special.rel_entr(q, middle)).sum(axis=1) / (2 * np.log(2))
    return np.asarray(np.sqrt(np.maximum(divergence, 0.0)))


def kolmogorov_smirnov(reference: Counts, current: Counts) -> Floats:
    """Compute the largest gap of the two distribution functions at an edge of the bins, 0..1."""
    p, q = reference / np.maximum(_total(reference), 1), current / np.maximum(_total(current), 1)
    return np.asarray(np.abs((p - q).cumsum(axis=1)).max(axis=1, initial=0.0))


def wasserstein(reference: Counts, current: Counts, widths: Floats, moved: Floats) -> Floats:
    """Compute the first Wasserstein distance: the area between the two distribution functions.

    Between two edges both functions are taken for straight lines. The area counted with its sign is the move of the
    mean, which is known exactly: what the lines get wrong of it is made up for in proportion to the areas.

    Args:
        reference: Rows per bin, columns x bins.
        current: The same bins of the current window.
        widths: Of the bins, columns x bins; 0 for padding.
        moved: The current mean less the reference's; NaN where it isn't known.

    Returns:
        Distance per column, in the unit of the widths.
    """
    p, q = reference / np.maximum(_total(reference), 1), current / np.maximum(_total(current), 1)
    gap = np.pad((p - q).cumsum(axis=1), ((0, 0), (1, 0)))
    up, down = (_area_above(side * gap[:, :-1], side * gap[:, 1:], widths) for side in (1, -1))
    both = up + down
    wrong = np.nan_to_num(moved - (up - down))
    corrected = both + wrong * (up - down) / np.where(both > 0, both, 1.0)
    return np.maximum(corrected, np.abs(np.nan_to_num(moved)))


def _area_above(left: Floats, right: Floats, widths: Floats) -> Floats:
    """Return the area above 0 of lines from left to right; one that crosses 0 makes a triangle."""
    size = np.abs(left) + np.abs(right)
    crossing = np.maximum(np.maximum(left, right), 0.0) ** 2 / np.where(size > 0, size, 1.0)
    heights = np.where(left * right < 0, crossing, np.maximum(left + right, 0.0)) / 2
    return np.asarray((heights * widths).sum(axis=1))


def _total(counts: Counts) -> Counts:
    return np.asarray(counts.sum(axis=1, keepdims=True))
