import math

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ratoon.errors import DataError
from ratoon.profiles import PROFILE_SCHEMA, Binning, ColumnBinning, merge, profile

BINNING = Binning(
    columns={
        "x": ColumnBinning(kind="numeric", type="float", edges=[-1.0, 0.0, 2.5]),
        "c": ColumnBinning(kind="category", type="category", categories=["a", "b"]),
        "s": ColumnBinning(kind="identifier", type="string"),
        "at": ColumnBinning(kind="key", type="int"),
    }
)
_DTYPES = {"x": pl.Float64, "c": pl.String, "s": pl.String, "at": pl.Int64}
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "x": st.sampled_from([None, math.nan, math.inf, -math.inf, -2.0, -1.0, 0.5, 7.0]),
            "c": st.sampled_from([None, "a", "b", "new", "rare"]),
            "s": st.sampled_from([None, "u", "v"]),
            "at": st.integers(0, 9),
        }
    ),
    max_size=12,
)


def _batch(rows):
    return pl.DataFrame(rows, schema=_DTYPES, orient="row")


def _profile(rows):
    return profile(_batch(rows), BINNING)


@settings(max_examples=40, deadline=None)
@given(_ROWS, _ROWS, _ROWS)
def test_merging_is_associative_and_commutative(first, second, third):
    a, b, c = _profile(first), _profile(second), _profile(third)
    assert_frame_equal(merge([merge([a, b]), c]), merge([a, merge([b, c])]))
    assert_frame_equal(merge([a, b, c]), merge([c, a, b]))


@settings(max_examples=40, deadline=None)
@given(_ROWS, _ROWS)
def test_the_profile_of_two_batches_is_the_sum_of_their_profiles(first, second):
    both, whole = merge([_profile(first), _profile(second)]), _profile(first + second)
    bounds = ["distinct", "rest_singletons"]
    assert_frame_equal(both.drop(bounds), whole.drop(bounds))
    assert (both["rest_singletons"] >= whole["rest_singletons"]).all()
    assert (both["distinct"].drop_nulls() <= whole["distinct"].drop_nulls()).all()


def test_the_empty_profile_changes_nothing():
    one = _profile([{"x": 1.0, "c": "a", "s": None, "at": 3}])
    assert_frame_equal(merge([one]), one)
    assert_frame_equal(merge([one, merge([])]), one)
    assert merge([]).schema == PROFILE_SCHEMA
    assert merge([]).height == 0


def test_a_table_of_many_batches_merges_lazily_and_ignores_its_other_columns():
    parts = [_profile([{"x": float(i), "c": "a", "s": "u", "at": i}]) for i in range(5)]
    table = pl.concat([part.with_columns(_batch=pl.lit(f"b{i}")) for i, part in enumerate(parts)])
    assert_frame_equal(merge(table.lazy()), merge(parts))
    assert_frame_equal(merge(table), merge(iter(parts)))


def test_profiles_of_different_bins_are_not_added_up():
    other = Binning(columns={"x": ColumnBinning(kind="numeric", type="float", edges=[9.0])})
    with pytest.raises(DataError, match="2 binnings"):
        merge([_profile([]), profile(_batch([]), other)])
