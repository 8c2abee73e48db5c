"""A contract is proven to work before any batch meets it."""

from typing import Any

import pytest

from ratoon.contracts import compile_contract
from ratoon.contracts.compiled import match_columns
from ratoon.errors import ConfigError, SchemaMismatchError


@pytest.mark.parametrize(
    ("check", "complaint"),
    [
        ("fare > tip", "unable to find column"),
        ("fare > 1 AND", "unable to parse"),
        ("fare", "gives Float64, not true or false"),
        ("SUM(fare) > 1", "one answer for the whole batch"),
        ("1 = 1", "one answer for the whole batch"),
        ("fare > (SELECT 1)", "not allowed"),
        ("fare > 'a'", "cannot compare"),
        ("town ~ '('", "unclosed group"),
        ("read_csv('x') > 1", "unsupported function"),
    ],
)
def test_a_rule_that_cannot_work_is_named_with_the_columns_it_may_use(
    make_contract: Any, check: str, complaint: str
) -> None:
    columns = {"fare": {"type": "float"}, "town": {"type": "string"}}
    contract = make_contract(columns, rules=[{"name": "broken", "check": check}])
    with pytest.raises(ConfigError, match=complaint) as caught:
        compile_contract(contract)
    for part in ("'broken'", "id (Int64)", "fare (Float64)", "town (String)"):
        assert part in caught.value.message


def test_a_pattern_that_is_no_regular_expression_is_named(make_contract: Any) -> None:
    with pytest.raises(ConfigError, match=r"'town'.*look-around"):
        compile_contract(make_contract({"town": {"type": "string", "pattern": "(?=x)"}}))


def test_checks_come_in_the_order_of_the_contract(make_contract: Any) -> None:
    columns = {"fare": {"type": "float", "min": 0, "max": 9}, "town": {"type": "category", "nullable": True}}
    rules = [{"name": "cheap", "check": "fare < 5 OR town IN ('a', 'b')"}]
    reasons = [check.reason for check in compile_contract(make_contract(columns, rules=rules)).checks]
    assert reasons == [
        *("type:id", "null:id", "type:at", "null:at"),
        *("type:fare", "null:fare", "finite:fare", "min:fare", "max:fare", "type:town"),
        *("duplicate:entity_key", "rule:cheap"),
    ]


def test_columns_match_in_any_order(make_contract: Any) -> None:
    match_columns(["at", "id"], make_contract(), "it")


def test_a_mismatch_names_what_is_missing_and_what_is_too_much(make_contract: Any) -> None:
    with pytest.raises(SchemaMismatchError, match=r"a.csv lacks 'at' and has 'seat'.*expected 'id', 'at'"):
        match_columns(["id", "seat"], make_contract(), "a.csv")


def test_further_columns_pass_where_the_contract_drops_them(make_contract: Any) -> None:
    match_columns(["id", "at", "seat"], make_contract(extra_columns="drop"), "a.csv")


def test_the_message_about_a_thousand_columns_stays_short(make_contract: Any) -> None:
    with pytest.raises(SchemaMismatchError, match="and 980 more") as caught:
        match_columns(["id", "at", *(f"c{n}" for n in range(1000))], make_contract(), "a.csv")
    assert len(caught.value.message) < 1_000
