"""Counts of many columns at once, as matrices with one row per column, and how small cells are pooled."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
"""Counts: one row per column, one place per bin or value, padded with 0."""

SMALLEST_EXPECTED: Final = 5.0
"""Cells whose expected count is smaller on either side are pooled (Cochran 1954): below it, chi-square is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Both sides' pooled cells; a place that is 0 on both sides is no cell.

    A column with fewer than two cells has nothing left to compare.
    """

    reference: Counts
    current: Counts

    @property
    def n_cells(self) -> NDArray[np.int64]:
        """Return the number of cells per column."""
        return np.asarray(np.count_nonzero(self.reference + self.current, axis=1))


def pool_neighbours(reference: Counts, current: Counts) -> Pooled:
    """Pool neighbouring bins until each is expected to hold 5 rows on both sides.

    What is expected follows from the sum of both sides, so that pooling doesn't favour one.

    Args:
        reference: Rows per bin, columns x bins.
        current: The same bins of the current window.
    """
    expected = _expected(reference, current)
    group = np.empty(expected.shape, dtype=np.int64)
    holds, is_open = np.zeros(len(expected)), np.zeros(len(expected), dtype=np.int64)
    for place in range(expected.shape[1]):
        holds += expected[:, place]
        group[:, place] = is_open
        is_full = holds >= SMALLEST_EXPECTED
        is_open += is_full
        holds[is_full] = 0.0
    # What is left at the end belongs to the last full cell.
    np.minimum(group, np.maximum(is_open - 1, 0)[:, None], out=group)
    return Pooled(reference=_summed(reference, group), current=_summed(current, group))


def pool_rare(reference: Counts, current: Counts, rest_reference: Counts, rest_current: Counts) -> Pooled:
    """Pool the rare categories with the unlisted ones, in the last place.

    The batch that listed the categories holds each at least once, and none that isn't listed. A category that is
    rare is therefore too frequent in it by chance; in one cell with the unlisted ones that cancels out.

    Args:
        reference: Rows per listed category, columns x categories.
        current: The same categories of the current window.
        rest_reference: Rows with an unlisted one, per column.
        rest_current: The same of the current window.
    """
    sides = np.hstack([reference, rest_reference[:, None]]), np.hstack([current, rest_current[:, None]])
    expected = _expected(*sides)
    is_rare = expected < SMALLEST_EXPECTED
    is_rare[:, -1] = True
    common = np.where(is_rare, np.inf, expected)
    rows = np.arange(len(expected))
    smallest = common.argmin(axis=1)
    too_few = (np.where(is_rare, expected, 0.0).sum(axis=1) < SMALLEST_EXPECTED) & ~is_rare.all(axis=1)
    is_rare[rows[too_few], smallest[too_few]] = True
    group = np.where(is_rare, expected.shape[1] - 1, np.arange(expected.shape[1]))
    return Pooled(reference=_summed(sides[0], group), current=_summed(sides[1], group))


def padded(lists: list[Any]) -> Counts:
    """Return vectors of different lengths as the rows of one matrix, padded with 0."""
    lengths = np.fromiter((len(counts) for counts in lists), dtype=np.int64, count=len(lists))
    matrix = np.zeros((len(lists), int(lengths.max(initial=0))))
    matrix[np.arange(matrix.shape[1]) < lengths[:, None]] = np.concatenate([*lists, ()])
    return matrix


def _expected(reference: Counts, current: Counts) -> Counts:
    """Return what each place is expected to hold on the smaller side, if nothing changed."""
    n, m = reference.sum(axis=1), current.sum(axis=1)
    share = np.minimum(n, m) / np.maximum(n + m, 1)
    return np.asarray((reference + current) * share[:, None])


def _summed(counts: Counts, group: NDArray[np.int64]) -> Counts:
    n_columns, n_places = counts.shape
    flat = (group + np.arange(n_columns)[:, None] * n_places).ravel()
    sums: Counts = np.bincount(flat, weights=counts.ravel(), minlength=n_columns * n_places).astype(np.float64)
    return sums.reshape(n_columns, n_places)
