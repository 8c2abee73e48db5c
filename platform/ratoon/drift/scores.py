"""Effect sizes and p-values of two vectors of counts."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Counts = NDArray[np.float64]

SMALLEST_EXPECTED: Final = 5.0
"""Cells whose expected count is smaller on either side are pooled (Cochran 1954): below it, chi-square is not."""


class Change(NamedTuple):
    """An effect and the chance of one at least as improbable when nothing changed."""

    effect: float
    p_value: float


def pooled_bins(reference: Sequence[int], current: Sequence[int]) -> tuple[Counts, Counts]:
    """Pool neighbouring bins until each is expected to hold 5 rows on both sides.

    What is expected follows from the sum of both sides, so that pooling doesn't favour one.

    Returns:
        Two vectors of the same length; of length 1 or 0 where there is nothing left to compare.
    """
    cells, expected = _cells(reference, current)
    groups: list[list[int]] = []
    open_group: list[int] = []
    holds = 0.0
    for cell, rows in enumerate(expected.tolist()):
        open_group.append(cell)
        holds += rows
        if holds >= SMALLEST_EXPECTED:
            groups.append(open_group)
            open_group, holds = [], 0.0
    if open_group and groups:
        groups[-1] += open_group
    return _summed(cells, groups or [open_group])


def pooled_categories(reference: Sequence[int], current: Sequence[int], rest: tuple[int, int]) -> tuple[Counts, Counts]:
    """Pool the rare categories with the unlisted ones.

    The batch that listed the categories holds each at least once, and none that isn't listed. A category that is
    rare is therefore too frequent in it by chance; in one cell with the unlisted ones that cancels out.

    Args:
        reference: Counts per listed category.
        current: Counts of the same categories.
        rest: Rows with an unlisted one, of the reference and of the current window.

    Returns:
        Two vectors of the same length, the pooled cell first; of length 1 or 0 where there is nothing to compare.
    """
    cells, expected = _cells([*reference, rest[0]], [*current, rest[1]])
    if not len(expected):
        return _summed(cells, [])
    is_rare = expected < SMALLEST_EXPECTED
    is_rare[-1] = True
    common = sorted(np.flatnonzero(~is_rare).tolist(), key=lambda cell: float(expected[cell]))
    rare = np.flatnonzero(is_rare).tolist()
    if common and expected[rare].sum() < SMALLEST_EXPECTED:
        rare.append(common.pop(0))
    return _summed(cells, [rare, *([cell] for cell in common)])


def _cells(reference: Sequence[int], current: Sequence[int]) -> tuple[Counts, Counts]:
    """Return both sides as a 2 x cells matrix, and what each cell is expected to hold on the smaller side."""
    cells = np.array([reference, current], dtype=np.float64)
    rows = cells.sum(axis=1)
    if not rows.all():
        return np.empty((2, 0)), np.empty(0)
    return cells, cells.sum(axis=0) * rows.min() / rows.sum()


def _summed(cells: Counts, groups: list[list[int]]) -> tuple[Counts, Counts]:
    sums = np.array([cells[:, group].sum(axis=1) for group in groups if group]).reshape(-1, 2)
    return sums[:, 0], sums[:, 1]


def psi(reference: Counts, current: Counts) -> float:
    """Compute the population stability index, sum of (q - p) ln(q / p) over the shares p and q.

    An empty cell counts as half a row, so that the index stays finite.

    Example:
        Half and half against one to three: (.25 - .5) ln(.25 / .5) + (.75 - .5) ln(.75 / .5) = .25 ln 2 + .25 ln 1.5

        >>> round(psi(np.array([50.0, 50.0]), np.array([25.0, 75.0])), 6)
        0.274653
    """
    p, q = np.maximum(reference, 0.5) / reference.sum(), np.maximum(current, 0.5) / current.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def expected_null_psi(n_cells: int, n_reference: float, n_current: float) -> float:
    """Compute what PSI averages when nothing changed: (cells - 1) (1/n + 1/m).

    To second order, PSI is the chi-square statistic of homogeneity times (1/n + 1/m), whose mean is cells - 1
    (Yurdakul 2018, "Statistical properties of population stability index").
    """
    return (n_cells - 1) * (1 / float(n_reference) + 1 / float(n_current))


def homogeneity_p(reference: Counts, current: Counts) -> float:
    """Compute the p-value of Pearson's chi-square test that both sides have the same shares.

    Unlike a one-sample test it doesn't take the reference's shares for exact. Every cell needs a positive sum;
    one cell has p = 1.
    """
    cells = np.array([reference, current])
    expected = np.outer(cells.sum(axis=1), cells.sum(axis=0)) / cells.sum()
    statistic = float(np.sum((cells - expected) ** 2 / expected))
    return float(special.chdtrc(len(reference) - 1, statistic)) if len(reference) > 1 else 1.0


def share_change(
    hits_reference: float, n_reference: float, hits_current: float, n_current: float, *, slack: float = 0.0
) -> Change:
    """Test whether a share changed, and by how much.

    Args:
        hits_reference: Rows of the reference that have the property.
        n_reference: Rows of the reference, > 0.
        hits_current: Rows of the current window that have it.
        n_current: Rows of the current window, > 0.
        slack: By how much the share is expected to rise when nothing changed: a rise counts from there.

    Returns:
        The change (a rise is positive, 0 within the slack) and the p-value of the two-sided pooled z-test.
    """
    share, now = hits_reference / n_reference, hits_current / n_current
    expected = min(max(now, share), share + slack, 1.0)
    change = now - expected
    if change == 0:
        return Change(0.0, 1.0)
    mean = (expected * n_reference + hits_current) / (n_reference + n_current)
    deviation = np.sqrt(mean * (1 - mean) * (1 / n_reference + 1 / n_current))
    return Change(change, float(2 * special.ndtr(-abs(change) / deviation)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979): flagging those <= alpha errs at all with chance <= alpha.

    Example:
        >>> holm([0.04, 0.01, 0.03])
        [0.06, 0.03, 0.06]
    """
    corrected = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = largest
    return corrected
