"""How improbable a change is when nothing changed: p-values of many columns at once."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ratoon.drift.cells import Counts, Pooled

Floats = NDArray[np.float64]

_EXACT_BELOW: Final = 100.0
"""Standard deviation of a count, up to which its exact distribution is summed; beyond, it is as good as normal."""
_FAR: Final = 12.0
"""Standard deviations beyond the observed count, after which a tail holds nothing that matters."""


def homogeneity_p(pooled: Pooled) -> Floats:
    """Compute the p-value that both sides have the same shares; fewer than two cells have p = 1.

    The larger one of Pearson's chi-square test of homogeneity and the likelihood-ratio test with Williams' correction
    (1976, Biometrika 63:33). Unlike one-sample tests they don't take the reference's shares for exact. Small cells
    make the first cry wolf where the sides' sizes differ (at p = 1e-4, five rows in the smallest of 20 cells, and 500
    against 20,000 rows, 1.9 times too often), and the second where they are equal (1.5 times).
    """
    reference, current = pooled.reference, pooled.current
    n, m = reference.sum(axis=1, keepdims=True), current.sum(axis=1, keepdims=True)
    both, size = reference + current, n + m
    is_cell = both > 0
    parts = (reference * m - current * n) ** 2 / np.maximum(both, 1) / np.maximum(n * m, 1)
    pearson = np.where(is_cell, parts, 0.0).sum(axis=1)
    share = both / np.maximum(size, 1)
    ratio = 2 * (special.rel_entr(reference, share * n) + special.rel_entr(current, share * m)).sum(axis=1)
    of_cells = np.where(is_cell, size / np.maximum(both, 1), 0.0).sum(axis=1) - 1
    of_sides = (size / np.maximum(n, 1) + size / np.maximum(m, 1))[:, 0] - 1
    freedom = np.maximum(pooled.n_cells - 1, 1)
    williams = ratio / (1 + of_cells * of_sides / (6 * np.maximum(size[:, 0], 1) * freedom))
    p_value = special.chdtrc(freedom, np.minimum(pearson, williams))
    return np.where((pooled.n_cells > 1) & (n * m > 0)[:, 0], p_value, 1.0)


def rank_p(reference: Counts, current: Counts) -> Floats:
    """Compute the p-value that values moved up or down: Mann-Whitney's test on bins, two-sided.

    Rows of one bin are tied; the variance is the permutation's, with ties.
    """
    both = reference + current
    rank = both.cumsum(axis=1) - (both - 1) / 2
    return _linear_rank_p(reference, current, rank)


def spread_p(reference: Counts, current: Counts) -> Floats:
    """Compute the p-value that values moved apart or together: Mood's test on bins, two-sided.

    A row's score is the square of its rank's distance from the middle; tied rows share the mean of theirs
    (Mielke 1967, "Note on some squared rank tests with existing ties").
    """
    both = reference + current
    distance = both.cumsum(axis=1) - (both - 1) / 2 - (both.sum(axis=1, keepdims=True) + 1) / 2
    return _linear_rank_p(reference, current, distance**2 + (both**2 - 1) / 12)


def share_p(hits_reference: Floats, n_reference: Floats, hits_current: Floats, n_current: Floats) -> Floats:
    """Compute the two-sided p-value that a share of rows changed, given how many rows have it in sum.

    Twice the smaller tail of the hypergeometric distribution (Fisher's exact test).

    Args:
        hits_reference: Rows of the reference that have the property.
        n_reference: Rows of the reference.
        hits_current: Rows of the current window that have it.
        n_current: Rows of the current window.
    """
    hits, n = hits_reference + hits_current, n_reference + n_current
    is_rise = hits_current * n >= hits * n_current
    # A fall of the current side is a rise of the reference.
    observed = np.where(is_rise, hits_current, hits_reference)
    tail = upper_tail(observed, hits, np.where(is_rise, n_current, n_reference), n)
    return np.minimum(2 * tail, 1.0)


def share_reach(hits: Floats, n_reference: Floats, n_current: Floats, smallest: Floats) -> Floats:
    """Compute the chance that the share changes by at least so much when nothing changed.

    Args:
        hits: Rows of both sides that have the property.
        n_reference: Rows of the reference.
        n_current: Rows of the current window.
        smallest: The change from which it counts, > 0.

    Returns:
        The chance per column; 0 where so large a change isn't possible with so few (or so many) hits.
    """
    n = n_reference + n_current
    both = n_reference * n_current / np.maximum(n, 1)
    rise = np.ceil((smallest + hits / np.maximum(n_reference, 1)) * both - 1e-9)
    fall = np.ceil((smallest + hits / np.maximum(n_current, 1)) * both - 1e-9)
    return np.minimum(upper_tail(rise, hits, n_current, n) + upper_tail(fall, hits, n_reference, n), 1.0)


def upper_tail(observed: Floats, hits: Floats, drawn: Floats, n: Floats) -> Floats:
    """Compute P(X >= observed), X the hits among ``drawn`` rows of ``n`` of which ``hits`` have the property.

    Exact by summing while X has a standard deviation of at most 100, normal with a correction for continuity
    beyond. At or below the mean the result is only promised to be at least 0.3, and at most 1.
    """
    mean = drawn * hits / np.maximum(n, 1)
    variance = mean * (1 - hits / np.maximum(n, 1)) * (n - drawn) / np.maximum(n - 1, 1)
    deviation = np.sqrt(np.maximum(variance, 0.0))
    tail = special.ndtr(-(observed - 0.5 - mean) / np.maximum(deviation, 1e-12))
    most = np.minimum(hits, drawn)
    exact = (observed > mean) & (deviation <= _EXACT_BELOW) & (observed <= most)
    if exact.any():
        tail[exact] = _summed_tail(*(values[exact] for values in (observed, hits, drawn, n, deviation)))
    tail[observed > most] = 0.0
    tail[observed <= np.maximum(hits - (n - drawn), 0)] = 1.0
    return np.asarray(tail)


def _summed_tail(observed: Floats, hits: Floats, drawn: Floats, n: Floats, deviation: Floats) -> Floats:
    """Sum the hypergeometric probabilities outwards from ``observed``, each from the one before."""
    first = np.exp(_log_choose(drawn, observed) + _log_choose(n - drawn, hits - observed) - _log_choose(n, hits))
    n_terms = int(np.minimum(np.minimum(hits, drawn) - observed, np.ceil(_FAR * deviation) + 20).max(initial=0))
    k = observed[:, None] + np.arange(n_terms)
    up = np.maximum(hits[:, None] - k, 0) * np.maximum(drawn[:, None] - k, 0)
    down = (k + 1) * np.maximum((n - drawn - hits)[:, None] + k + 1, 1)
    return np.asarray(np.minimum(first * (1 + np.cumprod(up / down, axis=1).sum(axis=1)), 1.0))


def _log_choose(n: Floats, k: Floats) -> Floats:
    return np.asarray(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))


def _linear_rank_p(reference: Counts, current: Counts, score: Floats) -> Floats:
    """Compute the two-sided normal p-value of the current rows' mean score among all permutations of the rows."""
    both = reference + current
    n, m = reference.sum(axis=1), current.sum(axis=1)
    size = np.maximum(n + m, 2)
    centred = score - ((both * score).sum(axis=1) / size)[:, None]
    variance = n * m / (size * (size - 1)) * (both * centred**2).sum(axis=1)
    z = np.abs((current * centred).sum(axis=1)) / np.sqrt(np.maximum(variance, 1e-300))
    return np.where(variance > 0, 2 * special.ndtr(-z), 1.0)
