import math
from datetime import UTC, date, datetime

import polars as pl
import pytest

from ratoon.errors import SchemaMismatchError
from ratoon.profiles import PROFILE_SCHEMA, Binning, ColumnBinning, profile


def _numeric(*edges, **more):
    return Binning(columns={"x": ColumnBinning(kind="numeric", type="float", edges=list(edges), **more)})


def _category(*categories):
    return Binning(columns={"c": ColumnBinning(kind="category", type="category", categories=list(categories))})


def _only(frame, binning):
    found = profile(frame, binning)
    assert found.schema == PROFILE_SCHEMA
    assert found.height == 1
    return found.row(0, named=True)


def test_a_value_on_an_edge_belongs_to_the_bin_below_it():
    row = _only(pl.DataFrame({"x": [-9.0, 0.0, 0.5, 1.0, 1.5, 99.0]}), _numeric(0.0, 1.0))
    assert row["counts"] == [2, 2, 2]
    assert (row["n"], row["min"], row["max"], row["sum"], row["sum2"]) == (
        6,
        -9.0,
        99.0,
        93.0,
        81 + 0.25 + 1 + 2.25 + 9801,
    )


def test_nulls_nan_and_infinities_are_counted_apart_and_in_no_bin():
    values = [None, None, None, math.nan, math.nan, math.inf, -math.inf, -math.inf, -math.inf, 1.0, 2.0]
    row = _only(pl.DataFrame({"x": values}), _numeric(1.0))
    assert (row["n"], row["nulls"], row["nans"], row["infs"]) == (11, 3, 2, 4)
    assert row["counts"] == [1, 1]
    assert (row["sum"], row["min"], row["max"]) == (3.0, 1.0, 2.0)


def test_the_bins_the_missing_and_the_unlisted_add_up_to_all_rows():
    frame = pl.DataFrame({"x": [None, math.nan, 1.0, 2.0], "c": ["a", None, "new", "new"]})
    binning = Binning(columns=_numeric(1.5).columns | _category("a", "b").columns)
    for row in profile(frame, binning).iter_rows(named=True):
        assert sum(row["counts"]) + row["rest"] + row["nulls"] + row["nans"] + row["infs"] == row["n"]


def test_integers_are_counted_like_numbers():
    row = _only(pl.DataFrame({"x": [1, 2, 3, None]}, schema={"x": pl.Int64}), _numeric(1.0, 2.0))
    assert row["counts"] == [1, 1, 1]


def test_unlisted_values_are_the_rest_and_single_ones_are_counted():
    row = _only(pl.DataFrame({"c": ["a", "a", "b", "x", "y", "y", None]}), _category("b", "a", "gone"))
    assert row["counts"] == [1, 2, 0]
    assert (row["rest"], row["rest_singletons"], row["nulls"]) == (3, 1, 1)
    assert row["categories"] == ["b", "a", "gone"]


def test_bools_and_enumerations_are_counted_as_text():
    listed = ColumnBinning(kind="category", type="bool", categories=["false", "true"])
    row = _only(pl.DataFrame({"b": [True, True, False, None]}), Binning(columns={"b": listed}))
    assert row["counts"] == [1, 2]
    frame = pl.DataFrame({"c": pl.Series(["a", "b", "a"], dtype=pl.Enum(["a", "b"]))})
    assert _only(frame, _category("a", "b"))["counts"] == [2, 1]


def test_an_identifier_keeps_only_how_many_distinct_values_there_are():
    row = _only(
        pl.DataFrame({"s": ["u", "v", "v", None]}),
        Binning(columns={"s": ColumnBinning(kind="identifier", type="string")}),
    )
    assert (row["distinct"], row["nulls"], row["counts"], row["categories"], row["min"]) == (2, 1, [], None, None)


def test_times_keep_their_range_in_seconds():
    frame = pl.DataFrame({"day": [date(1970, 1, 2), None], "at": [datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)] * 2})
    kinds = {"day": ColumnBinning(kind="time", type="date"), "at": ColumnBinning(kind="key", type="datetime")}
    rows = {row["column"]: row for row in profile(frame, Binning(columns=kinds)).iter_rows(named=True)}
    assert (rows["day"]["min"], rows["day"]["max"], rows["day"]["nulls"]) == (86_400.0, 86_400.0, 1)
    assert rows["at"]["min"] == 1.5


def test_personal_numbers_keep_neither_range_nor_mean():
    row = _only(pl.DataFrame({"x": [1.0, 2.0]}), _numeric(1.0, pii=True))
    assert (row["min"], row["max"], row["sum"], row["sum2"]) == (None, None, None, None)
    assert row["counts"] == [1, 1]


def test_an_empty_batch_has_a_profile_of_zeros():
    row = _only(pl.DataFrame({"x": []}, schema={"x": pl.Float64}), _numeric(1.0))
    assert (row["n"], row["counts"], row["min"]) == (0, [0, 0], None)
    assert _only(pl.DataFrame({"c": []}, schema={"c": pl.String}), _category("a"))["counts"] == [0]


def test_a_lazy_frame_gives_the_same_profile():
    frame = pl.DataFrame({"x": [1.0, None, 3.0]})
    assert profile(frame.lazy(), _numeric(2.0)).equals(profile(frame, _numeric(2.0)))


def test_rows_are_sorted_by_column_and_carry_the_digest_of_their_bins():
    binning = Binning(columns={"z": _numeric(1.0).columns["x"], "a": _numeric(2.0).columns["x"]})
    found = profile(pl.DataFrame({"z": [1.0], "a": [1.0], "n": [0], "count": [1]}), binning)
    assert found["column"].to_list() == ["a", "z"]
    assert found["binning"].unique().to_list() == [binning.digest]


def test_columns_may_bear_the_names_that_counting_uses():
    listed = ColumnBinning(kind="category", type="category", categories=["a"])
    binning = Binning(columns=dict.fromkeys(("n", "value", "count", "listed"), listed))
    found = profile(pl.DataFrame({name: ["a", "b"] for name in binning.columns}), binning)
    assert found["counts"].to_list() == [[1]] * 4
    assert found["n"].to_list() == [2] * 4


def test_a_batch_that_lacks_a_column_is_refused_by_name():
    with pytest.raises(SchemaMismatchError, match="lacks columns \\['x'\\]"):
        profile(pl.DataFrame({"y": [1.0]}), _numeric(1.0))
