import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ratoon.errors import EmptyWindowError
from ratoon.profiles import make_binning, make_reference, profile, resolves


def _frame(n_rows=2_000, seed=0):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "x": random.normal(size=n_rows),
            "zeros": np.where(random.random(n_rows) < 0.8, 0.0, random.normal(5, 1, n_rows)),
            "n": random.integers(0, 4, n_rows),
            "constant": [3.0] * n_rows,
            "c": random.choice(["a", "b", "c"], n_rows),
            "s": [f"id{i}" for i in range(n_rows)],
        }
    )


@pytest.mark.parametrize("is_lazy", [False, True])
@pytest.mark.parametrize("most_cells", [1 << 25, 3_000])
def test_a_reference_is_its_bins_and_its_counts_in_them(monkeypatch, is_lazy, most_cells):
    frame = _frame()
    binning = make_binning(frame)
    expected = profile(frame, binning)
    monkeypatch.setattr("ratoon.profiles.chunks._MOST_CELLS", most_cells)
    reference = make_reference(frame.lazy() if is_lazy else frame)
    assert reference.binning == binning
    assert_frame_equal(reference.profile, expected)


def test_a_reference_with_too_few_rows_is_refused():
    with pytest.raises(EmptyWindowError, match="500 rows"):
        make_reference(_frame(499))


def test_bins_resolve_the_reference_they_were_made_of():
    reference = make_reference(_frame())
    assert resolves(reference.profile, reference.binning)
    other = _frame(seed=1)
    assert resolves(profile(other, reference.binning), reference.binning)


@pytest.mark.parametrize(
    "moved",
    [
        pl.col("x") + 3,
        pl.col("x") * 0.1,
        pl.col("constant") + pl.col("x"),
        pl.col("n") * 100,
        pl.lit("new").alias("c"),
    ],
)
def test_bins_do_not_resolve_a_reference_that_moved_out_of_them_or_into_one(moved):
    binning = make_reference(_frame()).binning
    assert not resolves(profile(_frame(seed=1).with_columns(moved), binning), binning)


def test_a_single_value_with_a_large_share_is_resolved():
    binning = make_reference(_frame()).binning
    more = _frame(seed=1).with_columns(zeros=pl.when(pl.col("x") < 1.5).then(0.0).otherwise("zeros"))
    assert resolves(profile(more, binning), binning)


def test_columns_with_few_values_say_nothing():
    binning = make_reference(_frame()).binning
    assert resolves(profile(_frame(50).with_columns(pl.col("x") + 9), binning), binning)
