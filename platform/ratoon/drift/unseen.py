"""Values that the reference does not list: how many are expected, and how improbable more of them are."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

_MOST_SUMMED: Final = 2_000
"""Rows up to which the distribution of a sum is convolved; beyond, it is as good as normal."""
_NEGLIGIBLE: Final = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlisted:
    """One category column on both sides."""

    listed: Floats
    """Rows of both sides per listed value."""
    rest_reference: int
    rest_current: int
    single_current: int
    """Rows of the current window with an unlisted value that it holds once."""
    n_reference: int
    """Rows of the reference with a value."""
    n_current: int


def good_turing(listed_reference: Floats, rest_singletons: float, n_reference: float) -> float:
    """Estimate the share of rows that hold a value that the reference can't have seen: f1 / n (Good 1953).

    Args:
        listed_reference: The reference's rows per listed value.
        rest_singletons: Unlisted values that it holds once.
        n_reference: Its rows with a value, > 0.

    Example:
        >>> good_turing(np.array([90.0, 8.0, 1.0, 1.0]), 0, 100)
        0.02
    """
    return float((np.count_nonzero(listed_reference == 1) + rest_singletons) / n_reference)


def unseen_p(column: Unlisted, smallest_share: float) -> tuple[float, float, float]:
    """Compute the one-sided p-value of the current window's unlisted rows, and the chance to reach the gate at all.

    When nothing changed, the rows of both sides are one sample, parted by chance; each row is current with
    chance q. A value that occurs T times in both is missing from the reference, and so unlisted, with
    chance of at most q^T, and then brings T unlisted rows. The tail of the sum over all values is the p-value: a
    permutation test of the rows. Where the reference holds unlisted rows itself, its list is older than it is, and every
    unlisted row is current with chance q. How often each unlisted value occurs isn't known but for single ones:
    two rows each is taken, which makes many of them the most probable.

    Args:
        column: The column.
        smallest_share: From which rise of the unlisted share on it matters.

    Returns:
        p-value; the chance that the share rises by ``smallest_share`` when nothing changed; and how many listed
        values are expected to be missing from the reference by chance.
    """
    q = column.n_current / (column.n_reference + column.n_current)
    listed = column.listed[column.listed > 0]
    chance = q**listed
    expected = float(chance.sum())
    if not column.rest_reference and not column.rest_current and expected < _NEGLIGIBLE:
        return 1.0, 0.0, expected
    if column.rest_reference:
        rows = column.rest_reference + column.rest_current
        n = column.n_reference + column.n_current
        gate = (smallest_share + rows / column.n_reference) * column.n_reference * column.n_current / n
        groups = {1: float(rows)}
    else:
        gate = smallest_share * column.n_current
        groups = _smallest_groups(column.rest_current, min(column.single_current, column.rest_current))
    trials = [(times, count, q**times) for times, count in groups.items() if count]
    is_possible = chance > _NEGLIGIBLE
    for worth, number in Counter(listed[is_possible].tolist()).items():
        trials.append((int(worth), float(number), q**worth))
    reach = _tail(trials, max(int(np.ceil(gate - 1e-9)), 1))
    p_value = _tail(trials, column.rest_current) if column.rest_current else 1.0
    return p_value, reach, expected


def _smallest_groups(n_rows: int, n_single: int) -> dict[int, float]:
    """Part unlisted rows into values: the single ones, then two rows each, three where one is left over."""
    left = n_rows - n_single
    if left == 1:
        return {1: n_single + 1.0}
    return {1: float(n_single), 2: left // 2 - left % 2.0, 3: left % 2.0}


def _tail(trials: list[tuple[int, float, float]], at_least: int) -> float:
    """Compute P(sum >= at_least) of independent trials, each of (worth, number, chance)."""
    if at_least > _MOST_SUMMED:
        mean = sum(worth * number * chance for worth, number, chance in trials)
        variance = sum(worth**2 * number * chance * (1 - chance) for worth, number, chance in trials)
        return float(special.ndtr((mean - at_least + 0.5) / max(variance, 1e-12) ** 0.5))
    below, beyond = np.ones(1), 0.0
    # Valuable trials first: they leave few places to convolve with.
    for worth, number, chance in sorted(trials, reverse=True):
        most = int(min(number, -(-at_least // worth)))
        successes = np.zeros(most * worth + 1)
        k = np.arange(most)
        successes[: most * worth : worth] = _binomial(k, number, chance)
        successes[most * worth] = special.betainc(most, number - most + 1, chance)
        both = np.convolve(below, successes)
        beyond += float(both[at_least:].sum())
        below = both[:at_least]
    return min(beyond, 1.0)


def _binomial(k: NDArray[np.int64], number: float, chance: float) -> Floats:
    log = special.gammaln(number + 1) - special.gammaln(k + 1) - special.gammaln(number - k + 1)
    return np.asarray(np.exp(log + special.xlogy(k, chance) + special.xlog1py(number - k, -chance)))
