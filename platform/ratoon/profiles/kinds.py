"""What is profiled of a column, by its declaration or its dtype."""

from collections.abc import Collection
from typing import Final, Literal, NamedTuple

import polars as pl

from ratoon.contracts.spec import Contract
from ratoon.errors import SchemaMismatchError

Kind = Literal["numeric", "category", "identifier", "time", "key"]
"""What is profiled of a column, besides rows and nulls.

numeric: counts in bins, moments, range · category: counts of the listed values, the rest and its rare mass ·
identifier: how many distinct values · time: range, hours of the day, weekdays · key: range (and hours and weekdays of
a time); it names rows, and is never judged.
"""

JOINT: Final = "*"
"""The name of the joint row; no column may have it."""

TEXT: Final = ("string", "category")
TIMES: Final = ("date", "datetime", "time", "duration")


class Role(NamedTuple):
    """What a column is."""

    kind: Kind
    type: str
    pii: bool


def roles(
    schema: pl.Schema, contract: Contract | None, *, keys: Collection[str] = (), pii: Collection[str] = ()
) -> dict[str, Role]:
    """Return what each column is: those of the contract, or without one every column of the frame.

    Raises:
        SchemaMismatchError: A column can't be counted, or one that was named is missing.
    """
    wanted = list(schema) if contract is None else list(contract.columns)
    missing = sorted({*wanted, *keys, *pii} - set(schema))
    if missing:
        raise SchemaMismatchError(f"the frame lacks columns {missing}; it has {list(schema)[:20]}")
    if JOINT in wanted:
        raise SchemaMismatchError(f"a column is named {JOINT!r}, the name of the joint row of a profile; rename it")
    declared: dict[str, tuple[str, bool]] = (
        {}
        if contract is None
        else {name: (column.type, column.pii or name in pii) for name, column in contract.columns.items()}
    )
    named = {*keys, *(() if contract is None else (*contract.entity_key, contract.event_time))}
    found: dict[str, Role] = {}
    for name in wanted:
        type_, is_pii = declared.get(name) or (type_of(name, schema[name]), name in pii)
        found[name] = Role("key" if name in named else _kind(type_, is_pii=is_pii), type_, is_pii)
    return found


def _kind(type_: str, *, is_pii: bool) -> Kind:
    if type_ in TIMES:
        return "time"
    if type_ in ("int", "float"):
        return "numeric"
    return "identifier" if is_pii and type_ != "bool" else "category"


def type_of(name: str, dtype: pl.DataType) -> str:
    """Return a contract's word for a dtype.

    Raises:
        SchemaMismatchError: Values of the dtype can't be counted.
    """
    if dtype.is_integer():
        return "int"
    if dtype.is_float() or dtype.is_decimal():
        return "float"
    found = _TYPES.get(dtype.base_type())
    if found is None:
        raise SchemaMismatchError(
            f"column {name!r} has dtype {dtype}, which can't be profiled; select or unnest its parts as columns of "
            "numbers, text, booleans or times, or leave it out"
        )
    return found


_TYPES: Final[dict[type[pl.DataType], str]] = {
    pl.Boolean: "bool",
    pl.String: "string",
    pl.Categorical: "category",
    pl.Enum: "category",
    pl.Null: "string",
    pl.Date: "date",
    pl.Datetime: "datetime",
    pl.Time: "time",
    pl.Duration: "duration",
}
