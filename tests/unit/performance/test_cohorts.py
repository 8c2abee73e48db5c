import math

import polars as pl
import pytest

from ratoon.errors import ConfigError, DataError
from ratoon.performance import cohort_performance, cohort_table
from ratoon.performance.cohorts import COHORT_SCHEMA


def _scored(label, score, **more):
    return pl.DataFrame({"label": label, "score": score, **more})


def test_only_matured_rows_count():
    scored = _scored([True, None, False, None], [0.9, 0.1, 0.2, 0.3])
    found = cohort_performance(scored, "binary", "brier")
    assert (found.n_rows, found.n_matured, found.maturity) == (4, 2, 0.5)
    assert found.value == pytest.approx((0.01 + 0.04) / 2)
    assert found.reason is None


def test_labels_may_be_bools_or_numbers():
    for label in ([True, False, True], [1, 0, 1], [1.0, 0.0, 1.0]):
        assert cohort_performance(_scored(label, [0.9, 0.4, 0.3]), "binary", "auc").value == 0.5


@pytest.mark.parametrize("label", [[None, None], pl.Series([None, None], dtype=pl.Boolean)])
def test_a_cohort_without_labels_has_no_value_and_says_why(label):
    found = cohort_performance(_scored(label, [0.5, 0.5]), "binary", "auc")
    assert (found.value, found.n_matured, found.maturity) == (None, 0, 0.0)
    assert found.reason == "there is no labelled row"


def test_a_cohort_of_one_class_has_no_auc_but_a_logloss():
    scored = _scored([True, True], [0.5, 0.5])
    found = cohort_performance(scored, "binary", "auc")
    assert (found.value, found.reason) == (None, "all 2 labelled rows have the same label")
    assert cohort_performance(scored, "binary", "logloss").value == pytest.approx(math.log(2))


def test_an_empty_cohort_has_no_value_and_no_maturity():
    scored = _scored([], [], extra=[]).cast({"label": pl.Boolean, "score": pl.Float64})
    found = cohort_performance(scored, "binary", "auc")
    assert (found.n_rows, found.value, found.maturity) == (0, None, 0.0)


def test_regression_compares_numbers():
    assert cohort_performance(_scored([1, 2, None], [2.0, 4.0, 9.0]), "regression", "mae").value == 1.5


@pytest.mark.parametrize("dtype", [pl.List(pl.Float64), pl.Array(pl.Float64, 3), pl.List(pl.Float32)])
def test_multiclass_scores_are_lists_of_one_probability_per_class(dtype):
    score = pl.Series([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.25, 0.5, 0.25]], dtype=dtype)
    scored = pl.DataFrame({"label": ["late", "ontime", None], "score": score})
    found = cohort_performance(scored, "multiclass", "logloss", classes=["late", "early", "ontime"])
    assert found.value == pytest.approx(math.log(2))
    assert found.n_matured == 2


def test_integer_labels_match_classes_that_went_through_json():
    scored = pl.DataFrame({"label": [7, 3], "score": [[0.9, 0.1], [0.2, 0.8]]})
    for classes in ([3, 7], ["3", "7"]):
        assert cohort_performance(scored, "multiclass", "accuracy", classes=classes).value == 0.0
    assert cohort_performance(scored, "multiclass", "accuracy", classes=[7, 3]).value == 1.0


def test_labels_without_classes_are_the_places_of_their_scores():
    scored = pl.DataFrame({"label": [0, 1], "score": [[0.9, 0.1], [0.8, 0.2]]})
    assert cohort_performance(scored, "multiclass", "accuracy").value == 0.5


def test_a_class_that_the_model_does_not_know_is_a_wrong_prediction():
    scored = pl.DataFrame({"label": ["a", "new"], "score": [[1.0, 0.0], [1.0, 0.0]]})
    judge = {
        metric: cohort_performance(scored, "multiclass", metric, classes=["a", "b"]).value
        for metric in ("accuracy", "brier", "logloss")
    }
    assert judge["accuracy"] == 0.5
    assert judge["brier"] == pytest.approx((0 + 2) / 2)
    assert judge["logloss"] == pytest.approx(-math.log(1e-15) / 2)


def test_a_metric_of_another_task_is_refused_even_before_labels_are_known():
    with pytest.raises(ConfigError, match="use rmse, mae"):
        cohort_performance(_scored([None], [0.5]), "regression", "auc")


@pytest.mark.parametrize(
    ("scored", "task", "metric", "says"),
    [
        (pl.DataFrame({"score": [0.5]}), "binary", "auc", "lack columns \\['label'\\]"),
        (_scored([True, False], [0.5, None]), "binary", "auc", "1 of 2 scored rows have no score"),
        (_scored([True, False], [0.5, math.nan]), "binary", "auc", "NaN"),
        (_scored(["yes", "no"], [0.5, 0.4]), "binary", "auc", "expected numbers or bools"),
        (_scored([0, 1], [0.5, 0.5]), "multiclass", "accuracy", "expected a list"),
        (_scored([0, 1], [[0.5, 0.5], [1.0]]), "multiclass", "accuracy", "\\[1, 2\\] probabilities"),
    ],
)
def test_rows_that_can_not_be_judged_are_refused(scored, task, metric, says):
    with pytest.raises(DataError, match=says):
        cohort_performance(scored, task, metric)


def test_scores_and_classes_must_fit():
    scored = pl.DataFrame({"label": ["a"], "score": [[0.5, 0.5]]})
    with pytest.raises(DataError, match="2 probabilities per row, the model has 3 classes"):
        cohort_performance(scored, "multiclass", "accuracy", classes=["a", "b", "c"])
    with pytest.raises(DataError, match="Float64"):
        cohort_performance(scored.with_columns(label=pl.lit(1.0)), "multiclass", "accuracy", classes=[1, 2])


def test_a_table_has_one_row_per_cohort_in_the_order_they_came():
    scored = _scored([1.0, 2.0, None, None], [1.0, 3.0, 0.0, 0.0], _batch=["second", "second", "first", "second"])
    table = cohort_table(scored, "_batch", "regression", "rmse")
    assert table.schema == {"_batch": pl.String} | COHORT_SCHEMA
    assert table["_batch"].to_list() == ["second", "first"]
    assert table["n_rows"].to_list() == [3, 1]
    assert table["value"].to_list() == [pytest.approx(math.sqrt(0.5)), None]
    assert table["maturity"].to_list() == [pytest.approx(2 / 3), 0.0]
    assert cohort_table(scored.clear(), "_batch", "regression", "rmse").schema == table.schema
