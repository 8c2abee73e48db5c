import math
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ratoon.errors import SchemaMismatchError
from ratoon.profiles import LENGTHS, PATTERNS, PROFILE_SCHEMA, Binning, ColumnBinning, distinct, make_binning, profile


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
    assert (row["nulls"], row["counts"], row["categories"], row["min"]) == (1, [], None, None)
    assert distinct(row["registers"]) == 2
    assert dict(zip(LENGTHS, row["lengths"], strict=True))["1"] == 3
    assert dict(zip(PATTERNS, row["patterns"], strict=True))["letters"] == 3


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


def test_moments_are_taken_around_the_center_so_that_large_values_lose_no_digits():
    values = 1e9 + np.random.default_rng(0).normal(size=5_000)
    row = _only(pl.DataFrame({"x": values}), _numeric(center=1e9, scale=1.0))
    mean = row["center"] + row["sum"] / row["n"]
    variance = row["sum2"] / row["n"] - (row["sum"] / row["n"]) ** 2
    assert mean == pytest.approx(values.mean(), rel=1e-15)
    assert variance == pytest.approx(values.var(), rel=1e-9)


def test_bins_hold_what_numpy_counts_in_them():
    values = np.random.default_rng(5).lognormal(size=4_000).round(1)
    frame = pl.DataFrame({"x": values})
    binning = make_binning(frame)
    edges = binning.columns["x"].edges
    expected = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    assert profile(frame, binning)["counts"][-1].to_list() == expected.tolist()


def test_an_edge_that_no_float32_equals_parts_float32_values_like_float64_ones():
    edges = [0.1, math.nextafter(0.5, 0.0), 0.7]
    values = np.array([0.1, 0.3, 0.5, 0.7, np.nextafter(np.float32(0.7), np.float32(0))], dtype=np.float32)
    single, double = (_only(pl.DataFrame({"x": values.astype(t)}), _numeric(*edges)) for t in (np.float32, np.float64))
    assert single["counts"] == double["counts"]
    # As float64: float32(0.1) > 0.1, float32(0.7) < 0.7, and 0.5 is above the edge just below it.
    assert single["counts"] == [0, 2, 3, 0]


def test_squares_too_large_for_a_float_leave_the_counts_right():
    row = _only(pl.DataFrame({"x": [1e200, -1e200, 1.0]}), _numeric(0.0))
    assert (row["infs"], row["nans"], row["counts"], row["sum2"]) == (0, 0, [1, 2], math.inf)


def test_hours_and_weekdays_of_times_are_counted_in_utc():
    at = [datetime(2024, 1, 1, 0, 30), datetime(2024, 1, 7, 23, 59), datetime(1969, 12, 31, 5), None]
    frame = pl.DataFrame({"at": at, "day": [value and value.date() for value in at]}).with_columns(
        zoned=pl.col("at").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"),
        old=pl.col("at").cast(pl.Datetime("ms")),
    )
    rows = {row["column"]: row for row in profile(frame, make_binning(frame, min_rows=1)).iter_rows(named=True)}
    hours = [1 if hour in (0, 5, 23) else 0 for hour in range(24)]
    weekdays = [1, 0, 1, 0, 0, 0, 1]
    assert [rows[name]["counts"] for name in ("at", "zoned", "old")] == [hours + weekdays] * 3
    assert rows["day"]["counts"] == [0] * 24 + weekdays
    assert rows["at"]["min"] == rows["old"]["min"] == datetime(1969, 12, 31, 5, tzinfo=UTC).timestamp()


def test_times_of_day_have_hours_and_durations_a_range_only():
    frame = pl.DataFrame({"t": [time(3, 59), time(3)], "d": [timedelta(hours=1), timedelta(seconds=-2)]})
    rows = {row["column"]: row for row in profile(frame, make_binning(frame, min_rows=1)).iter_rows(named=True)}
    assert (rows["t"]["counts"][3], sum(rows["t"]["counts"]), rows["t"]["max"]) == (2, 2, 3 * 3600 + 59 * 60)
    assert (sum(rows["d"]["counts"]), rows["d"]["min"], rows["d"]["max"]) == (0, -2.0, 3600.0)


def test_no_value_of_personal_data_is_in_a_profile():
    frame = pl.DataFrame(
        {
            "name": [f"person {i}" for i in range(600)],
            "age": np.linspace(20.123, 80.456, 600),
            "born": [date(1950, 1, 1) + timedelta(days=17 * i) for i in range(600)],
            "sick": [True, False] * 300,
        }
    )
    rows = profile(frame, make_binning(frame, pii=frame.columns))
    assert rows["column"].to_list() == ["age", "born", "name", "sick"]
    for name in ("sum", "sum2", "min", "max"):
        assert rows[name].to_list() == [None] * 4
    assert rows["center"].to_list() == [0.0] * 4
    assert rows["categories"].to_list() == [None, None, None, ["false", "true"]]
    assert "person" not in str(rows.to_dicts())


def test_a_column_without_a_value_is_all_missing():
    frame = pl.DataFrame({"x": [None] * 4, "f": [math.nan] * 4, "c": [None] * 4, "s": [None] * 4, "at": [None] * 4})
    columns = {
        "x": ColumnBinning(kind="numeric", type="int", edges=[1.0]),
        "f": ColumnBinning(kind="numeric", type="float", edges=[1.0]),
        "c": ColumnBinning(kind="category", type="string", categories=["a"]),
        "s": ColumnBinning(kind="identifier", type="string"),
        "at": ColumnBinning(kind="time", type="datetime"),
    }
    found = profile(frame, Binning(columns=columns))
    assert (found["nulls"] + found["nans"]).to_list() == [4] * 5
    assert [sum(counts) for counts in found["counts"].to_list()] == [0] * 5
    assert found["min"].null_count() == 5


@pytest.mark.parametrize("n_rows", [0, 1, 6, 7, 20])
def test_a_batch_is_counted_alike_in_pieces_of_any_size(monkeypatch, n_rows):
    frame = _mixed(20)
    binning = make_binning(frame, min_rows=1)
    whole = profile(frame.head(n_rows), binning)
    monkeypatch.setattr("ratoon.profiles.chunks.CHUNK_ROWS", 3)
    monkeypatch.setattr("ratoon.profiles.joint._BLOCK", 2)
    monkeypatch.setattr("ratoon.profiles.tallies._MOST_PENDING", 2)
    assert_frame_equal(profile(frame.head(n_rows), binning), whole)
    assert_frame_equal(profile(frame.lazy().head(n_rows), binning), whole)


def _mixed(n_rows):
    return pl.DataFrame(
        {
            "x": [[0.5, None, -2.25, math.nan, math.inf, 8.0][i % 6] for i in range(n_rows)],
            "y": [float(i * i) for i in range(n_rows)],
            "i": range(n_rows),
            "c": [["a", "b", None, f"rare {i}"][i % 4] for i in range(n_rows)],
            "at": [datetime(2024, 1, 1) + timedelta(hours=5 * i) for i in range(n_rows)],
        }
    )


def test_wide_frames_are_counted_in_groups_of_columns():
    frame = pl.DataFrame({f"x{i:03}": np.arange(500.0) * (i + 1) for i in range(150)})
    found = profile(frame.lazy(), make_binning(frame))
    assert found["column"].to_list() == ["*", *frame.columns]
    assert found.filter(pl.col("column") == "x149")["max"].item() == 499.0 * 150


def test_a_column_of_another_type_than_its_bins_is_refused_by_name():
    with pytest.raises(SchemaMismatchError, match="'x' has dtype String, but .* counts it as float"):
        profile(pl.DataFrame({"x": ["1"]}), _numeric(1.0))
    with pytest.raises(SchemaMismatchError, match="'x' has dtype List"):
        profile(pl.DataFrame({"x": [[1.0]]}), _numeric(1.0))
