import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ratoon.drift.cells import Pooled
from ratoon.drift.significance import homogeneity_p, rank_p, share_p, share_reach, spread_p, upper_tail

_CELLS = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=2, max_size=12)


def _row(*counts):
    return np.array([counts], dtype=np.float64)


def _values(counts):
    return np.repeat(np.arange(len(counts)), counts)


def _one(*numbers):
    return [np.array([number], dtype=np.float64) for number in numbers]


def test_the_homogeneity_test_equals_arithmetic_by_hand():
    # 2 x 2 table 30 70 / 50 50: expected 40 60 both times, statistic 100/40 + 100/60, twice = 8.3333; for one
    # degree of freedom the tail is erfc(sqrt(statistic / 2))
    p_value = homogeneity_p(Pooled(reference=_row(30, 70), current=_row(50, 50)))[0]
    assert p_value == pytest.approx(math.erfc(math.sqrt(25 / 3 / 2)))


@given(_CELLS)
def test_the_homogeneity_test_is_the_more_careful_one_of_scipys_two(cells):
    table = np.array(list(zip(*cells, strict=True)), dtype=float)
    pearson = stats.chi2_contingency(table, correction=False)
    ratio = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    # Williams 1976: q = 1 + (N sum 1/row - 1) (N sum 1/column - 1) / (6 N (columns - 1))
    rows, columns = (table.sum() * (1 / table.sum(axis=axis)).sum() - 1 for axis in (1, 0))
    q = 1 + rows * columns / (6 * table.sum() * pearson.dof)
    expected = max(pearson.pvalue, stats.chi2.sf(ratio / q, pearson.dof))
    padded = [np.append(side, [0.0, 0.0])[None, :] for side in table]
    assert homogeneity_p(Pooled(reference=padded[0], current=padded[1]))[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [500, 20_000], ids=["equal sides", "a large reference"])
def test_the_homogeneity_test_holds_its_error_far_out_and_with_small_cells(n):
    # 22 values by Zipf, about 6 of 500 rows in the smallest: Pearson's test alone errs 1.4 times at .001 for the large one
    rng, draws = np.random.default_rng(3), 60_000
    shares = 1 / np.arange(1, 23) / np.sum(1 / np.arange(1, 23))
    reference, current = (rng.multinomial(size, shares, size=draws).astype(float) for size in (n, 500))
    p_values = homogeneity_p(Pooled(reference=reference, current=current))
    for level in (0.01, 0.001):
        assert np.mean(p_values <= level) <= 1.1 * level + 3 * (level / draws) ** 0.5


@given(_CELLS)
def test_the_rank_test_is_scipys_on_tied_values(cells):
    reference, current = zip(*cells, strict=True)
    expected = stats.mannwhitneyu(
        _values(reference), _values(current), use_continuity=False, method="asymptotic"
    ).pvalue
    assert rank_p(_row(*reference), _row(*current))[0] == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.sampled_from([(1, 0), (0, 1)]), min_size=6, max_size=40))
def test_the_spread_test_is_scipys_without_ties(cells):
    reference, current = zip(*cells, strict=True)
    if min(sum(reference), sum(current)) >= 3:
        expected = stats.mood(_values(reference), _values(current)).pvalue
        assert spread_p(_row(*reference), _row(*current))[0] == pytest.approx(expected, rel=1e-9)


@given(_CELLS)
def test_the_spread_test_is_scipys_with_ties(cells):
    reference, current = zip(*cells, strict=True)
    with np.errstate(invalid="ignore"):
        expected = stats.mood(_values(reference), _values(current)).pvalue
    ours = spread_p(_row(*reference), _row(*current))[0]
    if not np.isnan(expected) and ours < 1:
        assert ours == pytest.approx(expected, rel=1e-6)


def test_a_column_in_one_bin_has_no_rank_to_test():
    assert rank_p(_row(0, 40), _row(0, 60))[0] == 1
    assert spread_p(_row(0, 40), _row(0, 60))[0] == 1


@pytest.mark.parametrize("test", [rank_p, spread_p])
def test_p_values_of_ranks_are_even_when_nothing_changed(test):
    rng = np.random.default_rng(2)
    p_values = test(*(rng.multinomial(1_000, np.full(20, 0.05), size=2_000).astype(float) for _ in range(2)))
    for level in (0.01, 0.05, 0.25, 0.5):
        assert np.mean(p_values <= level) == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / 2_000))


def test_p_values_of_homogeneity_are_even_when_nothing_changed():
    rng = np.random.default_rng(2)
    reference, current = (rng.multinomial(1_000, np.full(10, 0.1), size=2_000).astype(float) for _ in range(2))
    p_values = homogeneity_p(Pooled(reference=reference, current=current))
    for level in (0.01, 0.05, 0.25, 0.5):
        assert np.mean(p_values <= level) == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / 2_000))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 300), st.integers(0, 300))
def test_the_test_of_a_share_is_twice_the_smaller_tail_of_fishers_exact_test(hits_a, hits_b, more_a, more_b):
    n_a, n_b = hits_a + more_a, hits_b + more_b
    if not n_a or not n_b:
        return
    table = [[hits_b, more_b], [hits_a, more_a]]
    tails = [stats.fisher_exact(table, alternative=side).pvalue for side in ("greater", "less")]
    ours = share_p(*_one(hits_a, n_a, hits_b, n_b))[0]
    if ours < 0.6:
        assert ours == pytest.approx(min(2 * min(tails), 1), rel=1e-6)
    else:
        assert min(2 * min(tails), 1) >= 0.5


@pytest.mark.parametrize(
    ("hits", "n"),
    [((2_000, 2_300), (100_000, 100_000)), ((60_000, 58_000), (200_000, 200_000)), ((5, 40), (10**6, 10**5))],
)
def test_the_tail_of_many_rows_is_scipys(hits, n):
    tail = stats.hypergeom(sum(n), sum(hits), n[1])
    expected = 2 * min(tail.sf(hits[1] - 1), tail.cdf(hits[1]))
    assert share_p(*_one(hits[0], n[0], hits[1], n[1]))[0] == pytest.approx(expected, rel=0.05)


def test_an_impossible_number_of_hits_has_no_chance_and_a_certain_one_all():
    assert upper_tail(*_one(6, 5, 10, 100))[0] == 0
    assert upper_tail(*_one(0, 5, 10, 100))[0] == 1


def test_two_missing_rows_of_a_thousand_cannot_reach_a_threshold_of_three_points():
    assert share_reach(*_one(2, 500, 500, 0.03))[0] == 0


def test_the_chance_to_reach_a_threshold_equals_arithmetic_by_hand():
    # 16 hits in 2 x 500 rows differ by 3 points or more only when 16 : 0 or 0 : 16, each C(500, 16) / C(1000, 16)
    expected = 2 * math.comb(500, 16) / math.comb(1_000, 16)
    assert share_reach(*_one(16, 500, 500, 0.03))[0] == pytest.approx(expected)
