"""Good rows come out typed, bad rows come out with every reason, and none gets lost."""

import datetime as dt
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ratoon.contracts import Contract, Validation, frame_schema, replayable, validate
from ratoon.errors import ConfigError, SchemaMismatchError

AT = "2013-01-01T05:00:00Z"


def reasons(validation: Validation) -> dict[int, list[str]]:
    return dict(validation.quarantined.select("_row", "reasons").iter_rows())


@pytest.mark.parametrize(
    ("column", "good", "bad", "reason"),
    [
        ({"type": "int"}, "1", "1.5", "type:c"),
        ({"type": "int"}, "1", None, "null:c"),
        ({"type": "float"}, "1", "NaN", "null:c"),
        ({"type": "float", "nullable": True}, None, "-inf", "finite:c"),
        ({"type": "int", "min": 1}, "1", "0", "min:c"),
        ({"type": "float", "max": 1.5}, "1.5", "1.6", "max:c"),
        ({"type": "date", "min": "2013-01-01"}, "2013-01-01", "2012-12-31", "min:c"),
        ({"type": "datetime", "max": "2013-01-01"}, "2013-01-01", "2013-01-01 00:00:01", "max:c"),
        ({"type": "category", "allowed": ["a", "b"]}, "a", "A", "allowed:c"),
        ({"type": "int", "allowed": [1, 2]}, "2", "3", "allowed:c"),
        ({"type": "string", "pattern": "[A-Z]{3}|x"}, "EWR", "EWRx", "pattern:c"),
        ({"type": "bool"}, "true", "maybe", "type:c"),
    ],
)
def test_a_value_that_breaks_its_column_is_quarantined_with_the_reason(
    make_contract: Any, column: dict[str, Any], good: str | None, bad: str | None, reason: str
) -> None:
    frame = pl.DataFrame({"id": ["1", "2"], "at": [AT, AT], "c": [good, bad]})
    validation = validate(frame, make_contract({"c": column}))
    assert reasons(validation) == {1: [reason]}
    assert validation.kept["id"].to_list() == [1]
    assert validation.counts[reason] == 1
    assert sum(validation.counts.values()) == 1


def test_every_reason_of_a_row_is_told(make_contract: Any) -> None:
    columns = {"a": {"type": "int", "max": 5}, "b": {"type": "category", "allowed": ["x"]}, "c": {"type": "int"}}
    contract = make_contract(columns, rules=[{"name": "small", "check": "a < 3"}])
    frame = pl.DataFrame({"id": ["1"], "at": ["never"], "a": ["9"], "b": ["y"], "c": ["?"]})
    assert reasons(validate(frame, contract)) == {0: ["type:at", "max:a", "allowed:b", "type:c", "rule:small"]}


@pytest.mark.parametrize(("value", "is_kept"), [("1", True), ("9", False), (None, True)])
def test_a_rule_about_a_missing_value_lets_the_row_pass(make_contract: Any, value: str | None, is_kept: bool) -> None:
    contract = make_contract({"a": {"type": "int", "nullable": True}}, rules=[{"name": "small", "check": "a < 3"}])
    frame = pl.DataFrame({"id": ["1"], "at": [AT], "a": [value]}, schema_overrides={"a": pl.String})
    assert validate(frame, contract).kept.height == is_kept


def test_of_rows_with_one_key_the_first_stays(make_contract: Any) -> None:
    frame = pl.DataFrame({"id": [1, 2, 1, 1], "at": [AT] * 4, "c": [10, 20, 30, 40]})
    validation = validate(frame, make_contract({"c": {"type": "int"}}))
    assert validation.kept["c"].to_list() == [10, 20]
    assert reasons(validation) == {2: ["duplicate:entity_key"], 3: ["duplicate:entity_key"]}


def test_a_key_of_two_columns_repeats_only_as_a_whole(make_contract: Any) -> None:
    contract = make_contract({"leg": {"type": "int"}}, entity_key=["id", "leg"])
    frame = pl.DataFrame({"id": [1, 1, 1], "at": [AT] * 3, "leg": [1, 2, 1]})
    assert reasons(validate(frame, contract)) == {2: ["duplicate:entity_key"]}


def test_keys_that_could_not_be_read_are_no_duplicates_of_each_other(make_contract: Any) -> None:
    frame = pl.DataFrame({"id": ["x", "y"], "at": [AT] * 2})
    assert reasons(validate(frame, make_contract())) == {0: ["type:id"], 1: ["type:id"]}


def test_a_unique_column_keeps_the_first_of_equal_values_and_all_nulls(make_contract: Any) -> None:
    contract = make_contract({"seat": {"type": "string", "unique": True, "nullable": True}})
    frame = pl.DataFrame({"id": [1, 2, 3, 4], "at": [AT] * 4, "seat": ["a", None, "a", None]})
    assert reasons(validate(frame, contract)) == {2: ["unique:seat"]}


def test_the_kept_frame_has_the_contracts_columns_order_and_types(make_contract: Any) -> None:
    contract = make_contract(
        {"f": {"type": "float"}, "b": {"type": "bool"}, "c": {"type": "category"}, "d": {"type": "date"}},
        extra_columns="drop",
    )
    day = dt.date(2013, 1, 1)
    frame = pl.DataFrame({"d": [day], "more": [1], "c": ["x"], "b": [1], "f": [2], "at": [day], "id": ["7"]})
    kept = validate(frame, contract).kept
    assert kept.schema == frame_schema(contract)
    assert kept.row(0) == (7, dt.datetime(2013, 1, 1, tzinfo=dt.UTC), 2.0, True, "x", day)


def test_a_batch_without_rows_is_a_batch(make_contract: Any) -> None:
    contract = make_contract({"c": {"type": "string", "pattern": "a", "unique": True}})
    validation = validate(pl.DataFrame(schema={"id": pl.String, "at": pl.String, "c": pl.String}), contract)
    assert (validation.kept.height, validation.quarantined.height) == (0, 0)
    assert set(validation.counts.values()) == {0}


def test_nan_is_kept_as_null_where_null_is_allowed(make_contract: Any) -> None:
    contract = make_contract({"c": {"type": "float", "nullable": True, "max": 5}})
    for values in ([float("nan")], ["NaN"]):
        kept = validate(pl.DataFrame({"id": [1], "at": [AT], "c": values}), contract).kept
        assert kept["c"].is_null().to_list() == [True]


def test_the_quarantined_row_holds_every_value_as_it_came(make_contract: Any) -> None:
    columns = {name: {"type": kind} for name, kind in [("f", "float"), ("b", "bool"), ("s", "string"), ("d", "date")]}
    frame = pl.DataFrame(
        {
            "id": [2**60 + 1, None],
            "at": [dt.datetime(2013, 1, 1, 5), dt.datetime(2013, 1, 1, 6)],
            "f": [float("inf"), 0.1],
            "b": [True, None],
            "s": ['"é"\n', ""],
            "d": [dt.date(2013, 1, 1), None],
        }
    )
    rows = [json.loads(row) for row in validate(frame, make_contract(columns)).quarantined["row"]]
    assert rows[0] == {
        "id": 2**60 + 1,
        "at": "2013-01-01 05:00:00.000000",
        "f": "inf",
        "b": True,
        "s": '"é"\n',
        "d": "2013-01-01",
    }
    assert (rows[1]["id"], rows[1]["f"], rows[1]["s"]) == (None, "0.1", "")


def test_a_time_outside_the_calendar_is_quarantined_with_its_ticks(make_contract: Any) -> None:
    frame = pl.DataFrame({"id": [1], "at": pl.Series([2**62]).cast(pl.Datetime("ms"))})
    validation = validate(frame, make_contract())
    assert reasons(validation) == {0: ["type:at"]}
    assert json.loads(validation.quarantined["row"][0])["at"] == str(2**62)


def test_a_column_of_another_nature_is_a_mismatch_of_the_file(make_contract: Any) -> None:
    with pytest.raises(SchemaMismatchError, match=r"'id' holds List\(Int64\), which can't become int"):
        validate(pl.DataFrame({"id": [[1]], "at": [AT]}), make_contract())


def test_a_rule_that_fails_on_the_values_is_named(make_contract: Any) -> None:
    rules = [{"name": "fine", "check": "id > 0"}, {"name": "casts", "check": "CAST(s AS INT) > 0"}]
    contract = make_contract({"s": {"type": "string"}}, rules=rules)
    with pytest.raises(ConfigError, match=r"rule:casts can't be computed.*TRY_CAST"):
        validate(pl.DataFrame({"id": [1], "at": [AT], "s": ["a"]}), contract)


def test_a_row_that_the_contract_now_allows_is_replayed(make_contract: Any) -> None:
    strict, relaxed = (
        make_contract({"c": {"type": "float", "max": 5}}),
        make_contract({"c": {"type": "float", "max": 9}}),
    )
    frame = pl.DataFrame({"id": [1, 2, 3, 4], "at": [AT] * 4, "c": [1.0, 7.5, float("inf"), 10.0]})
    again = replayable(validate(frame, strict).quarantined, relaxed)
    assert again.kept["id"].to_list() == [2]
    assert again.kept["c"].to_list() == [7.5]
    assert reasons(again) == {1: ["finite:c", "max:c"], 2: ["max:c"]}
    assert json.loads(again.quarantined["row"][1])["id"] == 4


def test_a_copy_is_not_replayed_since_its_first_may_be_in_the_lake(make_contract: Any) -> None:
    frame = pl.DataFrame({"id": [1, 1, 2], "at": [AT, AT, "?"], "s": ["a", "b", "c"]})
    contract = make_contract({"s": {"type": "string"}})
    again = replayable(validate(frame, contract).quarantined, contract)
    assert again.kept.height == 0
    assert reasons(again) == {0: ["duplicate:entity_key"], 1: ["type:at"]}
    assert again.counts["duplicate:entity_key"] == 1


def test_a_replayed_row_gets_null_in_a_column_that_is_new(make_contract: Any) -> None:
    old = make_contract({"c": {"type": "int", "max": 5}})
    new = make_contract({"c": {"type": "int"}, "d": {"type": "string", "nullable": True}})
    quarantined = validate(pl.DataFrame({"id": [1], "at": [AT], "c": [7]}), old).quarantined
    assert replayable(quarantined, new).kept.row(0, named=True)["d"] is None


def test_an_empty_quarantine_replays_to_nothing(make_contract: Any) -> None:
    contract = make_contract()
    nothing = validate(pl.DataFrame({"id": [1], "at": [AT]}), contract).quarantined
    assert replayable(nothing, contract).kept.schema == frame_schema(contract)


TEXTS = st.one_of(
    st.none(), st.sampled_from(["1", "2", "-3", "1.5", "NaN", "inf", "a", "b", "", AT, "x y"]), st.text(max_size=4)
)
FLOATS = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
CONTRACT = Contract.model_validate(
    {
        "columns": {
            "id": {"type": "int", "min": -1},
            "at": {"type": "datetime"},
            "n": {"type": "float", "nullable": True, "max": 2, "unique": True},
            "t": {"type": "category", "nullable": True, "allowed": ["a", "b"]},
        },
        "entity_key": ["id"],
        "event_time": "at",
        "rules": [{"name": "r", "check": "n < id OR t = 'a'"}],
    }
)
FRAMES = st.lists(st.tuples(TEXTS, st.one_of(st.just(AT), TEXTS), FLOATS, TEXTS), max_size=12).map(
    lambda rows: pl.DataFrame(
        rows, schema={"id": pl.String, "at": pl.String, "n": pl.Float64, "t": pl.String}, orient="row"
    )
)


@settings(max_examples=40, deadline=None)
@given(FRAMES)
def test_no_row_gets_lost_whatever_it_holds(frame: pl.DataFrame) -> None:
    validation = validate(frame, CONTRACT)
    assert validation.kept.height + validation.quarantined.height == frame.height
    bad = validation.quarantined["_row"].to_list()
    assert bad == sorted(set(bad))
    assert all(validation.quarantined["reasons"].list.len() > 0)
    assert sum(validation.counts.values()) == validation.quarantined["reasons"].list.len().sum()
    for row, text in zip(bad, validation.quarantined["row"], strict=True):
        assert json.loads(text)["id"] == frame["id"][row]
        assert json.loads(text)["t"] == frame["t"][row]


@settings(max_examples=25, deadline=None)
@given(FRAMES)
def test_what_was_kept_keeps_the_contract(frame: pl.DataFrame) -> None:
    kept = validate(frame, CONTRACT).kept
    again = validate(kept, CONTRACT)
    assert again.quarantined.height == 0
    assert_frame_equal(again.kept, kept)


@settings(max_examples=25, deadline=None)
@given(FRAMES)
def test_a_replay_under_the_same_contract_changes_no_reason(frame: pl.DataFrame) -> None:
    quarantined = validate(frame, CONTRACT).quarantined
    again = replayable(quarantined, CONTRACT)
    assert again.kept.height == 0
    assert again.quarantined["row"].to_list() == quarantined["row"].to_list()
    assert again.quarantined["reasons"].to_list() == quarantined["reasons"].to_list()
