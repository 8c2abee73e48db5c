import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from ratoon.drift import compare
from ratoon.drift.cells import SMALLEST_EXPECTED, Pooled, padded, pool_neighbours, pool_rare
from ratoon.drift.scores import expected_null_psi, jensen_shannon, kolmogorov_smirnov, psi, wasserstein
from ratoon.profiles import make_reference, profile

_COUNTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=12)


def _row(*counts):
    return np.array([counts], dtype=np.float64)


def _pooled(reference, current):
    return Pooled(reference=_row(*reference), current=_row(*current))


def _cells(pooled):
    is_cell = (pooled.reference + pooled.current)[0] > 0
    return pooled.reference[0][is_cell].tolist(), pooled.current[0][is_cell].tolist()


def test_psi_equals_arithmetic_by_hand():
    # shares .2 .3 .5 against .4 .3 .3: (.4 - .2) ln 2 + 0 + (.3 - .5) ln .6
    assert psi(_pooled([20, 30, 50], [80, 60, 60]))[0] == pytest.approx(0.2 * math.log(2) - 0.2 * math.log(0.6))


def test_psi_of_equal_shares_is_zero_whatever_the_sizes():
    assert psi(_pooled([10, 30], [100, 300]))[0] == pytest.approx(0)


def test_psi_counts_an_empty_cell_as_half_a_row_and_a_cell_empty_on_both_sides_not_at_all():
    # shares .5 .5 against 1 and .5 / 100
    expected = 0.5 * math.log(2) + (0.005 - 0.5) * math.log(0.01)
    assert psi(_pooled([50, 50], [100, 0]))[0] == pytest.approx(expected)
    assert psi(_pooled([50, 0, 50], [100, 0, 0]))[0] == pytest.approx(expected)


def test_psi_counts_a_share_below_a_thousandth_as_one():
    # .995 .005 against 1 and 0: .005 ln 1 / .995, and .004 ln 5, however many rows there are
    expected = 0.005 * math.log(1 / 0.995) + 0.004 * math.log(5)
    for n in (10**4, 10**7):
        assert psi(_pooled([n, 0], [0.995 * n, 0.005 * n]))[0] == pytest.approx(expected)


def test_the_null_expectation_is_what_psi_averages_when_nothing_changed():
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.full(20, 5.0))
    draws = Pooled(
        reference=rng.multinomial(3_000, shares, size=400).astype(float),
        current=rng.multinomial(2_000, shares, size=400).astype(float),
    )
    expected = expected_null_psi(draws)
    assert expected[0] == pytest.approx(19 * (1 / 3_000 + 1 / 2_000))
    assert psi(draws).mean() == pytest.approx(expected[0], abs=4 * psi(draws).std() / 20)


@given(_COUNTS)
def test_the_jensen_shannon_distance_is_scipys(cells):
    reference, current = (list(side) for side in zip(*cells, strict=True))
    if sum(reference) and sum(current):
        ours = jensen_shannon(_row(*reference), _row(*current))[0]
        assert ours == pytest.approx(distance.jensenshannon(reference, current, base=2), abs=1e-7)


def test_the_jensen_shannon_distance_of_what_has_nothing_in_common_is_one():
    assert jensen_shannon(_row(10, 0), _row(0, 7))[0] == pytest.approx(1)


@given(_COUNTS)
def test_the_binned_ks_distance_is_scipys_on_values_that_are_their_bin(cells):
    reference, current = zip(*cells, strict=True)
    if sum(reference) and sum(current):
        values = [np.repeat(np.arange(len(side)), side) for side in (reference, current)]
        ours = kolmogorov_smirnov(_row(*reference), _row(*current))[0]
        assert ours == pytest.approx(stats.ks_2samp(*values, method="asymp").statistic)


def test_the_binned_ks_distance_is_at_most_the_one_of_the_values_and_close_to_it():
    rng = np.random.default_rng(3)
    values = rng.normal(size=20_000), rng.normal(0.3, 1.2, size=5_000)
    edges = [-np.inf, *np.quantile(values[0], np.arange(1, 20) / 20), np.inf]
    binned = kolmogorov_smirnov(*(_row(*np.histogram(side, edges)[0]) for side in values))[0]
    raw = stats.ks_2samp(*values).statistic
    assert raw - 0.02 <= binned <= raw


_UNKNOWN = np.array([np.nan])


def test_the_wasserstein_distance_is_the_area_between_straight_lines():
    # all of two rows' mass moves from [0, 1] to [1, 2]: by 1; half of it by 1/2
    assert wasserstein(_row(2, 0), _row(0, 2), _row(1, 1), _UNKNOWN)[0] == pytest.approx(1)
    assert wasserstein(_row(2, 0), _row(1, 1), _row(1, 1), _UNKNOWN)[0] == pytest.approx(0.5)


def test_the_wasserstein_distance_counts_both_sides_of_a_crossing():
    # shares 1/2 0 1/2 against 0 1 0: the gap is 0, .5, -.5, 0 at the edges: areas .25, two of .0625 x 2, .25
    assert wasserstein(_row(5, 0, 5), _row(0, 10, 0), _row(1, 1, 1), _UNKNOWN)[0] == pytest.approx(0.75)


def test_the_wasserstein_distance_of_what_only_moved_up_is_the_move_of_its_mean():
    assert wasserstein(_row(2, 0), _row(0, 2), _row(1, 1), np.array([0.7]))[0] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("draw", "tolerance"),
    [
        (lambda rng, n: (rng.normal(size=n), rng.normal(0.3, 1, size=n)), 0.01),
        (lambda rng, n: (rng.normal(size=n), rng.normal(0, 1.5**0.5, size=n)), 0.15),
        (lambda rng, n: (rng.gamma(2.0, size=n), rng.gamma(2.0, size=n) * 1.3), 0.01),
        (lambda rng, n: (rng.lognormal(size=n), rng.lognormal(0.1, 0.8, size=n)), 0.15),
        (lambda rng, n: (rng.uniform(size=n), rng.uniform(0.1, 0.9, size=n)), 0.05),
    ],
    ids=["a move", "a wider normal", "a longer gamma", "a narrower lognormal", "a narrower even one"],
)
def test_the_wasserstein_distance_of_profiles_is_scipys_up_to_the_bins(draw, tolerance):
    values = draw(np.random.default_rng(4), 20_000)
    made = make_reference(pl.DataFrame({"x": values[0]}))
    column = compare(made.profile, profile(pl.DataFrame({"x": values[1]}), made.binning), binning=made.binning).columns[
        0
    ]
    expected = stats.wasserstein_distance(*values) / values[0].std()
    assert column.wasserstein == pytest.approx(expected, rel=tolerance)


@given(_COUNTS, st.booleans())
def test_pooling_loses_no_row_and_leaves_no_small_cell(cells, ordered):
    reference, current = zip(*cells, strict=True)
    if ordered:
        pooled = pool_neighbours(_row(*reference), _row(*current))
    else:
        rest = np.array([reference[-1]], dtype=float), np.array([current[-1]], dtype=float)
        pooled = pool_rare(_row(*reference[:-1]), _row(*current[:-1]), *rest)
    sides = _cells(pooled)
    assert [sum(side) for side in sides] == [sum(reference), sum(current)]
    if len(sides[0]) > 1:
        share = min(sum(reference), sum(current)) / (sum(reference) + sum(current))
        assert ((np.array(sides[0]) + sides[1]) * share >= SMALLEST_EXPECTED - 1e-9).all()


@given(st.lists(_COUNTS, min_size=2, max_size=4))
def test_a_column_is_pooled_alike_beside_any_others(columns):
    sides = [padded([[cell[side] for cell in cells] for cells in columns]) for side in (0, 1)]
    together = pool_neighbours(*sides)
    for at, cells in enumerate(columns):
        alone = _cells(pool_neighbours(*(_row(*side) for side in zip(*cells, strict=True))))
        assert _cells(Pooled(reference=together.reference[[at]], current=together.current[[at]])) == alone


def test_small_bins_are_pooled_with_their_neighbours():
    # both sides hold half of the rows, so that 10 in sum are 5 expected
    assert _cells(pool_neighbours(_row(2, 40, 2, 50), _row(2, 40, 2, 50)))[0] == [42.0, 52.0]


def test_what_is_left_at_the_end_belongs_to_the_last_full_cell():
    assert _cells(pool_neighbours(_row(40, 50, 2), _row(40, 50, 2)))[0] == [40.0, 52.0]


def test_rare_categories_are_pooled_with_the_unlisted_ones():
    pooled = pool_rare(_row(50, 40, 4, 2), _row(60, 30, 3, 0), np.array([0.0]), np.array([3.0]))
    assert _cells(pooled) == ([50.0, 40.0, 6.0], [60.0, 30.0, 6.0])


def test_too_few_rare_rows_are_pooled_with_the_least_frequent_category():
    pooled = pool_rare(_row(50, 40, 1), _row(50, 40, 1), np.array([0.0]), np.array([0.0]))
    assert _cells(pooled)[0] == [50.0, 41.0]


@pytest.mark.parametrize("sides", [([], []), ([0, 0], [5, 5]), ([500], [700])])
def test_no_rows_or_one_cell_leave_nothing_to_compare(sides):
    pooled = pool_neighbours(*(np.array([side], dtype=float).reshape(1, -1) for side in sides))
    assert pooled.n_cells[0] <= 1
    assert expected_null_psi(pooled)[0] == 0
