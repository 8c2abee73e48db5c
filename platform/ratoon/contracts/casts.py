"""Casts from what a file holds to a contract's types, where nothing may change on the way.

A cast keeps the value or gives null: 1.5 does not become 1, a time does not become its day. Text follows one
notation per type (ISO 8601 for times), never a guess from the first rows, so that a batch reads the same
whatever stands beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import polars as pl

from ratoon.contracts.spec import DType

_EXACT_INTEGERS = 2**53
_FIRST_DAY, _LAST_DAY = (date.min - date(1970, 1, 1)).days, (date.max - date(1970, 1, 1)).days
_TICKS_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}

DTYPES: dict[DType, pl.DataType] = {
    "int": pl.Int64(),
    "float": pl.Float64(),
    "bool": pl.Boolean(),
    "string": pl.String(),
    "category": pl.String(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us", "UTC"),
}
"""The canonical polars type of each contract type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """How one column becomes its contract's type.

    Attributes:
        value: The column in its canonical type; null where the value has no place in it.
        missing: True where the file holds no value (null, or NaN in a float column).
        can_fail: False when the file's type is the contract's, so that no value can be lost.
    """

    value: pl.Expr
    missing: pl.Expr
    can_fail: bool


def cast_column(name: str, source: pl.DataType, target: DType) -> Cast | None:
    """Return how a column of one polars type becomes a contract's type, or None where that makes no sense."""
    text = source in (pl.String, pl.Categorical) or isinstance(source, pl.Enum)
    column = pl.col(name).cast(pl.String) if text and source != pl.String else pl.col(name)
    if source == pl.Null:
        return Cast(value=column.cast(DTYPES[target]), missing=pl.lit(value=True), can_fail=False)
    value = _PARSERS[target](column) if text else _CONVERTERS[target](column, source)
    if value is None:
        return None
    missing = _missing(column, value, source, target)
    if target == "float":
        value = value.fill_nan(None)
    return Cast(value=value.alias(name), missing=missing, can_fail=source != DTYPES[target] or source.is_temporal())


def _missing(column: pl.Expr, value: pl.Expr, source: pl.DataType, target: DType) -> pl.Expr:
    if source.is_float():
        return column.is_null() | column.is_nan().fill_null(value=False)
    if target == "float":
        return column.is_null() | value.is_nan().fill_null(value=False)
    return column.is_null()


def _convert_to_int(column: pl.Expr, source: pl.DataType) -> pl.Expr | None:
    if source.is_integer() or source == pl.Boolean:
        return column.cast(pl.Int64, strict=False)
    return _whole(column.cast(pl.Float64)) if source.is_numeric() else None


def _convert_to_float(column: pl.Expr, source: pl.DataType) -> pl.Expr | None:
    return column.cast(pl.Float64) if source.is_numeric() or source == pl.Boolean else None


def _convert_to_bool(column: pl.Expr, source: pl.DataType) -> pl.Expr | None:
    if source == pl.Boolean:
        return column
    return pl.when(column.is_in([0, 1])).then(column == 1) if source.is_numeric() else None


def _convert_to_text(column: pl.Expr, source: pl.DataType) -> pl.Expr | None:
    # Not floats: 1 and 1.0 would be two keys.
    return column.cast(pl.String) if source.is_integer() or source == pl.Boolean else None


def _convert_to_date(column: pl.Expr, source: pl.DataType) -> pl.Expr | None:
    if source == pl.Date:
        return in_calendar(column, source)
    instant = _convert_to_datetime(column, source)
    return None if instant is None else _midnight(instant)


def _convert_to_datetime(column: pl.Expr, source: pl.DataType) -> pl.Expr | None:
    if source == pl.Date:
        return in_calendar(column, source).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if not isinstance(source, pl.Datetime):
        return None
    known = in_calendar(column, source)
    # A time without a zone is taken as UTC: a guess by the machine's own zone would differ between machines.
    zoned = known.dt.replace_time_zone("UTC") if source.time_zone is None else known.dt.convert_time_zone("UTC")
    return zoned.cast(DTYPES["datetime"])


def in_calendar(column: pl.Expr, source: pl.DataType) -> pl.Expr:
    """Return a Date or Datetime column with null where the year is not 1 to 9999.

    Python's calendar ends there, polars panics when it prints or converts what lies far outside, and such a
    time is nearly always a mistaken unit.
    """
    ticks = _TICKS_A_DAY[source.time_unit] if isinstance(source, pl.Datetime) else 1
    first, last = max(_FIRST_DAY * ticks, -(2**63)), min((_LAST_DAY + 1) * ticks - 1, 2**63 - 1)
    return pl.when(column.to_physical().is_between(first, last)).then(column)


def _whole(number: pl.Expr) -> pl.Expr:
    is_exact = (number == number.floor()) & (number.abs() < _EXACT_INTEGERS)
    return pl.when(is_exact).then(number).cast(pl.Int64, strict=False)


def _midnight(instant: pl.Expr) -> pl.Expr:
    return pl.when(instant.dt.time() == pl.time(0, 0)).then(instant.dt.date())


def _parse_int(text: pl.Expr) -> pl.Expr:
    return pl.coalesce(text.cast(pl.Int64, strict=False), _whole(text.cast(pl.Float64, strict=False)))


def _parse_float(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Float64, strict=False)


def _parse_bool(text: pl.Expr) -> pl.Expr:
    return text.str.to_lowercase().replace_strict(_BOOLEANS, default=None, return_dtype=pl.Boolean)


def _parse_date(text: pl.Expr) -> pl.Expr:
    return _midnight(_parse_datetime(text))


def _parse_datetime(text: pl.Expr) -> pl.Expr:
    instant = text.map_batches(_parse_instants, return_dtype=DTYPES["datetime"], is_elementwise=True)
    return in_calendar(instant, DTYPES["datetime"])


def _parse_instants(texts: pl.Series) -> pl.Series:
    """Return ISO 8601 texts as UTC instants; what is not ISO becomes null.

    Each notation costs a whole parse, so the one that fits the most of a sample goes first and the others see
    only what it left.
    """
    texts = texts.str.replace(" ", "T", literal=True)
    sample = texts.drop_nulls().head(_SAMPLE)
    notations = sorted(_NOTATIONS, key=lambda parse: parse(sample).null_count())
    found = notations[0](texts)
    for parse in notations[1:]:
        left = (found.is_null() & texts.is_not_null()).arg_true()
        if left.is_empty():
            return found
        found = found.scatter(left, parse(texts.gather(left)))
    return found


def _notation(pattern: str) -> Callable[[pl.Series], pl.Series]:
    return lambda texts: texts.str.to_datetime(pattern, time_unit="us", time_zone="UTC", strict=False)


def _without_seconds(texts: pl.Series) -> pl.Series:
    whole = texts.str.replace(r"^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2})(Z|[+-]\d{2}:?\d{2})?$", "${1}:00${2}")
    return _with_zone(whole).zip_with(
        whole.str.contains(r"(Z|[+-]\d{2}:?\d{2})$").fill_null(value=False), _naive(whole)
    )


_SAMPLE = 100
_naive = _notation("%Y-%m-%dT%H:%M:%S%.f")
_with_zone = _notation("%Y-%m-%dT%H:%M:%S%.f%#z")
_NOTATIONS = (_notation("%Y-%m-%dT%H:%M:%SZ"), _naive, _with_zone, _notation("%Y-%m-%d"), _without_seconds)
_PARSERS: dict[DType, Callable[[pl.Expr], pl.Expr]] = {
    "int": _parse_int,
    "float": _parse_float,
    "bool": _parse_bool,
    "string": lambda text: text,
    "category": lambda text: text,
    "date": _parse_date,
    "datetime": _parse_datetime,
}
_CONVERTERS: dict[DType, Callable[[pl.Expr, pl.DataType], pl.Expr | None]] = {
    "int": _convert_to_int,
    "float": _convert_to_float,
    "bool": _convert_to_bool,
    "string": _convert_to_text,
    "category": _convert_to_text,
    "date": _convert_to_date,
    "datetime": _convert_to_datetime,
}
