"""What a contract may say."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from ratoon.contracts.spec import Column, Contract, label_contract
from ratoon.errors import ConfigError
from ratoon.identity import digest_json


def test_a_bound_takes_the_form_of_its_type_so_that_equal_contracts_have_one_digest() -> None:
    assert Column(type="int", min=5.0).min == 5
    assert isinstance(Column(type="int", min=5.0).min, int)
    assert isinstance(Column(type="float", max=5).max, float)
    assert Column(type="date", min=date(2013, 1, 1)).min == "2013-01-01"
    assert Column(type="datetime", min="2013-01-01").min == "2013-01-01T00:00:00Z"
    assert Column(type="datetime", min="2013-01-01T02:00:00+02:00").min == "2013-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("declaration", "complaint"),
    [
        ({"type": "int", "min": 1.5}, "a whole number"),
        ({"type": "string", "min": "a"}, "for numbers and times"),
        ({"type": "datetime", "max": "tomorrow"}, "isoformat"),
        ({"type": "datetime", "min": 3}, "an ISO time"),
        ({"type": "float", "min": float("nan")}, "finite"),
        ({"type": "int", "min": 3, "max": 1}, "no value could pass"),
        ({"type": "datetime", "min": "2013-01-01T00:00:00.5", "max": "2013-01-01"}, "no value could pass"),
        ({"type": "category", "allowed": [1]}, "put them in quotes"),
        ({"type": "float", "allowed": [1]}, "allowed is for"),
        ({"type": "int", "pattern": "a"}, "pattern is for"),
        ({"type": "int", "maximum": 1}, "Extra inputs"),
    ],
)
def test_a_column_that_contradicts_itself_is_refused(declaration: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Column.model_validate(declaration)


@pytest.mark.parametrize("name", ["_batch", "", "two\nlines", "a\x00b"])
def test_column_names_leave_room_for_our_own(make_contract: Any, name: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        make_contract({name: {"type": "int"}})


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"entity_key": ["nr"]}, "unknown columns"),
        ({"event_time": "id"}, "must have type datetime"),
        ({"entity_key": ["id", "id"]}, "more than once"),
        ({"columns": {"id": {"type": "int"}, "at": {"type": "datetime"}, "AT": {"type": "int"}}}, "more than once"),
        ({"columns": {"id": {"type": "int", "nullable": True}, "at": {"type": "datetime"}}}, "can't be nullable"),
        ({"rules": [{"name": "a", "check": "id > 1"}, {"name": "a", "check": "id > 2"}]}, "more than once"),
        ({"label": {"column": "id", "delay": "1d"}}, "is also a column"),
        ({"label": {"column": "late", "delay": "1d", "known_at": "at"}}, "is also a column"),
    ],
)
def test_a_contract_whose_names_clash_is_refused(make_contract: Any, more: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Contract.model_validate(make_contract().to_json() | more)


def test_a_contract_round_trips_through_json(make_contract: Any) -> None:
    contract = make_contract({"fare": {"type": "float", "min": 0}}, label={"column": "late", "delay": "1d"})
    again = Contract.model_validate(contract.to_json())
    assert again == contract
    assert digest_json(again.to_json()) == digest_json(contract.to_json())


def test_a_label_file_holds_key_label_and_when_it_became_known(make_contract: Any) -> None:
    label = {"column": "delay", "type": "int", "delay": "1d", "allowed": [0, 1], "known_at": "seen"}
    contract = label_contract(make_contract({"fare": {"type": "float"}}, label=label))
    assert list(contract.columns) == ["id", "delay", "seen"]
    assert contract.entity_key == ["id", "seen"]
    assert contract.event_time == "seen"
    assert contract.columns["delay"] == Column(type="int", allowed=[0, 1])


def test_a_dataset_without_a_label_has_no_label_contract(make_contract: Any) -> None:
    with pytest.raises(ConfigError, match="declares no label"):
        label_contract(make_contract())
