import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratoon.errors import ConfigError, DataError, EmptyWindowError
from ratoon.evaluation.metrics import (
    GREATER_IS_BETTER,
    METRICS_OF_TASK,
    better_by,
    metric_value,
    row_losses,
    undefined_reason,
)

_ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.integers(0, 3)),
    min_size=2,
    max_size=40,
)


def _auc_by_pairs(label, score, weight):
    won = total = 0.0
    for one in range(len(label)):
        for zero in range(len(label)):
            if label[one] == 1 and label[zero] == 0:
                pair = weight[one] * weight[zero]
                total += pair
                won += pair * (1.0 if score[one] > score[zero] else 0.5 if score[one] == score[zero] else 0.0)
    return won / total


@given(_ROWS)
def test_auc_is_the_share_of_won_pairs_whatever_the_ties_and_weights(rows):
    label, score, weight = (np.array(values) for values in zip(*rows, strict=True))
    if undefined_reason("auc", label, weight):
        with pytest.raises(EmptyWindowError):
            metric_value("auc", label, score, weight)
    else:
        assert metric_value("auc", label, score, weight) == pytest.approx(_auc_by_pairs(label, score, weight))


@given(_ROWS, st.sampled_from(METRICS_OF_TASK["binary"]))
def test_a_weight_counts_like_so_many_copies_of_the_row(rows, metric):
    label, score, weight = (np.array(values) for values in zip(*rows, strict=True))
    copies = [np.repeat(values, weight) for values in (label, score)]
    if not undefined_reason(metric, copies[0]):
        assert metric_value(metric, label, score, weight) == pytest.approx(metric_value(metric, *copies))


def test_auc_of_a_perfect_a_reversed_and_a_constant_score():
    label = np.array([False, False, True, True])
    assert metric_value("auc", label, np.array([0.1, 0.2, 0.3, 0.4])) == 1.0
    assert metric_value("auc", label, np.array([0.4, 0.3, 0.2, 0.1])) == 0.0
    assert metric_value("auc", label, np.full(4, 0.3)) == 0.5


def test_binary_metrics_equal_arithmetic_by_hand():
    label, score = np.array([1, 0, 1, 0]), np.array([0.8, 0.4, 0.5, 0.5])
    # -(ln .8 + ln .6 + ln .5 + ln .5) / 4
    assert metric_value("logloss", label, score) == pytest.approx((0.22314355 + 0.51082562 + 2 * 0.69314718) / 4)
    assert metric_value("accuracy", label, score) == 0.75
    assert metric_value("accuracy", np.array([1]), np.array([0.5])) == 1.0
    assert metric_value("brier", label, score) == pytest.approx((0.04 + 0.16 + 0.25 + 0.25) / 4)


def test_multiclass_metrics_equal_arithmetic_by_hand():
    label = np.array([0, 2])
    score = np.array([[0.5, 0.25, 0.25], [0.6, 0.2, 0.2]])
    assert metric_value("logloss", label, score) == pytest.approx((math.log(2) + math.log(5)) / 2)
    assert metric_value("accuracy", label, score) == 0.5
    # By hand, per row: 0.25, 0.0625 and 0.0625 make 0.375; 0.36, 0.04 and 0.64 make 1.04.
    assert metric_value("brier", label, score) == pytest.approx((0.375 + 1.04) / 2)


def test_regression_metrics_equal_arithmetic_by_hand():
    label, score = np.array([1.0, 2.0, -3.0]), np.array([1.0, 5.0, 1.0])
    assert metric_value("mae", label, score) == pytest.approx(7 / 3)
    assert metric_value("rmse", label, score) == pytest.approx(math.sqrt(25 / 3))


def test_a_certain_and_wrong_probability_has_a_large_but_finite_loss():
    assert metric_value("logloss", np.array([1]), np.array([0.0])) == pytest.approx(-math.log(1e-15))


@pytest.mark.parametrize(("metric", "greater"), GREATER_IS_BETTER.items())
def test_a_gain_is_positive_when_the_new_value_is_better(metric, greater):
    assert better_by(metric, new=2.0, old=1.5) == (0.5 if greater else -0.5)


def test_only_auc_and_accuracy_grow_when_a_model_gets_better():
    assert {metric for metric, greater in GREATER_IS_BETTER.items() if greater} == {"auc", "accuracy"}


def test_a_metric_of_no_rows_or_auc_of_one_class_is_undefined_with_a_reason():
    assert undefined_reason("auc", np.array([1, 1, 1])) == "all 3 labelled rows have the same label"
    assert undefined_reason("rmse", np.array([])) == "there is no labelled row"
    assert undefined_reason("logloss", np.array([1, 1, 1])) is None
    with pytest.raises(EmptyWindowError, match="same label"):
        metric_value("auc", np.array([1, 1, 1]), np.array([0.1, 0.2, 0.3]))
    with pytest.raises(EmptyWindowError, match="no labelled row"):
        metric_value("mae", np.array([]), np.array([]))


@pytest.mark.parametrize(
    ("metric", "label", "score", "says"),
    [
        ("mae", [1.0, math.nan], [1.0, 1.0], "null, NaN or infinite"),
        ("mae", [1.0, 2.0], [1.0, math.inf], "null, NaN or infinite"),
        ("mae", [1.0, 2.0], [1.0], "do not fit"),
        ("logloss", [0, 1], [0.5, 1.5], "probabilities"),
        ("brier", [0, 1], [-0.1, 0.5], "probabilities"),
        ("accuracy", [0, 2], [0.5, 0.5], "class codes 0..1"),
        ("logloss", [0, 3], [[0.2, 0.3, 0.5], [0.2, 0.3, 0.5]], "class codes 0..2"),
    ],
)
def test_rows_that_a_metric_would_silently_get_wrong_are_refused(metric, label, score, says):
    with pytest.raises(DataError, match=says):
        metric_value(metric, np.array(label), np.array(score))


def test_a_metric_that_a_score_does_not_allow_is_a_configuration_error():
    matrix = np.array([[0.5, 0.5], [0.5, 0.5]])
    for metric in ("auc", "rmse", "mae"):
        with pytest.raises(ConfigError, match="multiclass"):
            metric_value(metric, np.array([0, 1]), matrix)
    with pytest.raises(ConfigError, match="no loss per row"):
        row_losses("auc", np.array([0, 1]), np.array([0.1, 0.2]))
    with pytest.raises(ConfigError, match="no metric"):
        metric_value("f1", np.array([0, 1]), np.array([0.1, 0.2]))


def test_logloss_and_auc_of_margins_differ_in_what_they_allow():
    margins = np.array([-3.0, 2.0])
    assert metric_value("auc", np.array([0, 1]), margins) == 1.0
    with pytest.raises(DataError):
        metric_value("logloss", np.array([0, 1]), margins)
