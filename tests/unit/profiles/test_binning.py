import math
from datetime import date, time, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from ratoon.contracts.spec import Contract
from ratoon.errors import DataError, EmptyWindowError, SchemaMismatchError
from ratoon.identity import digest_bytes
from ratoon.profiles import Binning, ColumnBinning, make_binning, profile


def _contract(**columns):
    typed = {
        name: ({"type": spec, "nullable": True} if isinstance(spec, str) else spec) for name, spec in columns.items()
    }
    keys = {"id": {"type": "int"}, "at": {"type": "datetime"}}
    return Contract(columns=keys | typed, entity_key=["id"], event_time="at")


def _frame(n, **columns):
    return pl.DataFrame({"id": range(n), "at": pl.Series([0] * n).cast(pl.Datetime("us", "UTC")), **columns})


def test_bins_hold_equal_shares_within_the_range_of_the_reference_and_two_lie_outside():
    binning = make_binning(_frame(1_001, x=[float(i) for i in range(1_001)]), _contract(x="float"), max_bins=4)
    below = math.nextafter(0.0, -math.inf)
    assert binning.columns["x"].edges == [below, 250.0, 500.0, 750.0, 1000.0]
    assert binning.columns["x"].n_bins == 6


def test_a_value_with_a_large_share_gets_a_bin_of_its_own():
    values = [0] * 800 + list(range(-100, 0)) + list(range(1, 101))
    edges = make_binning(_frame(1_000, x=values), _contract(x="int"), max_bins=10).columns["x"].edges
    assert edges == [-101.0, -1.0, 0.0, 100.0]


def test_values_below_a_minimum_with_a_large_share_can_be_told_from_it():
    contract = _contract(x="float", i="int")
    columns = make_binning(_frame(1_000, x=[5.0] * 1_000, i=[5] * 1_000), contract).columns
    assert columns["x"].edges == [math.nextafter(5.0, -math.inf), 5.0]
    assert columns["i"].edges == [4.0, 5.0]


def test_nulls_nan_and_infinity_make_no_edges():
    values = [None, math.nan, math.inf, -math.inf] * 250 + [float(i) for i in range(1_000)]
    edges = make_binning(_frame(2_000, x=values), _contract(x="float"), max_bins=2).columns["x"].edges
    assert edges in ([math.nextafter(0.0, -1), middle, 999.0] for middle in (499.0, 500.0))


def test_a_column_without_a_value_has_a_single_bin():
    binning = make_binning(_frame(600, x=pl.Series([None] * 600, dtype=pl.Float64)), _contract(x="float"))
    assert binning.columns["x"].edges == []
    assert binning.columns["x"].n_bins == 1


def test_categories_are_listed_by_frequency_then_name_so_that_the_digest_is_stable():
    frame = _frame(600, c=["b"] * 200 + ["a"] * 200 + ["z"] * 150 + [None] * 50)
    first, second = make_binning(frame, _contract(c="category")), make_binning(frame.reverse(), _contract(c="category"))
    assert first.columns["c"].categories == ["a", "b", "z"]
    assert first.digest == second.digest


@pytest.mark.parametrize(("n_distinct", "kind"), [(200, "category"), (201, "identifier")])
def test_text_with_more_than_200_values_is_an_identifier(n_distinct, kind):
    frame = _frame(1_000, c=[f"v{i % n_distinct}" for i in range(1_000)])
    column = make_binning(frame, _contract(c="string")).columns["c"]
    assert column.kind == kind
    assert len(column.categories) == (n_distinct if kind == "category" else 0)


def test_both_bools_are_listed_even_where_only_one_occurs():
    assert make_binning(_frame(600, b=[True] * 600), _contract(b="bool")).columns["b"].categories == ["false", "true"]


def test_keys_and_times_are_not_binned():
    frame = _frame(600, day=pl.Series([0] * 600).cast(pl.Date))
    binning = make_binning(frame, _contract(day="date"))
    assert {name: column.kind for name, column in binning.columns.items()} == {"id": "key", "at": "key", "day": "time"}


def test_no_value_of_personal_data_is_stored():
    frame = _frame(600, name=["ann", "bob"] * 300, age=[30, 40] * 300)
    contract = _contract(name={"type": "string", "pii": True}, age={"type": "int", "pii": True})
    binning = make_binning(frame, contract)
    assert binning.columns["name"].kind == "identifier"
    assert "ann" not in binning.to_json()
    assert binning.columns["age"].pii


def test_a_batch_with_too_few_rows_makes_no_bins():
    with pytest.raises(EmptyWindowError, match="500 rows, the batch has 499"):
        make_binning(_frame(499), _contract())


def test_a_lazy_frame_gives_the_same_bins():
    frame = _frame(600, x=list(range(600)), c=["a", "b", "c"] * 200)
    contract = _contract(x="int", c="category")
    assert make_binning(frame.lazy(), contract).digest == make_binning(frame, contract).digest


def test_a_binning_round_trips_through_json_with_its_digest():
    binning = Binning(columns={"x": ColumnBinning(kind="numeric", type="float", edges=[-5e-324, 0.1, 1e300])})
    again = Binning.from_json(binning.to_json())
    assert again == binning
    assert again.digest == binning.digest
    assert binning.digest == digest_bytes(binning.to_json().encode())


@pytest.mark.parametrize("text", ["not json", '{"version": 1, "columns": {}}', '{"columns": {"x": {"kind": "odd"}}}'])
def test_a_stored_binning_of_another_form_is_refused(text):
    with pytest.raises(DataError, match="binning can't be read"):
        Binning.from_json(text)


@pytest.mark.parametrize(
    ("values", "kind", "type_"),
    [
        (pl.Series([0.5] * 500), "numeric", "float"),
        (pl.Series([1] * 500, dtype=pl.UInt8), "numeric", "int"),
        (pl.Series([Decimal("1.5")] * 500), "numeric", "float"),
        (pl.Series(["a"] * 500), "category", "string"),
        (pl.Series(["a"] * 500, dtype=pl.Categorical), "category", "category"),
        (pl.Series(["a"] * 500, dtype=pl.Enum(["a", "b"])), "category", "category"),
        (pl.Series([f"v{i}" for i in range(500)]), "identifier", "string"),
        (pl.Series([True] * 500), "category", "bool"),
        (pl.Series([date(2024, 1, 1)] * 500), "time", "date"),
        (pl.Series([0] * 500).cast(pl.Datetime("ms")), "time", "datetime"),
        (pl.Series([time(3)] * 500), "time", "time"),
        (pl.Series([timedelta(1)] * 500), "time", "duration"),
        (pl.Series([None] * 500), "category", "string"),
    ],
)
def test_without_a_contract_the_kind_follows_from_the_dtype(values, kind, type_):
    column = make_binning(values.alias("x").to_frame()).columns["x"]
    assert (column.kind, column.type) == (kind, type_)


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([[1]] * 500),
        pl.Series([[1, 2]] * 500, dtype=pl.Array(pl.Int64, 2)),
        pl.Series([{"a": 1}] * 500),
        pl.Series([b"x"] * 500),
        pl.Series([object()] * 500, dtype=pl.Object),
    ],
)
def test_values_that_are_no_single_value_are_refused_by_column_and_dtype(values):
    with pytest.raises(SchemaMismatchError, match=f"'nested' has dtype {values.dtype.base_type().__name__}.*unnest"):
        make_binning(values.alias("nested").to_frame())


def test_a_column_with_the_name_of_the_joint_row_is_refused():
    with pytest.raises(SchemaMismatchError, match="rename"):
        make_binning(pl.DataFrame({"*": [1.0] * 500}))


def test_a_column_of_the_contract_that_is_missing_is_named():
    with pytest.raises(SchemaMismatchError, match="lacks columns \\['x'\\]"):
        make_binning(_frame(600), _contract(x="float"))


def test_center_is_the_median_and_scale_the_spread_of_the_middle_half():
    column = make_binning(pl.DataFrame({"x": [float(i) for i in range(1_001)]})).columns["x"]
    assert column.center == 500.0
    assert column.scale == pytest.approx(500 / 1.349)


def test_where_the_middle_half_is_one_value_the_scale_is_the_standard_deviation():
    values = [0.0] * 900 + [10.0] * 100
    column = make_binning(pl.DataFrame({"x": values})).columns["x"]
    assert (column.center, column.scale) == (0.0, pytest.approx(np.std(values)))
    assert make_binning(pl.DataFrame({"x": [7.0] * 500})).columns["x"].scale == 1.0


def test_the_joint_matrix_has_the_numeric_columns_that_vary_and_are_neither_keys_nor_personal():
    frame = pl.DataFrame({name: range(500) for name in ("key", "b", "a", "age")} | {"c": [1] * 500, "t": ["x"] * 500})
    assert make_binning(frame, keys=["key"], pii=["age"]).joint == ["a", "b"]
    assert make_binning(frame, joint=["key", "a"]).joint == ["a", "key"]


def test_the_joint_matrix_has_100_columns_at_most():
    frame = pl.DataFrame({f"x{i:03}": np.arange(500.0) for i in range(120)})
    assert make_binning(frame).joint == [f"x{i:03}" for i in range(100)]


@pytest.mark.parametrize("joint", [["b", "a"], ["a", "a"], ["s"], ["absent"]])
def test_a_joint_matrix_of_other_columns_is_refused(joint):
    numeric = {"kind": "numeric", "type": "float", "center": 0.0, "scale": 1.0}
    columns = {"a": numeric, "b": numeric, "s": {"kind": "category", "type": "string"}}
    with pytest.raises(ValidationError, match="joint"):
        Binning.model_validate({"columns": columns, "joint": joint})


def test_bins_of_personal_numbers_hold_no_value_center_or_range():
    ages = np.random.default_rng(1).lognormal(3.5, 0.4, 2_000)
    column = make_binning(pl.DataFrame({"age": ages}), pii=["age"]).columns["age"]
    assert not set(column.edges) & set(ages)
    assert (column.center, column.scale) == (None, None)
    assert column.edges[0] > ages.min()
    assert column.edges[-1] < ages.max()
    assert len(column.edges) > 5


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32, pl.Int64, pl.Int8])
def test_the_outer_bins_hold_no_row_of_the_reference(dtype):
    values = pl.Series("x", np.random.default_rng(2).normal(0, 30, 3_000).clip(-100, 100)).cast(dtype)
    frame = values.to_frame()
    binning = make_binning(frame)
    counts = profile(frame, binning)["counts"][-1]
    assert (counts[0], counts[-1]) == (0, 0)
    moved = profile(frame.select((pl.col("x").cast(pl.Float64) * 1.2).alias("x")), binning)["counts"][-1]
    assert (moved[0] > 0, moved[-1] > 0) == (True, True)


def test_wide_frames_are_binned_in_groups_of_columns():
    frame = pl.DataFrame({f"x{i}": np.arange(500.0) + i for i in range(230)})
    binning = make_binning(frame.lazy())
    assert list(binning.columns) == frame.columns
    assert [binning.columns[f"x{i}"].center for i in (0, 101, 229)] == [250.0, 351.0, 479.0]
