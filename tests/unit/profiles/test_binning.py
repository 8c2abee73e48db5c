import math

import polars as pl
import pytest

from ratoon.contracts.spec import Contract
from ratoon.errors import DataError, EmptyWindowError
from ratoon.identity import digest_bytes
from ratoon.profiles import Binning, ColumnBinning, make_binning


def _contract(**columns):
    typed = {
        name: ({"type": spec, "nullable": True} if isinstance(spec, str) else spec) for name, spec in columns.items()
    }
    keys = {"id": {"type": "int"}, "at": {"type": "datetime"}}
    return Contract(columns=keys | typed, entity_key=["id"], event_time="at")


def _frame(n, **columns):
    return pl.DataFrame({"id": range(n), "at": pl.Series([0] * n).cast(pl.Datetime("us", "UTC")), **columns})


def test_bins_of_a_continuous_column_hold_equal_shares_and_are_open_at_both_ends():
    binning = make_binning(_frame(1_001, x=[float(i) for i in range(1_001)]), _contract(x="float"), max_bins=4)
    assert binning.columns["x"].edges == [250.0, 500.0, 750.0]
    assert binning.columns["x"].n_bins == 4


def test_a_value_with_a_large_share_gets_a_bin_of_its_own():
    values = [0] * 800 + list(range(-100, 0)) + list(range(1, 101))
    edges = make_binning(_frame(1_000, x=values), _contract(x="int"), max_bins=10).columns["x"].edges
    assert edges == [-1.0, 0.0]


def test_values_below_a_minimum_with_a_large_share_can_be_told_from_it():
    contract = _contract(x="float", i="int")
    columns = make_binning(_frame(1_000, x=[5.0] * 1_000, i=[5] * 1_000), contract).columns
    assert columns["x"].edges == [math.nextafter(5.0, -math.inf), 5.0]
    assert columns["i"].edges == [4.0, 5.0]


def test_nulls_nan_and_infinity_make_no_edges():
    values = [None, math.nan, math.inf, -math.inf] * 250 + [float(i) for i in range(1_000)]
    edges = make_binning(_frame(2_000, x=values), _contract(x="float"), max_bins=2).columns["x"].edges
    assert edges in ([499.0], [500.0])


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


@pytest.mark.parametrize("text", ["not json", '{"version": 2, "columns": {}}', '{"columns": {"x": {"kind": "odd"}}}'])
def test_a_stored_binning_of_another_form_is_refused(text):
    with pytest.raises(DataError, match="binning can't be read"):
        Binning.from_json(text)
