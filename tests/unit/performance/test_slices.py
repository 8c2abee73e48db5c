import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.errors import DataError
from ratoon.performance import SliceReport, SliceSettings, judge_slices, merge_slices, slice_sums
from ratoon.performance.slices import SLICE_SCHEMA, _holm


def _made(n=6_000, *, bad=None, seed=0):
    """Scores that are right; in slice ``bad`` the label is a coin instead."""
    rng = np.random.default_rng(seed)
    carrier = rng.choice(["AA", "B6", "UA"], size=n)
    score = rng.random(n)
    label = rng.random(n) < np.where(carrier == bad, 0.5, score)
    return pl.DataFrame({"carrier": carrier, "label": label, "score": score})


def test_sums_by_hand():
    scored = pl.DataFrame(
        {"origin": ["JFK", "JFK", None, "EWR"], "label": [1, None, 0, 1], "score": [0.75, 0.5, 0.5, 0.0]}
    )
    found = slice_sums(scored, ["origin"], "binary", "brier")
    assert found.schema == SLICE_SCHEMA
    assert found["value"].to_list() == [None, "EWR", "JFK"]
    assert found["n_rows"].to_list() == [1, 1, 2]
    assert found["n_matured"].to_list() == [1, 1, 1]
    assert found["loss"].to_list() == [0.25, 1.0, 0.0625]
    assert found["loss2"].to_list() == [0.0625, 1.0, 0.0625**2]
    ranked = slice_sums(scored, ["origin"], "binary", "auc").row(2, named=True)
    assert (ranked["ones"][37], sum(ranked["ones"]), sum(ranked["zeros"])) == (1, 1, 0)


@pytest.mark.parametrize("metric", ["auc", "brier", "logloss", "accuracy"])
def test_the_bad_slice_is_found_and_comes_first(metric):
    report = judge_slices(slice_sums(_made(bad="B6"), ["carrier"], "binary", metric), metric)
    assert [row.value for row in report.flagged] == ["B6"]
    assert report.slices[0].worse_by > 0.1
    assert report.slices[0].sentence.startswith(f"carrier B6: {metric} ")


@pytest.mark.parametrize("metric", ["auc", "brier", "accuracy"])
def test_alike_slices_are_not_flagged(metric):
    settings = SliceSettings(min_effect=0.0, alpha=0.05)
    flagged = 0
    for seed in range(60):
        sums = slice_sums(_made(3_000, seed=seed), ["carrier"], "binary", metric)
        flagged += bool(judge_slices(sums, metric, settings).flagged)
    # at a true rate of 0.05 more than 8 of 60 come in 0.3 % of repeats; the seeds are fixed
    assert flagged <= 8


def test_difference_and_error_are_those_of_two_means():
    scored = _made(bad="B6").with_columns(loss=(pl.col("score") - pl.col("label").cast(pl.Float64)) ** 2)
    row = judge_slices(slice_sums(scored, ["carrier"], "binary", "brier"), "brier").slices[0]
    part, rest = (scored.filter(pl.col("carrier").eq("B6") == is_slice)["loss"] for is_slice in (True, False))
    assert row.worse_by == pytest.approx(part.mean() - rest.mean())
    assert row.standard_error == pytest.approx(math.sqrt(part.var(0) / len(part) + rest.var(0) / len(rest)))


def test_a_difference_that_does_not_matter_is_not_flagged():
    sums = slice_sums(_made(60_000, bad="B6"), ["carrier"], "binary", "brier")
    report = judge_slices(sums, "brier", SliceSettings(min_effect=0.9))
    assert not report.flagged
    assert report.slices[0].p_value < 1e-9
    assert report.slices[0].sentence.endswith("which doesn't matter or may be chance.")


def test_small_slices_are_not_judged_and_said_so():
    scored = pl.concat([_made(1_000), pl.DataFrame({"carrier": ["HA"] * 9, "label": [True] * 9, "score": [0.0] * 9})])
    last = judge_slices(slice_sums(scored, ["carrier"], "binary", "brier"), "brier").slices[-1]
    assert (last.value, last.metric, last.flagged) == ("HA", None, False)
    assert last.sentence == "carrier HA: not judged, 9 labelled rows, 200 are needed."


def test_a_missing_value_is_a_slice_of_its_own():
    scored = _made(bad="B6").with_columns(pl.col("carrier").replace({"B6": None}))
    row = judge_slices(slice_sums(scored, ["carrier"], "binary", "brier"), "brier").flagged[0]
    assert row.value is None
    assert row.sentence.startswith("carrier is missing: brier")


def test_columns_with_too_many_values_are_left_out_and_named():
    scored = _made(600).with_columns(plane=pl.int_range(600).cast(pl.String))
    report = judge_slices(slice_sums(scored, ["carrier", "plane"], "binary", "brier"), "brier")
    assert report.too_many_values == ["plane"]
    assert {row.column for row in report.slices} == {"carrier"}


@given(st.lists(st.integers(0, 2), min_size=60, max_size=60))
@settings(deadline=None, max_examples=25)
def test_sums_of_parts_are_the_sums_of_the_whole(parts):
    scored = _made(60)
    belongs = pl.Series(parts)
    whole = slice_sums(scored, ["carrier"], "binary", "auc")
    each = [slice_sums(scored.filter(belongs == part), ["carrier"], "binary", "auc") for part in range(3)]
    assert merge_slices(each).equals(whole)
    assert merge_slices(reversed(each)).equals(whole)
    assert merge_slices([]).schema == whole.schema


def test_p_values_are_holms():
    # Holm by hand: 3 * 0.01, max(0.03, 2 * 0.02), max(0.04, 0.03)
    assert _holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])


def test_regression_and_multiclass_have_slices_too():
    rng = np.random.default_rng(0)
    side = np.repeat(["a", "b"], 500)
    error = rng.normal(size=1_000) * np.where(side == "b", 3.0, 1.0)
    scored = pl.DataFrame({"side": side, "label": np.zeros(1_000), "score": error})
    row = judge_slices(slice_sums(scored, ["side"], "regression", "rmse"), "rmse").flagged[0]
    assert (row.value, row.metric) == ("b", pytest.approx(math.sqrt(np.square(error[500:]).mean())))
    probability = np.where((side == "b")[:, None], [0.2, 0.8], [0.8, 0.2])
    classes = pl.DataFrame({"side": side, "label": ["x"] * 1_000, "score": probability.tolist()})
    sums = slice_sums(classes, ["side"], "multiclass", "accuracy", classes=["x", "y"])
    assert [row.value for row in judge_slices(sums, "accuracy").flagged] == ["b"]


def test_a_report_survives_json():
    report = judge_slices(slice_sums(_made(), ["carrier"], "binary", "auc"), "auc")
    assert SliceReport.model_validate_json(report.model_dump_json()) == report


def test_a_column_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="gate"):
        slice_sums(_made(10), ["gate"], "binary", "brier")
