"""Validate a batch against its contract: good rows typed, bad rows kept as text with every reason."""

from dataclasses import dataclass

import polars as pl

from ratoon.contracts.casts import cast_column, in_calendar
from ratoon.contracts.compiled import Check, CompiledContract, compile_contract, match_columns, missing_flag
from ratoon.contracts.spec import Contract
from ratoon.errors import ConfigError, DataError, SchemaMismatchError

QUARANTINE_SCHEMA = pl.Schema({"_row": pl.UInt32(), "row": pl.String(), "reasons": pl.List(pl.String())})
"""A quarantined row: its 0-based number in the batch, its original values as JSON text, and why it is bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """A batch, parted into good and bad rows: ``kept.height + quarantined.height`` is the batch's height.

    Attributes:
        kept: The contract's columns in their order and canonical types; rows in the batch's order; nulls only
            where a column is nullable; times in UTC.
        quarantined: :data:`QUARANTINE_SCHEMA`, in the batch's order; ``reasons`` is never empty.
        counts: Rows per reason, for every check of the contract in its order, 0 included. A row with two
            reasons counts in both.
    """

    kept: pl.DataFrame
    quarantined: pl.DataFrame
    counts: dict[str, int]


def validate(frame: pl.DataFrame, contract: Contract) -> Validation:
    """Part a batch into rows that keep a contract and rows that do not.

    Casts lose nothing (see :mod:`ratoon.contracts.casts`); NaN counts as null; a time without a zone is UTC.
    Of rows with the same entity key, and of equal values in a ``unique`` column, the first in the batch is the
    one that may stay. A rule that gives null lets the row pass.

    Args:
        frame: The batch as :func:`~ratoon.contracts.reading.read_batch` gives it: any types.
        contract: What it must hold.

    Raises:
        SchemaMismatchError: Columns are missing, too many, or of a type that can never become the contract's.
        ConfigError: A rule or pattern does not compile, or a rule fails on this batch's values.
    """
    match_columns(frame.columns, contract, "the batch")
    compiled = compile_contract(contract)
    raw = frame.select(compiled.schema.names())
    judged = _judge(raw, compiled)
    counts = judged.select(pl.col(check.flag).sum().alias(check.reason) for check in compiled.checks).row(0, named=True)
    broken = [check for check in compiled.checks if counts[check.reason]]
    kept = judged.select(compiled.schema.names())
    if not broken:
        return Validation(kept=kept, quarantined=QUARANTINE_SCHEMA.to_frame(), counts=counts)
    is_bad = judged.select(pl.any_horizontal(check.flag for check in broken)).to_series()
    quarantined = _quarantine(raw, judged, broken, is_bad)
    return Validation(kept=kept.filter(~is_bad), quarantined=quarantined, counts=counts)


def replayable(quarantine: pl.DataFrame, contract: Contract) -> Validation:
    """Validate quarantined rows again, under the contract as it is now.

    A row that was quarantined as a copy of another (``duplicate:`` or ``unique:``) stays: the batch that held
    both is not at hand. Columns that the row lacks are null.

    Args:
        quarantine: ``row`` (JSON text) and ``reasons``, as :class:`Validation` or the lake holds them.
        contract: The present contract.

    Returns:
        A validation whose ``_row`` is the row's 0-based position in ``quarantine``; ``row`` is unchanged.

    Raises:
        ConfigError: As :func:`validate`.
    """
    is_copy = pl.col("reasons").list.eval(pl.element().str.contains("^(duplicate|unique):")).list.any()
    numbered = quarantine.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("_row"), "row", "reasons")
    copies, rest = numbered.filter(is_copy), numbered.filter(~is_copy)
    as_text = pl.Struct(dict.fromkeys(contract.columns, pl.String))
    again = validate(rest["row"].str.json_decode(as_text).struct.unnest(), contract)
    still_bad = rest.select("_row", "row")[again.quarantined["_row"]].with_columns(again.quarantined["reasons"])
    counts = dict(again.counts)
    for reason in copies["reasons"].explode().drop_nulls():
        counts[reason] = counts.get(reason, 0) + 1
    return Validation(kept=again.kept, quarantined=pl.concat([still_bad, copies]).sort("_row"), counts=counts)


def _judge(raw: pl.DataFrame, compiled: CompiledContract) -> pl.DataFrame:
    """Return the typed columns and one Boolean column per check, in one pass."""
    typed: list[pl.Expr] = []
    for name, column in compiled.contract.columns.items():
        cast = cast_column(name, raw.schema[name], column.type)
        if cast is None:
            raise SchemaMismatchError(
                f"column {name!r} holds {raw.schema[name]}, which can't become {column.type}; "
                f"write it as {column.type} or as text, or change the column's type in the contract"
            )
        typed += [cast.value, cast.missing.alias(missing_flag(name))]
    judged = raw.lazy().select(typed).with_columns(_flag(check) for check in compiled.checks)
    try:
        return judged.collect()
    except pl.exceptions.PolarsError as exc:
        raise _explain(raw.lazy().select(typed), compiled, exc) from exc


def _flag(check: Check) -> pl.Expr:
    return check.failed.fill_null(value=False).alias(check.flag)


def _explain(typed: pl.LazyFrame, compiled: CompiledContract, error: Exception) -> ConfigError | DataError:
    rows = typed.collect().lazy()
    for check in compiled.checks:
        try:
            rows.select(_flag(check)).collect()
        except pl.exceptions.PolarsError as exc:
            return ConfigError(
                f"{check.reason} can't be computed on this batch: {_without_values(exc)}; "
                "a rule must give an answer for every row (TRY_CAST gives null where CAST fails)"
            )
    return DataError(f"the batch can't be validated: {_without_values(error)}")


def _without_values(error: Exception) -> str:
    # polars quotes the values at fault, which may be personal data.
    return str(error).partition("\n")[0].partition(" values: [")[0][:300]


def _quarantine(raw: pl.DataFrame, judged: pl.DataFrame, broken: list[Check], is_bad: pl.Series) -> pl.DataFrame:
    reasons = pl.concat_list(pl.when(check.flag).then(pl.lit(check.reason)) for check in broken).list.drop_nulls()
    return pl.DataFrame(
        [
            is_bad.arg_true().cast(pl.UInt32).alias("_row"),
            _as_json(raw.filter(is_bad)),
            judged.filter(is_bad).select(reasons.alias("reasons")).to_series(),
        ]
    )


def _as_json(rows: pl.DataFrame) -> pl.Series:
    """Return each row as JSON text that loses no value: JSON has no NaN, no infinity and no times."""
    fields = [_as_json_value(rows, name, dtype) for name, dtype in rows.schema.items()]
    return rows.select(pl.struct(fields).struct.json_encode().alias("row")).to_series()


def _as_json_value(rows: pl.DataFrame, name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype.is_float() and not rows.select(column.is_finite().all()).item():
        return column.cast(pl.String)
    if dtype in (pl.Date, pl.Datetime):
        # What lies outside the calendar has no notation, so its count of ticks is kept.
        return in_calendar(column, dtype).dt.to_string("iso").fill_null(column.to_physical().cast(pl.String))
    return column
