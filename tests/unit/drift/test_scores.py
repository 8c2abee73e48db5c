import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratoon.drift.scores import (
    SMALLEST_EXPECTED,
    expected_null_psi,
    holm,
    homogeneity_p,
    pooled_bins,
    pooled_categories,
    psi,
    share_change,
)

_COUNTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=12)


def test_psi_equals_arithmetic_by_hand():
    # shares .2 .3 .5 against .4 .3 .3: (.4 - .2) ln 2 + 0 + (.3 - .5) ln .6
    reference, current = np.array([20.0, 30.0, 50.0]), np.array([80.0, 60.0, 60.0])
    assert psi(reference, current) == pytest.approx(0.2 * math.log(2) - 0.2 * math.log(0.6))


def test_psi_of_equal_shares_is_zero_whatever_the_sizes():
    assert psi(np.array([10.0, 30.0]), np.array([100.0, 300.0])) == pytest.approx(0)


def test_psi_counts_an_empty_cell_as_half_a_row():
    # shares .5 .5 against 1 and .5 / 100
    assert psi(np.array([50.0, 50.0]), np.array([100.0, 0.0])) == pytest.approx(
        0.5 * math.log(2) + (0.005 - 0.5) * math.log(0.01)
    )


def test_the_null_expectation_is_what_psi_averages_when_nothing_changed():
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.full(20, 5.0))
    draws = [
        psi(rng.multinomial(3_000, shares).astype(float), rng.multinomial(2_000, shares).astype(float))
        for _ in range(400)
    ]
    expected = expected_null_psi(20, 3_000, 2_000)
    assert expected == pytest.approx(19 * (1 / 3_000 + 1 / 2_000))
    assert np.mean(draws) == pytest.approx(expected, abs=4 * np.std(draws) / 20)


def test_the_homogeneity_test_equals_arithmetic_by_hand():
    # 2 x 2 table 30 70 / 50 50: expected 40 60 both times, statistic 100/40 + 100/60, twice = 8.3333; for one
    # degree of freedom the tail is erfc(sqrt(statistic / 2))
    p_value = homogeneity_p(np.array([30.0, 70.0]), np.array([50.0, 50.0]))
    assert p_value == pytest.approx(math.erfc(math.sqrt(25 / 3 / 2)))


def test_p_values_are_even_when_nothing_changed():
    rng = np.random.default_rng(2)
    shares = np.full(10, 0.1)
    p_values = np.array(
        [homogeneity_p(*(rng.multinomial(1_000, shares).astype(float) for _ in range(2))) for _ in range(1_000)]
    )
    for level in (0.05, 0.25, 0.5):
        assert np.mean(p_values <= level) == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / 1_000))


@given(_COUNTS, st.booleans())
def test_pooling_loses_no_row_and_leaves_no_small_cell(cells, ordered):
    reference, current = zip(*cells, strict=True)
    if ordered:
        pooled = pooled_bins(reference, current)
    else:
        pooled = pooled_categories(reference[:-1], current[:-1], (reference[-1], current[-1]))
    if not sum(reference) or not sum(current):
        assert [len(side) for side in pooled] == [0, 0]
        return
    assert [side.sum() for side in pooled] == [sum(reference), sum(current)]
    share = min(sum(reference), sum(current)) / (sum(reference) + sum(current))
    if len(pooled[0]) > 1:
        assert ((pooled[0] + pooled[1]) * share >= SMALLEST_EXPECTED - 1e-9).all()


def test_small_bins_are_pooled_with_their_neighbours():
    # both sides hold half of the rows, so that 10 in sum are 5 expected
    assert pooled_bins([2, 40, 2, 50], [2, 40, 2, 50])[0].tolist() == [42.0, 52.0]


def test_rare_categories_are_pooled_with_the_unlisted_ones():
    reference, current = pooled_categories([50, 40, 4, 2], [60, 30, 3, 0], (0, 3))
    assert (reference.tolist(), current.tolist()) == ([6.0, 40.0, 50.0], [6.0, 30.0, 60.0])


def test_too_few_rare_rows_are_pooled_with_the_least_frequent_category():
    assert pooled_categories([50, 40, 1], [50, 40, 1], (0, 0))[0].tolist() == [41.0, 50.0]


def test_no_cells_and_one_large_cell_leave_nothing_to_compare():
    assert [len(side) for side in pooled_bins([], [])] == [0, 0]
    assert [len(side) for side in pooled_categories([], [], (0, 0))] == [0, 0]
    assert homogeneity_p(*pooled_bins([500], [700])) == 1.0


def test_a_share_that_changes_equals_arithmetic_by_hand():
    # 10 of 100 to 30 of 100: pooled .2, standard error sqrt(.16 * .02), z = .2 / .0565685
    change = share_change(10, 100, 30, 100)
    assert change.effect == pytest.approx(0.2)
    assert change.p_value == pytest.approx(math.erfc(0.2 / math.sqrt(0.16 * 0.02) / math.sqrt(2)))


def test_a_share_that_falls_has_a_negative_effect_and_the_same_p_value():
    rise, fall = share_change(10, 100, 30, 100), share_change(30, 100, 10, 100)
    assert fall.effect == -rise.effect
    assert fall.p_value == pytest.approx(rise.p_value)


def test_a_rise_within_the_slack_is_none_and_beyond_it_counts_from_there():
    assert share_change(0, 100, 4, 100, slack=0.05) == (0.0, 1.0)
    assert share_change(0, 100, 15, 100, slack=0.05).effect == pytest.approx(0.1)
    assert share_change(20, 100, 10, 100, slack=0.05).effect == pytest.approx(-0.1)


@pytest.mark.parametrize("hits", [(0, 0), (100, 100)])
def test_a_share_of_none_or_all_on_both_sides_did_not_change(hits):
    assert share_change(hits[0], 100, hits[1], 100) == (0.0, 1.0)


def test_holm_equals_arithmetic_by_hand_and_keeps_the_order():
    assert holm([0.04, 0.01, 0.03, 0.5]) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]
