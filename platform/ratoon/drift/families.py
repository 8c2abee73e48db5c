"""The tests that a report makes, in families that share its error."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ratoon.drift.correction import benjamini_hochberg, holm, level
from ratoon.drift.values import Reason

Floats = NDArray[np.float64]

Family = Reason | Literal["joint"]

SHARES: Final[dict[Family, float]] = {"distribution": 0.25, "null_rate": 0.15, "new_category": 0.5, "joint": 0.1}
"""What each family may spend of the report's error. Unlisted values get most, since their test is the one that works
with a handful of rows; a column whose distribution or missing rate changes by as much as matters shows it in hundreds."""

_LEAST_ALPHA: Final = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Tests:
    """Tests of one kind, one place per test."""

    family: Family
    name: str
    subject: NDArray[np.int64]
    """Which column (or pair) a test is of."""
    p_value: Floats
    severity: Floats
    """Effect in units of its threshold."""
    reach: Floats
    """Most chance of an effect as large as the threshold when nothing changed, given the margins."""
    weight: Floats
    """How the family's share is divided."""


def corrected(tests: list[Tests], alpha: float, correction: Literal["holm", "fdr"]) -> list[Floats]:
    """Correct the p-values of all tests of a report for their number.

    Args:
        tests: All of them.
        alpha: The report's error.
        correction: holm or fdr, see :class:`ratoon.monitoring.DriftSettings`.

    Returns:
        Corrected p-values per kind of test, in the same order: what is <= alpha is real.
    """
    p_values, reach = (np.concatenate([[], *(getattr(t, field) for t in tests)]) for field in ("p_value", "reach"))
    if correction == "fdr":
        result = benjamini_hochberg(p_values, reach)
    else:
        weights = np.concatenate([[], *_weights(tests, max(alpha, _LEAST_ALPHA))])
        result = holm(p_values, weights, reach)
    return np.split(result, np.cumsum([len(t.p_value) for t in tests])[:-1])


def _weights(tests: list[Tests], alpha: float) -> list[Floats]:
    """Return the level that each test gets of its family's share.

    The levels depend on the margins only (how many rows miss a value in sum of both sides, say), which say nothing
    of a change, so that the bound holds.
    """
    weights = []
    for kind in tests:
        family = [other for other in tests if other.family == kind.family]
        reach, shares = (np.concatenate([getattr(other, field) for other in family]) for field in ("reach", "weight"))
        weights.append(kind.weight * level(reach, shares, SHARES[kind.family] * alpha))
    return weights
