import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ratoon.drift.correction import benjamini_hochberg, holm, level

_P = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def _array(*values):
    return np.array(values, dtype=np.float64)


def test_holm_equals_arithmetic_by_hand_and_keeps_the_order():
    assert holm(_array(0.04, 0.01, 0.03, 0.5)).tolist() == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm(_array()).tolist() == []
    assert holm(_array(0.9, 0.8)).tolist() == [1.0, 1.0]


def test_weighted_holm_equals_arithmetic_by_hand():
    # weights .8 and .2: p / w = .0125 and .05; the first costs .0125 of both weights, the second is then alone
    assert holm(_array(0.01, 0.01), _array(0.8, 0.2)).tolist() == pytest.approx([0.0125, 0.0125])
    # p / w = .05 and .05 for .04 and .01; and .05 beside .1: .05 of all, then .02 of its own weight
    assert holm(_array(0.04, 0.02), _array(0.8, 0.2)).tolist() == pytest.approx([0.05, 0.05])


def test_a_test_that_cannot_reach_its_gate_costs_the_others_nothing():
    assert holm(_array(0.01, 0.5, 0.5), reach=_array(1, 0, 0)).tolist()[0] == pytest.approx(0.01)


def test_a_test_costs_no_more_than_the_chance_to_reach_its_gate():
    # at level .01 the second can err with chance .002 only
    assert holm(_array(0.01, 0.5), reach=_array(1, 0.002)).tolist()[0] == pytest.approx(0.012)


def test_what_is_small_without_a_gate_is_not_taken_off():
    # the first test's p is smallest, but its gate is hardly ever reached: it goes on costing its .001
    assert holm(_array(1e-6, 0.01), reach=_array(0.001, 1)).tolist()[1] == pytest.approx(0.011)


@given(_P)
def test_holm_is_monotone_and_never_below_the_p_value(values):
    p_values = np.array(values)
    corrected = holm(p_values)
    assert (corrected >= p_values).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(corrected[order]) >= -1e-12).all()


@given(_P, st.randoms())
def test_a_correction_does_not_depend_on_the_order_of_the_tests(values, random):
    places = list(range(len(values)))
    random.shuffle(places)
    p_values = np.array(values)
    for correct in (holm, benjamini_hochberg):
        assert correct(p_values[places]) == pytest.approx(correct(p_values)[places])


@given(_P)
def test_benjamini_hochberg_is_scipys(values):
    assert benjamini_hochberg(np.array(values)) == pytest.approx(stats.false_discovery_control(values, method="bh"))


def test_benjamini_hochberg_leaves_out_what_cannot_reach_its_gate():
    assert benjamini_hochberg(_array(0.01, 0.9, 0.04), _array(1, 0, 1)).tolist() == pytest.approx([0.02, 1, 0.04])


def test_the_level_of_a_family_equals_arithmetic_by_hand():
    # two full tests share what a third leaves: (.01 - .001) / 2
    assert level(_array(1, 0.001, 1), np.ones(3), 0.01) == pytest.approx(0.0045)
    # weights 3 to 1
    assert level(_array(1, 1), _array(0.75, 0.25), 0.01) == pytest.approx(0.01)
    # even together they stay within the budget
    assert level(_array(0.001, 0.0), np.ones(2), 0.01) == 1
    assert level(_array(), _array(), 0.01) == 1


@given(st.lists(st.sampled_from([0.0, 1e-4, 1e-3, 0.02, 1.0]), min_size=1, max_size=12))
def test_a_family_spends_its_budget_and_no_more(reach):
    c = level(np.array(reach), np.ones(len(reach)), 0.01)
    spent = np.minimum(c, reach).sum()
    assert spent <= 0.01 + 1e-12
    if sum(reach) > 0.01:
        assert spent == pytest.approx(0.01)


def test_holm_with_reach_errs_no_more_often_than_it_says():
    # three tests of hits among 2 x 400 rows; the gate is a difference of 12 hits, and nothing ever changes
    rng, alpha, gate, runs = np.random.default_rng(5), 0.1, 12, 3_000
    hits = np.array([14, 40, 120])
    difference = np.abs(2 * rng.hypergeometric(hits, 800 - hits, 400, size=(runs, 3)) - hits)
    p_values = np.minimum(2 * stats.hypergeom.sf((hits + difference) // 2 - 1, 800, hits, 400), 1)
    reach = 2 * stats.hypergeom.sf((hits + gate + 1) // 2 - 1, 800, hits, 400)
    flags = [(holm(p, reach=reach) <= alpha) & (d >= gate) for p, d in zip(p_values, difference, strict=True)]
    # at a true rate of 10 %, more than 361 of 3,000 come once in 10,000 runs
    assert 0 < np.any(flags, axis=1).sum() <= 361
