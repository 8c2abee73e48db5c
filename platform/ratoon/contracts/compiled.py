"""A contract as polars expressions: one that is true for each way in which a row can break it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from ratoon.contracts.casts import DTYPES
from ratoon.contracts.spec import Bound, Column, Contract, DType, Rule
from ratoon.errors import ConfigError, SchemaMismatchError

DUPLICATE_KEY = "duplicate:entity_key"
_MARK = "\x00"
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One way in which a row can break its contract.

    Attributes:
        reason: What a quarantined row says, for example ``min:distance`` or ``rule:arrives_after``.
        failed: Boolean expression over the typed columns and their ``missing`` flags; null counts as false.
    """

    reason: str
    failed: pl.Expr

    @property
    def flag(self) -> str:
        """Name of the working column that holds the outcome; no contract column can have it."""
        return _MARK + self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledContract:
    """A contract whose patterns and rules are known to work on its columns.

    Attributes:
        contract: What was compiled.
        schema: The kept frame's columns and canonical types, in order.
        checks: Every check, in the order in which reasons are listed.
    """

    contract: Contract
    schema: pl.Schema
    checks: tuple[Check, ...]


def frame_schema(contract: Contract) -> pl.Schema:
    """Return the columns and polars types of a frame that keeps a contract, in the contract's order."""
    return pl.Schema({name: DTYPES[column.type] for name, column in contract.columns.items()})


def compile_contract(contract: Contract) -> CompiledContract:
    """Compile a contract to polars expressions and prove that they work on its columns.

    Raises:
        ConfigError: A pattern or a rule is not valid; the message names it and lists the columns.
    """
    schema = frame_schema(contract)
    checks = [check for name, column in contract.columns.items() for check in _column_checks(name, column)]
    keys = pl.struct(contract.entity_key) if len(contract.entity_key) > 1 else pl.col(contract.entity_key[0])
    checks.append(Check(reason=DUPLICATE_KEY, failed=_repeats(keys, contract.entity_key)))
    checks += [Check(reason=f"rule:{rule.name}", failed=_compile_rule(rule, schema)) for rule in contract.rules]
    return CompiledContract(contract=contract, schema=schema, checks=tuple(checks))


def match_columns(found: Sequence[str], contract: Contract, where: str) -> None:
    """Check that columns are those of a contract, in any order.

    Args:
        found: The columns that are there.
        contract: What they must be; more are taken when it says ``extra_columns: drop``.
        where: What holds them, for the message.

    Raises:
        SchemaMismatchError: A column is missing, or there is one too many.
    """
    missing = [name for name in contract.columns if name not in found]
    extra = [name for name in found if name not in contract.columns] if contract.extra_columns == "refuse" else []
    if missing or extra:
        complaints = [f"lacks {_listed(missing)}"] if missing else []
        complaints += [f"has {_listed(extra)}, which the contract does not know"] if extra else []
        raise SchemaMismatchError(
            f"{where} {' and '.join(complaints)}; expected {_listed(list(contract.columns))}. "
            "Send the expected columns, or change the contract (`extra_columns: drop` ignores further ones)"
        )


def missing_flag(name: str) -> str:
    """Return the working column that says where a column held no value in the file."""
    return f"{_MARK}missing:{name}"


def _column_checks(name: str, column: Column) -> Iterator[Check]:
    value, missing = pl.col(name), pl.col(missing_flag(name))
    yield Check(reason=f"type:{name}", failed=value.is_null() & ~missing)
    if not column.nullable:
        yield Check(reason=f"null:{name}", failed=missing)
    if column.type == "float":
        yield Check(reason=f"finite:{name}", failed=value.is_infinite())
    if column.min is not None:
        yield Check(reason=f"min:{name}", failed=value < _literal(column.min, column.type))
    if column.max is not None:
        yield Check(reason=f"max:{name}", failed=value > _literal(column.max, column.type))
    if column.allowed is not None:
        yield Check(reason=f"allowed:{name}", failed=~value.is_in(column.allowed))
    if column.pattern is not None:
        yield Check(reason=f"pattern:{name}", failed=~_compile_pattern(name, column.pattern))
    if column.unique:
        yield Check(reason=f"unique:{name}", failed=_repeats(value, [name]))


def _repeats(value: pl.Expr, columns: list[str]) -> pl.Expr:
    is_present = pl.all_horizontal(pl.col(name).is_not_null() for name in columns)
    return ~value.is_first_distinct() & is_present


def _literal(bound: Bound, kind: DType) -> pl.Expr:
    if not isinstance(bound, str):
        return pl.lit(bound)
    return pl.lit(date.fromisoformat(bound) if kind == "date" else datetime.fromisoformat(bound), dtype=DTYPES[kind])


def _compile_pattern(name: str, pattern: str) -> pl.Expr:
    matches = pl.col(name).str.contains(rf"\A(?:{pattern})\z")
    try:
        pl.DataFrame({name: ["any text"]}).select(matches)
    except pl.exceptions.PolarsError as exc:
        raise ConfigError(
            f"pattern of column {name!r} is not a regular expression: {pattern!r} ({_shortened(exc)}); "
            "write it in Rust's syntax (https://docs.rs/regex), which has no look-around or back-references"
        ) from exc
    return matches


def _compile_rule(rule: Rule, schema: pl.Schema) -> pl.Expr:
    try:
        expression = pl.sql_expr(rule.check)
        outcome = (
            pl.DataFrame({name: [None, None] for name in schema}, schema=schema).lazy().select(ok=expression).collect()
        )
    except pl.exceptions.PolarsError as exc:
        raise _rule_error(rule, schema, _shortened(exc)) from exc
    if outcome.schema["ok"] not in (pl.Boolean, pl.Null):
        raise _rule_error(rule, schema, f"it gives {outcome.schema['ok']}, not true or false")
    if outcome.height != 2 or not expression.meta.root_names():
        raise _rule_error(rule, schema, "it gives one answer for the whole batch, not one per row")
    return ~expression.fill_null(value=True)


def _rule_error(rule: Rule, schema: pl.Schema, complaint: str) -> ConfigError:
    columns = ", ".join(f"{name} ({dtype})" for name, dtype in schema.items())
    return ConfigError(
        f"rule {rule.name!r} can't be used: {rule.check!r}: {complaint}; "
        f"write a SQL expression that is true for a good row, over the columns {columns}"
    )


def _shortened(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
