import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from ratoon.errors import DataError, EmptyWindowError
from ratoon.performance.calibration import calibrate, pool_adjacent_violators

_pairs = st.lists(
    st.tuples(st.floats(-5, 5, allow_nan=False), st.floats(0.1, 9, allow_nan=False)), min_size=1, max_size=60
)


@given(_pairs)
def test_pooling_equals_scipys_isotonic_regression(pairs):
    values, weights = (np.array(part) for part in zip(*pairs, strict=True))
    expected = isotonic_regression(values, weights=weights).x
    assert pool_adjacent_violators(values, weights) == pytest.approx(expected, abs=1e-9)


def test_a_sequence_that_pools_one_pair_at_a_time_is_pooled_in_one_loop():
    values = np.concatenate([np.arange(20_000.0), [-1e9]])
    expected = isotonic_regression(values).x
    assert pool_adjacent_violators(values, np.ones(len(values))) == pytest.approx(expected)


def test_equal_scores_are_averaged_and_scores_between_are_interpolated():
    fitted = calibrate(np.array([0.2, 0.2, 0.2, 0.2, 0.6, 0.6]), np.array([0, 0, 0, 1, 1, 1]))
    assert fitted(np.array([0.2, 0.4, 0.6])) == pytest.approx([0.25, 0.625, 1.0])


def test_scores_outside_the_reference_get_the_nearest_probability():
    fitted = calibrate(np.array([0.4, 0.6]), np.array([0.0, 1.0]))
    assert fitted(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_a_falling_pair_is_pooled_by_weight():
    fitted = calibrate(np.array([0.1, 0.9]), np.array([1, 0]), np.array([3.0, 1.0]))
    assert fitted(np.array([0.5])) == pytest.approx(0.75)


def test_rows_of_weight_zero_say_nothing():
    fitted = calibrate(np.array([0.1, 0.5, 0.9]), np.array([0, 1, 1]), np.array([1.0, 0.0, 1.0]))
    assert fitted(np.array([0.5])) == pytest.approx(0.5)


def test_uneven_weights_are_worth_fewer_rows():
    even = calibrate(np.array([0.1, 0.9]), np.array([0, 1]), np.array([2.0, 2.0]))
    uneven = calibrate(np.array([0.1, 0.9]), np.array([0, 1]), np.array([3.0, 1.0]))
    assert (even.n_effective, uneven.n_effective) == (2.0, pytest.approx(16 / 10))


@pytest.mark.parametrize(
    ("score", "label", "weight", "says"),
    [
        ([0.5], [np.nan], None, "null, NaN"),
        ([np.inf], [1.0], None, "infinite"),
        ([0.5], [2.0], None, "in \\[0, 1\\]"),
        ([0.5], [1.0], [-1.0], "not be negative"),
        ([0.5, 0.6], [1.0], None, "one shape"),
    ],
)
def test_rows_that_can_not_calibrate_are_refused(score, label, weight, says):
    with pytest.raises(DataError, match=says):
        calibrate(np.array(score), np.array(label), None if weight is None else np.array(weight))


def test_no_row_is_refused():
    with pytest.raises(EmptyWindowError, match="got none"):
        calibrate(np.array([]), np.array([]))
