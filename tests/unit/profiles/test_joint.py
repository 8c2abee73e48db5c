import math

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ratoon.profiles import make_binning, matrix, merge, profile


def _frame(n_rows, seed=0, n_columns=4):
    random = np.random.default_rng(seed)
    values = random.standard_t(2, size=(n_rows, n_columns)) @ random.normal(size=(n_columns, n_columns))
    return pl.DataFrame({f"x{i}": values[:, i] for i in range(n_columns)})


def _scores(frame, binning):
    """The definition, in float64, one column at a time."""
    columns = [binning.columns[name] for name in binning.joint]
    raw = [frame[name].cast(pl.Float64).to_numpy() for name in binning.joint]
    scaled = [(x - column.center) * (2 / column.scale) for x, column in zip(raw, columns, strict=True)]
    z = [np.where(np.isfinite(x), np.rint(np.clip(y, -8, 8)), 0) for x, y in zip(raw, scaled, strict=True)]
    return np.array(z, dtype=np.float64)


def _joint(found):
    row = found.row(by_predicate=pl.col("kind") == "joint", named=True)
    return row["categories"], *matrix(row["counts"], len(row["categories"]))


def test_the_joint_matrix_is_that_of_the_integer_scores():
    frame = _frame(70_001)
    binning = make_binning(frame)
    names, sums, products = _joint(profile(frame, binning))
    z = _scores(frame, binning)
    assert names == binning.joint == ["x0", "x1", "x2", "x3"]
    assert sums.tolist() == z.sum(axis=1).tolist()
    assert products.tolist() == (z @ z.T).tolist()
    assert np.abs(z).max() == 8


def test_the_counts_are_the_sums_and_then_the_upper_triangle_row_by_row():
    frame = pl.DataFrame({"a": [-2.0, 0.0, 2.0] * 200, "b": [2.0, 0.0, 4.0] * 200})
    binning = make_binning(frame)
    z = _scores(frame, binning)
    row = profile(frame, binning).row(0, named=True)
    expected = [z[0].sum(), z[1].sum(), (z[0] ** 2).sum(), (z[0] * z[1]).sum(), (z[1] ** 2).sum()]
    assert (row["column"], row["kind"], row["n"], row["counts"]) == ("*", "joint", 600, expected)


def test_a_missing_value_scores_0():
    frame = _frame(600, n_columns=2)
    binning = make_binning(frame)
    gaps = pl.DataFrame({"x0": [None, math.nan, math.inf, -math.inf, 1e308], "x1": [1.0] * 5})
    z = _scores(gaps, binning)
    assert z[0].tolist() == [0, 0, 0, 0, 8]
    assert _joint(profile(gaps, binning))[2].tolist() == (z @ z.T).tolist()


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Int32])
def test_other_numbers_score_by_their_value(dtype):
    frame = _frame(800, seed=4).select((pl.all() * 10).cast(dtype))
    binning = make_binning(frame)
    z = _scores(frame, binning)
    assert _joint(profile(frame, binning))[2].tolist() == (z @ z.T).tolist()


def test_the_joint_row_is_the_same_for_any_order_of_rows_and_any_split():
    frame = _frame(1_000, seed=2)
    binning = make_binning(frame)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=9)
    parts = merge([profile(shuffled[:300], binning), profile(shuffled[300:], binning)])
    whole = profile(frame, binning)
    joint = pl.col("kind") == "joint"
    assert_frame_equal(parts.filter(joint), whole.filter(joint), check_exact=True)


def test_there_is_no_joint_row_where_no_column_varies():
    frame = pl.DataFrame({"x": [1.0] * 500, "c": ["a"] * 500})
    assert profile(frame, make_binning(frame))["kind"].to_list() == ["category", "numeric"]
