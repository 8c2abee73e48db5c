import numpy as np
import pytest

from ratoon.drift.unseen import Unlisted, good_turing, unseen_p


def _column(listed=(), *, rest=0, single=0, rest_reference=0, n_reference=500, n_current=500):
    return Unlisted(
        listed=np.array(listed, dtype=np.float64),
        rest_reference=rest_reference,
        rest_current=rest,
        single_current=single,
        n_reference=n_reference,
        n_current=n_current,
    )


def test_the_unseen_mass_is_the_share_of_single_values():
    assert good_turing(np.array([5.0, 1.0, 1.0, 0.0]), 3, 50) == pytest.approx(0.1)


def test_rows_of_a_value_that_only_one_side_holds_equal_arithmetic_by_hand():
    # nine rows, all on one of two equal sides: 1 / 2^9, whatever the frequent values are
    assert unseen_p(_column([300, 691], rest=9), 0.01)[0] == pytest.approx(2**-9)
    # a current window of a third of the rows: 1 / 3^4
    column = _column([900, 596], rest=4, n_reference=1_000, n_current=500)
    assert unseen_p(column, 0.01)[0] == pytest.approx(3**-4)


def test_single_rows_among_single_listed_values_are_a_toss_of_a_coin_each():
    # two unlisted single rows, two listed single ones: two or more of four heads: 11 / 16
    assert unseen_p(_column([1, 1, 996], rest=2, single=2), 0.01)[0] == pytest.approx(11 / 16)


def test_a_listed_value_of_three_rows_may_have_been_missed_with_an_eighth():
    # unlisted: two rows of one value (1/4); listed: three rows of another (1/8): 1 - 3/4 x 7/8
    assert unseen_p(_column([3, 995], rest=2), 0.01)[0] == pytest.approx(1 - 3 / 4 * 7 / 8)


def test_rows_that_the_reference_does_not_list_either_are_a_toss_each():
    # one of four unlisted rows is the reference's: three or more of four heads
    assert unseen_p(_column([996], rest=3, rest_reference=1), 0.01)[0] == pytest.approx(5 / 16)


def test_without_rare_values_the_gate_cannot_be_reached():
    p_value, reach, expected = unseen_p(_column([400, 600]), 0.01)
    assert (p_value, reach) == (1, 0)
    assert expected < 1e-100


def test_rare_values_reach_the_gate_by_chance():
    # ten values of five rows: the gate of five rows is reached unless each is on both sides or the reference's
    p_value, reach, expected = unseen_p(_column([5] * 10 + [950]), 0.01)
    assert p_value == 1
    assert reach == pytest.approx(1 - (31 / 32) ** 10)
    assert expected == pytest.approx(10 / 32)


def test_p_values_bound_the_error_where_values_are_many_and_rare():
    rng = np.random.default_rng(1)
    shares = 1 / np.arange(1, 151) / np.sum(1 / np.arange(1, 151))
    p_values = []
    for _ in range(600):
        before, after = rng.multinomial(500, shares, size=2).astype(float)
        is_listed = before > 0
        rest = after[~is_listed]
        column = _column((before + after)[is_listed], rest=int(rest.sum()), single=int((rest == 1).sum()))
        p_values.append(unseen_p(column, 0.01)[0])
    for level in (0.01, 0.05, 0.2):
        assert np.mean(np.array(p_values) <= level) <= level + 3 * (level * (1 - level) / 600) ** 0.5


def test_many_unlisted_rows_are_judged_like_few():
    # beyond 2,000 rows the sum is taken for normal
    assert unseen_p(_column([50_000], rest=1_900, n_reference=26_000, n_current=26_000), 0.01)[0] < 1e-100
    assert unseen_p(_column([50_000], rest=2_100, n_reference=26_000, n_current=26_000), 0.01)[0] < 1e-100
    even = _column([50_000], rest=2_500, rest_reference=2_500, n_reference=27_500, n_current=27_500)
    assert unseen_p(even, 0.01)[0] == pytest.approx(0.5, abs=0.01)
