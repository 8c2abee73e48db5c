"""A cast keeps a value or gives null; it never changes one."""

import datetime as dt
from typing import Any

import polars as pl
import pytest

from ratoon.contracts.casts import DTYPES, cast_column
from ratoon.contracts.spec import DType

UTC = dt.UTC
FIVE = dt.datetime(2013, 1, 1, 5, tzinfo=UTC)


def cast(values: pl.Series, target: DType) -> list[Any]:
    found = cast_column("c", values.dtype, target)
    assert found is not None
    typed = values.to_frame("c").select(found.value).to_series()
    assert typed.dtype == DTYPES[target]
    return typed.to_list()


@pytest.mark.parametrize(
    ("target", "text", "value"),
    [
        ("int", "7", 7),
        ("int", "7.0", 7),
        ("int", "1e3", 1000),
        ("int", "1.5", None),
        ("int", " 7", None),
        ("int", "9007199254740993", 9007199254740993),
        ("int", "9007199254740993.0", None),
        ("int", "99999999999999999999", None),
        ("float", "1.5", 1.5),
        ("float", "1,5", None),
        ("bool", "TRUE", True),
        ("bool", "0", False),
        ("bool", "yes", None),
        ("string", "", ""),
        ("date", "2013-01-01", dt.date(2013, 1, 1)),
        ("date", "2013-01-01 00:00:00", dt.date(2013, 1, 1)),
        ("date", "2013-01-01 05:00:00", None),
        ("date", "01/02/2013", None),
        ("datetime", "2013-01-01T05:00:00Z", FIVE),
        ("datetime", "2013-01-01 05:00:00", FIVE),
        ("datetime", "2013-01-01T05:00", FIVE),
        ("datetime", "2013-01-01T00:00:00.000000-05:00", FIVE),
        ("datetime", "2013-01-01 07:00:00 +0200", FIVE),
        ("datetime", "2013-01-01T05:00:00.25", FIVE.replace(microsecond=250_000)),
        ("datetime", "2013-01-01", dt.datetime(2013, 1, 1, tzinfo=UTC)),
        ("datetime", "01/02/2013", None),
        ("datetime", "1357016400", None),
        ("datetime", "2013-13-01 00:00:00", None),
    ],
)
def test_text_has_one_notation_per_type(target: DType, text: str, value: Any) -> None:
    assert cast(pl.Series([text]), target) == [value]


def test_each_time_of_a_mixed_column_is_read_by_its_own_notation() -> None:
    texts = pl.Series(
        ["2013-01-01 05:00:00", None, "2013-01-01T05:00:00Z", "junk", "2013-01-01T07:00:00+02:00", "2013-01-01"]
    )
    assert cast(texts, "datetime") == [FIVE, None, FIVE, None, FIVE, dt.datetime(2013, 1, 1, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("values", "target", "expected"),
    [
        (pl.Series([1.0, 1.5, float("inf"), float("nan"), 1e30, None]), "int", [1, None, None, None, None, None]),
        (pl.Series([2**64 - 1, 1], dtype=pl.UInt64), "int", [None, 1]),
        (pl.Series([True, False]), "int", [1, 0]),
        (pl.Series([0, 1, 2, None]), "bool", [False, True, None, None]),
        (pl.Series([1, 2]), "float", [1.0, 2.0]),
        (pl.Series([1, 2]), "string", ["1", "2"]),
        (pl.Series(["a"], dtype=pl.Categorical), "category", ["a"]),
        (pl.Series([None]), "float", [None]),
        (pl.Series([dt.datetime(2013, 1, 1), dt.datetime(2013, 1, 1, 5)]), "date", [dt.date(2013, 1, 1), None]),
        (pl.Series([dt.date(2013, 1, 1)]), "datetime", [dt.datetime(2013, 1, 1, tzinfo=UTC)]),
        (pl.Series([dt.datetime(2013, 1, 1, 5)]), "datetime", [FIVE]),
        (pl.Series([dt.datetime(2013, 1, 1)]).dt.replace_time_zone("America/New_York"), "datetime", [FIVE]),
    ],
)
def test_a_cast_loses_nothing(values: pl.Series, target: DType, expected: list[Any]) -> None:
    assert cast(values, target) == expected


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_a_time_outside_the_calendar_has_no_value(unit: Any) -> None:
    wild = pl.Series([2**62, -(2**62), 0]).cast(pl.Datetime(unit))
    assert cast(wild, "datetime") == [None, None, dt.datetime(1970, 1, 1, tzinfo=UTC)]


def test_the_ends_of_the_calendar_are_in_it() -> None:
    ends = [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)]
    assert cast(pl.Series(ends), "datetime") == [end.replace(tzinfo=UTC) for end in ends]
    assert cast(pl.Series([dt.date.min, dt.date.max]), "date") == [dt.date.min, dt.date.max]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (pl.List(pl.Int64), "int"),
        (pl.Binary(), "string"),
        (pl.Float64(), "string"),
        (pl.Int64(), "datetime"),
        (pl.Date(), "int"),
        (pl.Struct({"a": pl.Int64}), "string"),
    ],
)
def test_types_that_mean_something_else_have_no_cast(source: pl.DataType, target: DType) -> None:
    assert cast_column("c", source, target) is None


@pytest.mark.parametrize(("values", "flags"), [([1.0, float("nan"), None], [False, True, True])])
def test_nan_counts_as_missing(values: list[float], flags: list[bool]) -> None:
    for series in (pl.Series(values), pl.Series([None if v is None else str(v) for v in values])):
        found = cast_column("c", series.dtype, "float")
        assert found is not None
        assert series.to_frame("c").select(found.missing).to_series().to_list() == flags
