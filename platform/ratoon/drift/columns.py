"""Distances and tests of every column of a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ratoon.drift.cells import Counts, Pooled, padded, pool_neighbours, pool_rare
from ratoon.drift.families import Tests
from ratoon.drift.scores import expected_null_psi, jensen_shannon, kolmogorov_smirnov, psi, wasserstein
from ratoon.drift.sides import Side, Sides
from ratoon.drift.significance import homogeneity_p, rank_p, share_p, share_reach, spread_p
from ratoon.drift.unseen import Unlisted, good_turing, unseen_p
from ratoon.monitoring import ColumnDials, DriftSettings

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_TAIL: Final = 2 / np.log(2)
_FEWEST_BINS: Final = 7
_FICKLE: Final = 0.05
"""Chance that a listed value is missing from the reference, from which a column's rare values come and go."""
_FICKLE_WEIGHT: Final = 0.25
"""What such a column gets of its family's error: a few unlisted rows say little there, and much elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From where on a change matters, one place per column."""

    psi: Floats
    null_rate: Floats
    new_category: Floats


def thresholds(names: Sequence[str], settings: DriftSettings) -> Thresholds:
    """Return each column's thresholds: its own dials, else the report's."""
    dials = [settings.columns.get(name, ColumnDials()) for name in names]
    return Thresholds(
        psi=np.array([dial.min_effect or settings.min_effect for dial in dials]),
        null_rate=np.array([dial.null_rate_change or settings.null_rate_change for dial in dials]),
        new_category=np.array([dial.new_category_share or settings.new_category_share for dial in dials]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """How far each column's sides are apart; NaN where that can't be said."""

    score: Floats
    expected_null: Floats
    js: Floats
    ks: Floats
    wasserstein: Floats
    unseen: Floats
    chi_square_p: Floats
    rank_p: Floats
    spread_p: Floats


def measure(sides: Sides, edges: Sequence[Sequence[float]] | None) -> Distances:
    """Compute the distances of all columns and the p-values of their distributions.

    Args:
        sides: Both profiles.
        edges: Per column the edges of its bins; None: not known, so that the Wasserstein distance isn't either.
    """
    blank = [np.full(len(sides.names), np.nan) for _ in range(9)]
    found = Distances(**dict(zip(Distances.__slots__, blank, strict=True)))
    numeric = np.array([at for at, kind in enumerate(sides.kinds) if kind == "numeric"], dtype=np.int64)
    category = np.array([at for at, kind in enumerate(sides.kinds) if kind == "category"], dtype=np.int64)
    reference, current = (_matrix(side, numeric) for side in (sides.reference, sides.current))
    has_rows = _distribution(found, numeric, pool_neighbours(reference, current))
    found.ks[numeric] = np.where(has_rows, kolmogorov_smirnov(reference, current), np.nan)
    found.js[numeric] = np.where(has_rows, jensen_shannon(reference, current), np.nan)
    found.rank_p[numeric] = np.where(has_rows, rank_p(reference, current), np.nan)
    found.spread_p[numeric] = np.where(has_rows, spread_p(reference, current), np.nan)
    if edges is not None:
        moved = (sides.current.mean - sides.reference.mean)[numeric]
        moved = wasserstein(reference, current, _widths(sides, numeric, edges, reference.shape[1]), moved)
        found.wasserstein[numeric] = np.where(
            has_rows, _in_deviations(moved, sides.reference.deviation[numeric]), np.nan
        )
    reference, current = (_matrix(side, category) for side in (sides.reference, sides.current))
    rest = sides.reference.rest[category], sides.current.rest[category]
    has_rows = _distribution(found, category, pool_rare(reference, current, *rest))
    whole = np.hstack([reference, rest[0][:, None]]), np.hstack([current, rest[1][:, None]])
    found.js[category] = np.where(has_rows, jensen_shannon(*whole), np.nan)
    for row, at in zip(reference, category.tolist(), strict=True):
        if sides.reference.present[at]:
            found.unseen[at] = good_turing(row, sides.reference.rest_singletons[at], sides.reference.present[at])
    return found


def _distribution(found: Distances, places: Places, pooled: Pooled) -> NDArray[np.bool_]:
    """Fill in what pooled cells tell; return which columns have rows on both sides and at least two cells."""
    has_cells = pooled.n_cells > 1
    expected = expected_null_psi(pooled)
    found.expected_null[places] = np.where(has_cells, expected, np.nan)
    found.score[places] = np.where(has_cells, np.maximum(psi(pooled) - expected, 0.0), np.nan)
    found.chi_square_p[places] = np.where(has_cells, homogeneity_p(pooled), np.nan)
    return np.asarray(has_cells)


def _matrix(side: Side, places: Places) -> Counts:
    return padded([side.counts[at] for at in places.tolist()])


def _widths(sides: Sides, places: Places, edges: Sequence[Sequence[float]], n_bins: int) -> Floats:
    """Return how wide the bins are; the outer ones end at the smallest and largest value of either side.

    Where these aren't known (personal data), the outer bins have no width: what is in them is as far as their edge. The
    first and last bin within the reference's range reach to its farthest value, though most of their rows lie near the
    inner edge: of bins with equal shares of an exponential tail, a straight line that holds the same area is 2 / ln 2
    times as wide as the next bin.
    """
    low, high = np.fmin(sides.reference.min, sides.current.min), np.fmax(sides.reference.max, sides.current.max)
    widths = np.zeros((len(places), n_bins))
    for row, at in enumerate(places.tolist()):
        inner = np.array(edges[at], dtype=np.float64)
        if not len(inner):
            continue
        bounds = np.concatenate([[np.fmin(low[at], inner[0])], inner, [np.fmax(high[at], inner[-1])]])
        width = np.diff(bounds)
        if len(width) >= _FEWEST_BINS:
            width[1] = min(width[1], _TAIL * width[2:4].max())
            width[-2] = min(width[-2], _TAIL * width[-4:-2].max())
        widths[row, : len(width)] = width
    return widths


def _in_deviations(moved: Floats, deviation: Floats) -> Floats:
    known = np.where(deviation > 0, deviation, np.nan)
    return np.asarray(moved / known)


def tests_of_columns(sides: Sides, found: Distances, limits: Thresholds) -> list[Tests]:
    """Return every test of the columns, each column's distribution first."""
    return [
        *_distribution_tests(found, limits),
        _null_rate_test(sides, limits),
        _new_category_test(sides, found, limits),
    ]


def _distribution_tests(found: Distances, limits: Thresholds) -> list[Tests]:
    """One column's share of the error is parted among its tests."""
    severity = found.score / limits.psi
    by_name = {"chi_square": found.chi_square_p, "rank": found.rank_p, "spread": found.spread_p}
    n_tests = np.sum([~np.isnan(p_value) for p_value in by_name.values()], axis=0)
    return [
        Tests(
            family="distribution",
            name=name,
            subject=(of := np.flatnonzero(~np.isnan(p_value))),
            p_value=p_value[of],
            severity=severity[of],
            reach=np.ones(len(of)),
            weight=1 / n_tests[of],
        )
        for name, p_value in by_name.items()
    ]


def _null_rate_test(sides: Sides, limits: Thresholds) -> Tests:
    before, after = sides.reference, sides.current
    return Tests(
        family="null_rate",
        name="null_rate",
        subject=np.arange(len(sides.names)),
        p_value=share_p(before.missing, before.n, after.missing, after.n),
        severity=np.abs(after.missing / after.n - before.missing / before.n) / limits.null_rate,
        reach=share_reach(before.missing + after.missing, before.n, after.n, limits.null_rate),
        weight=np.ones(len(sides.names)),
    )


def _new_category_test(sides: Sides, found: Distances, limits: Thresholds) -> Tests:
    before, after = sides.reference, sides.current
    rows = np.array(
        [at for at, kind in enumerate(sides.kinds) if kind == "category" and before.present[at] and after.present[at]],
        dtype=np.int64,
    )
    chances = np.array([_unlisted_chances(sides, at, limits.new_category[at]) for at in rows.tolist()]).reshape(-1, 3)
    rise = after.rest[rows] / after.present[rows] - before.rest[rows] / before.present[rows] - found.unseen[rows]
    return Tests(
        family="new_category",
        name="new_category",
        subject=rows,
        p_value=chances[:, 0],
        severity=np.maximum(rise, 0.0) / limits.new_category[rows],
        reach=chances[:, 1],
        weight=np.where(chances[:, 2] >= _FICKLE, _FICKLE_WEIGHT, 1.0),
    )


def _unlisted_chances(sides: Sides, at: int, smallest_share: float) -> tuple[float, float, float]:
    """See :func:`ratoon.drift.unseen.unseen_p`."""
    before, after = sides.reference, sides.current
    column = Unlisted(
        listed=np.array(before.counts[at], dtype=np.float64) + after.counts[at],
        rest_reference=int(before.rest[at]),
        rest_current=int(after.rest[at]),
        single_current=int(after.rest_singletons[at]),
        n_reference=int(before.present[at]),
        n_current=int(after.present[at]),
    )
    return unseen_p(column, smallest_share)
