import math
from datetime import datetime
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ratoon.errors import DataError
from ratoon.profiles import PROFILE_SCHEMA, Binning, ColumnBinning, merge, profile, subtract

_SCORED = {"kind": "numeric", "type": "float", "scale": 1.5}
BINNING = Binning(
    columns={
        "x": ColumnBinning(edges=[-1.0, 0.0, 2.5], center=0.5, **_SCORED),
        "y": ColumnBinning(edges=[0.0], center=-1.0, **_SCORED),
        "c": ColumnBinning(kind="category", type="category", categories=["a", "b"]),
        "s": ColumnBinning(kind="identifier", type="string"),
        "id": ColumnBinning(kind="key", type="int"),
        "at": ColumnBinning(kind="time", type="datetime"),
    },
    joint=["x", "y"],
)
_DTYPES = {"x": pl.Float64, "y": pl.Float64, "c": pl.String, "s": pl.String, "id": pl.Int64, "at": pl.Datetime("us")}
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            # Halves and quarters, so that sums are exact in any order.
            "x": st.sampled_from([None, math.nan, math.inf, -math.inf, -2.0, -1.0, 0.5, 7.25]),
            "y": st.sampled_from([None, 0.0, 3.5, -40.0]),
            "c": st.sampled_from([None, "a", "b", "new", "rare"]),
            "s": st.sampled_from([None, "", "u", "Zürich", " v", "2024-01-31"]),
            "id": st.integers(0, 9),
            "at": st.sampled_from([None, datetime(2024, 1, 1, 7), datetime(1969, 5, 4, 23)]),
        }
    ),
    max_size=12,
)
BOUNDS = ["min", "max", "registers", "rest_singletons"]


def _batch(rows):
    return pl.DataFrame(rows, schema=_DTYPES, orient="row")


def _profile(rows):
    return profile(_batch(rows), BINNING)


@settings(max_examples=30, deadline=None)
@given(_ROWS, _ROWS, _ROWS)
def test_merging_is_associative_and_commutative(first, second, third):
    a, b, c = _profile(first), _profile(second), _profile(third)
    assert_frame_equal(merge([merge([a, b]), c]), merge([a, merge([b, c])]), check_exact=True)
    assert_frame_equal(merge([a, b, c]), merge([c, a, b]), check_exact=True)


@settings(max_examples=40, deadline=None)
@given(st.data(), _ROWS)
def test_the_profile_of_the_whole_is_the_sum_of_its_parts_for_any_split_and_order(data, rows):
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    parts = [shuffled[start:end] for start, end in pairwise([0, *cuts, len(rows)])]
    added, whole = merge([_profile(part) for part in parts]), _profile(rows)
    assert_frame_equal(added.drop("rest_singletons"), whole.drop("rest_singletons"), check_exact=True)
    assert (added["rest_singletons"] >= whole["rest_singletons"]).all()


@settings(max_examples=30, deadline=None)
@given(_ROWS, _ROWS)
def test_subtracting_undoes_adding_but_for_what_only_bounds(first, second):
    a, b = _profile(first), _profile(second)
    left = subtract(merge([a, b]), b)
    assert_frame_equal(left.drop(BOUNDS), a.drop(BOUNDS), check_exact=True)
    assert (left["rest_singletons"] >= a["rest_singletons"]).all()
    assert (left["min"].fill_null(math.inf) <= a["min"].fill_null(math.inf)).all()


def test_what_is_not_part_of_a_sum_is_not_taken_from_it():
    row = {"x": 1.0, "y": 0.0, "c": "a", "s": "u", "id": 1, "at": None}
    one, other = _profile([row]), _profile([row | {"c": "b"}])
    with pytest.raises(DataError, match="'c'"):
        subtract(one, other)
    with pytest.raises(DataError, match="other columns"):
        subtract(one, other.head(2))
    with pytest.raises(DataError, match="2 binnings"):
        subtract(one, other.with_columns(binning=pl.lit("else")))
    assert_frame_equal(subtract(one, merge([])), one)


def test_the_empty_profile_changes_nothing():
    one = _profile([{"x": 1.0, "y": None, "c": "a", "s": None, "id": 3, "at": None}])
    assert_frame_equal(merge([one]), one)
    assert_frame_equal(merge([one, merge([])]), one)
    assert merge([]).schema == PROFILE_SCHEMA
    assert merge([]).height == 0


def test_a_table_of_many_batches_merges_lazily_and_ignores_its_other_columns():
    parts = [_profile([{"x": float(i), "y": 1.0, "c": "a", "s": "u", "id": i, "at": None}]) for i in range(5)]
    table = pl.concat([part.with_columns(_batch=pl.lit(f"b{i}")) for i, part in enumerate(parts)])
    assert_frame_equal(merge(table.lazy()), merge(parts))
    assert_frame_equal(merge(table), merge(iter(parts)))


def test_rows_of_many_batches_merge_alike_in_any_order():
    row = {"x": 1.5, "y": 1.0, "c": "new", "s": "u", "id": 4, "at": datetime(2024, 1, 1)}
    parts = [_profile([row | {"s": f"u{i}", "id": i}] * i) for i in range(7)]
    table = pl.concat(parts)
    assert_frame_equal(merge(table.sample(fraction=1, shuffle=True, seed=3)), merge(table), check_exact=True)
    uneven = pl.concat([table, parts[2].head(3)])
    assert_frame_equal(merge(uneven), merge([merge(table), parts[2].head(3)]), check_exact=True)


def test_counts_of_several_lengths_are_not_added_up():
    one = _profile([])
    damaged = one.with_columns(pl.when(pl.col("column") != "c").then("counts").otherwise([1]))
    with pytest.raises(DataError, match="'c' hold counts of several lengths"):
        merge([one, damaged])


def test_profiles_of_different_bins_are_not_added_up():
    other = Binning(columns={"x": ColumnBinning(kind="numeric", type="float", edges=[9.0])})
    with pytest.raises(DataError, match="2 binnings"):
        merge([_profile([]), profile(_batch([]), other)])
