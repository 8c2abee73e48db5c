"""Correction of p-values for how many tests a report makes."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def level(reach: Floats, weights: Floats, budget: float) -> float:
    """Compute the level at which a family of tests errs with chance of at most ``budget`` in sum.

    A test that reaches its gate with chance r when nothing changed errs at level w c with chance of at most
    min(w c, r). A column without a missing value on either side has r = 0 and costs the others nothing (Tarone 1990,
    Biometrics 46:515; Gilbert 2005, Applied Statistics 54:143).

    Args:
        reach: Chance r per test, 0..1.
        weights: Weight w per test, positive.
        budget: What the family may spend.

    Returns:
        The largest c with sum of min(w c, r) <= budget; 1 where even the sum of all r is within it.

    Example:
        >>> tests = np.array([1.0, 1.0, 0.002])
        >>> level(tests[:2], np.ones(2), 0.01), level(tests[1:], np.ones(2), 0.01)
        (0.005, 0.008)
    """
    order = np.argsort(reach / weights, kind="stable")
    spent = np.concatenate([[0.0], np.cumsum(reach[order])[:-1]])
    left = np.cumsum(weights[order][::-1])[::-1]
    candidates = (budget - spent) / left
    within = np.flatnonzero(candidates <= (reach / weights)[order])
    return float(candidates[within[0]]) if len(within) else 1.0


def holm(p_values: Floats, weights: Floats | None = None, reach: Floats | None = None) -> Floats:
    """Correct p-values for their number: flagging those <= alpha errs at all with chance of at most alpha.

    Holm's step-down method with weights (Holm 1979, Scandinavian Journal of Statistics 6:65): the hypothesis with the
    smallest p / weight is judged first, then the next among those that are left. A test counts with no more than the
    chance that it reaches its gate at all, see :func:`level`.

    Args:
        p_values: One per test.
        weights: Positive, one per test; None weighs all the same. Only their ratios matter.
        reach: Chance per test that its gate is reached when nothing changed; None: 1.

    Returns:
        Corrected p-values in the same order, 0..1.

    Example:
        >>> holm(np.array([0.04, 0.01, 0.03])).round(9).tolist()
        [0.06, 0.03, 0.06]
    """
    weights = np.ones(len(p_values)) if weights is None else weights
    reach = np.ones(len(p_values)) if reach is None else reach
    order = np.argsort(p_values / weights, kind="stable")
    weight, most = weights[order], reach[order]
    level = p_values[order] / weight
    # Test j costs weight x level while it is left; from where that reaches its reach on, it costs its reach, and is never
    # taken off: what is small for want of a gate is no rejected hypothesis.
    full = np.searchsorted(level, most / weight)
    until = np.minimum(full, np.arange(1, len(order) + 1))
    by_level = np.bincount(until, weights=weight, minlength=len(order) + 1)[::-1].cumsum()[::-1][1:]
    by_reach = np.bincount(full, weights=most, minlength=len(order) + 1).cumsum()[:-1]
    corrected = np.empty(len(order))
    corrected[order] = np.maximum.accumulate(level * by_level + by_reach)
    return np.clip(corrected, p_values, 1.0)


def benjamini_hochberg(p_values: Floats, reach: Floats | None = None) -> Floats:
    """Correct p-values so that flagging those <= q leaves a share of at most q of false flags on average.

    Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57:289. Tests whose gate can't be reached
    (``reach`` 0) are left out.

    Example:
        >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5])).round(6).tolist()
        [0.04, 0.053333, 0.053333, 0.5]
    """
    counted = np.flatnonzero(np.ones(len(p_values)) if reach is None else reach)
    corrected = np.ones(len(p_values))
    order = counted[np.argsort(p_values[counted], kind="stable")]
    ranked = p_values[order] * len(order) / np.arange(1, len(order) + 1)
    corrected[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return corrected
