import math

import numpy as np
import polars as pl
import pytest

from ratoon.profiles import make_binning, merge, profile, summary


def test_a_summary_says_what_numpy_says_of_the_rows():
    values = np.random.default_rng(0).gamma(2, 300, 900)
    frame = pl.DataFrame({"x": [*values, None, math.nan, math.inf] * 1, "c": ["a", "b", "b"] * 301})
    binning = make_binning(frame)
    found = summary(merge([profile(frame[:400], binning), profile(frame[400:], binning)]))
    assert found["column"].to_list() == ["c", "x"]
    row = found.row(1, named=True)
    assert row["mean"] == pytest.approx(values.mean(), rel=1e-12)
    assert row["sd"] == pytest.approx(values.std(), rel=1e-12)
    assert (row["min"], row["max"]) == (values.min(), values.max())
    assert row["missing"] == pytest.approx(3 / 903)
    assert found.row(0, named=True)["distinct"] == 2


def test_a_summary_of_nothing_has_no_figures():
    frame = pl.DataFrame({"x": [1.0] * 500, "s": [f"v{i}" for i in range(500)]})
    found = summary(profile(frame.clear(), make_binning(frame)))
    assert found["mean"].null_count() == found["sd"].null_count() == found["missing"].null_count() == 2
    assert found["distinct"].to_list() == [0, None]


def test_a_constant_column_has_no_spread():
    frame = pl.DataFrame({"x": [0.1] * 500})
    assert summary(profile(frame, make_binning(frame))).row(0, named=True)["sd"] == 0.0
