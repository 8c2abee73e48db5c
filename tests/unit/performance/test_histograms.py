import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ratoon.errors import ConfigError, DataError
from ratoon.evaluation.metrics import metric_value
from ratoon.performance import ScoreHistogram, ScoreSums, merge_histograms, score_histogram, score_sums
from ratoon.performance.sums import error_sums

_rows = st.lists(
    st.tuples(st.floats(0, 1, allow_nan=False), st.sampled_from([0.0, 1.0, math.nan])), min_size=0, max_size=40
)


def _histogram(rows):
    return score_histogram(np.array([score for score, _ in rows]), np.array([label for _, label in rows]))


def test_counts_and_sums_by_hand():
    found = score_histogram(np.array([0.0, 0.499, 0.5, 0.75, 1.0]), np.array([0, 1, 1, math.nan, 1]))
    assert (found.n_rows, found.n_matured, found.label_rate) == (5, 4, 0.75)
    assert (found.zeros[0], found.ones[99], found.ones[100], found.ones[199], found.unknown[150]) == (1, 1, 1, 1, 1)
    assert found.mean_score == pytest.approx(2.749 / 5, abs=1e-9)
    assert found.metric("accuracy").value == 0.75
    assert found.metric("brier").value == pytest.approx((0.501**2 + 0.25) / 4, abs=2e-9)
    assert found.metric("logloss").value == pytest.approx((-math.log(0.499) - math.log(0.5)) / 4, abs=2e-9)


def test_a_score_just_below_a_half_predicts_0():
    below = np.nextafter(0.5, 0.0)
    assert score_histogram(np.array([below, 0.5]), np.array([0, 1])).metric("accuracy").value == 1.0


@given(_rows)
@settings(deadline=None, max_examples=40)
def test_exact_metrics_equal_those_of_the_raw_rows(rows):
    known = [(score, label) for score, label in rows if not math.isnan(label)]
    found = _histogram(rows)
    if not known:
        assert found.metric("brier").reason == "there is no labelled row"
        return
    score, label = (np.array(part) for part in zip(*known, strict=True))
    for metric in ("accuracy", "brier", "logloss"):
        bounded = found.metric(metric)
        assert bounded.exact
        assert bounded.value == pytest.approx(metric_value(metric, label, score), abs=2e-9)


@given(_rows)
@settings(deadline=None, max_examples=40)
def test_the_bounds_of_auc_contain_the_exact_auc(rows):
    known = [(score, label) for score, label in rows if not math.isnan(label)]
    bounded = _histogram(rows).metric("auc")
    if len({label for _, label in known}) < 2:
        assert bounded.value is None
        return
    score, label = (np.array(part) for part in zip(*known, strict=True))
    exact = metric_value("auc", label, score)
    assert bounded.low - 1e-12 <= exact <= bounded.high + 1e-12
    assert bounded.low <= bounded.value <= bounded.high


@given(_rows, _rows, _rows)
@settings(deadline=None, max_examples=40)
def test_merging_is_associative_and_commutative_and_equals_counting_at_once(a, b, c):
    one, two, three = _histogram(a), _histogram(b), _histogram(c)
    assert (one + two) + three == one + (two + three) == merge_histograms([three, one, two]) == _histogram(b + a + c)


@given(_rows, _rows)
@settings(deadline=None, max_examples=40)
def test_taking_a_part_out_leaves_the_other_exactly(a, b):
    assert _histogram(a + b) - _histogram(a) == _histogram(b)


def test_what_is_no_part_can_not_be_taken_out():
    with pytest.raises(DataError, match="is no part"):
        _histogram([(0.1, 0.0)]) - _histogram([(0.9, 0.0)])


@given(_rows)
@settings(deadline=None, max_examples=40)
def test_a_histogram_survives_json(rows):
    found = _histogram(rows)
    again = ScoreHistogram.model_validate_json(found.model_dump_json())
    assert again == found
    assert TypeAdapter(ScoreSums).validate_python(json.loads(found.model_dump_json())) == found


def test_a_histogram_of_a_million_rows_is_below_four_kilobytes():
    rng = np.random.default_rng(0)
    score = rng.random(1_000_000)
    assert len(score_histogram(score, (rng.random(1_000_000) < score).astype(float)).model_dump_json()) < 4_000


def test_calibration_says_what_was_promised_and_what_came():
    found = score_histogram(np.array([0.1025, 0.1025, 0.9025, 0.9025]), np.array([0, 1, 1, 1]))
    low, high = found.calibration()
    assert (low.low, low.high, low.n_rows, low.came) == (0.1, 0.2, 2, 0.5)
    assert (low.promised, high.promised) == (pytest.approx(0.1025), pytest.approx(0.9025))
    assert found.calibration_error().value == pytest.approx((0.3975 + 0.0975) / 2)
    with pytest.raises(ConfigError, match="don't divide"):
        found.calibration(7)


def test_regression_sums_give_rmse_mae_and_bias():
    one, two = error_sums(np.array([2.0, 5.0]), np.array([1.0, math.nan])), error_sums(np.array([0.0]), np.array([3.0]))
    whole = one + two
    assert (whole.n_rows, whole.n_matured, whole.error) == (3, 2, -2.0)
    assert (whole.metric("mae").value, whole.metric("rmse").value) == (2.0, pytest.approx(math.sqrt(5)))
    assert whole - two == one


def test_sums_of_scored_frames_follow_the_task():
    binary = score_sums(pl.DataFrame({"label": [True, None], "score": [0.75, 0.25]}), "binary")
    assert (binary.kind, binary.n_rows, binary.metric("brier").value) == ("binary", 2, 0.0625)
    classes = pl.DataFrame({"label": ["a", "b", None], "score": [[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]]})
    multiclass = score_sums(classes, "multiclass", classes=["a", "b"])
    assert (multiclass.n_rows, multiclass.metric("accuracy").value) == (3, 0.5)
    assert multiclass.metric("logloss").value == pytest.approx(-(math.log(0.5) + math.log(0.25)) / 2, abs=2e-9)
    assert multiclass.metric("brier").value == pytest.approx((0.5 + 2 * 0.75**2) / 2, abs=2e-9)
    assert score_sums(pl.DataFrame({"label": [1, None], "score": [2.0, 0.0]}), "regression").metric("mae").value == 1.0


@pytest.mark.parametrize(
    ("score", "label", "says"),
    [
        ([1.5], [1.0], "probabilities"),
        ([math.nan], [1.0], "probabilities"),
        ([0.5], [2.0], "0, 1, or NaN"),
        ([0.5], [1.0, 0.0], "one shape"),
    ],
)
def test_rows_that_can_not_be_counted_are_refused(score, label, says):
    with pytest.raises(DataError, match=says):
        score_histogram(np.array(score), np.array(label))


def test_a_label_that_is_nan_is_not_taken_for_an_unknown_one():
    with pytest.raises(DataError, match="label is NaN"):
        score_sums(pl.DataFrame({"label": [math.nan, None], "score": [0.5, 0.5]}), "binary")


def test_a_metric_of_another_task_is_refused():
    with pytest.raises(ConfigError, match="use auc, logloss"):
        _histogram([(0.5, 1.0)]).metric("rmse")
