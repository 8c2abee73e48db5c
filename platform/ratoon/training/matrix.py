"""From raw rows to the numbers that an estimator takes, and the contract that makes it the same every time."""

import re
from collections.abc import Sequence
from typing import Final, Literal

import polars as pl
from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.errors import RatoonError, TrainingError
from ratoon.training.features import FeatureFunction

ROW: Final = "_row"
"""Row index that Ratoon adds before the feature function and looks for after it."""

MAX_CATEGORIES: Final = 10_000
_PROBE_ROWS = 256
_REORDERING = re.compile(r"^\s*(?:\w+ )*(JOIN|UNION|UNIQUE|AGGREGATE|OPAQUE_PYTHON)\b", re.MULTILINE)
_NOT_LAZY = "{} in {} returned {}; expected a polars LazyFrame (don't collect)"
_TOLERANCE = 1e-6
_FLOAT32_MAX = 3.4028234e38


class FeatureColumn(Strict):
    """One column that the estimator sees."""

    name: str
    kind: Literal["number", "category"]
    domain: list[str] | None = Field(
        default=None, description="Categories of the training rows, sorted; any other value counts as missing."
    )

    @property
    def dtype(self) -> pl.DataType:
        """``Enum`` of the domain; Float32 for a number, and for a category that had no value in training."""
        return pl.Enum(self.domain) if self.domain else pl.Float32()


class FeatureContract(Strict):
    """The columns of a fitted model, in the order in which it takes them."""

    columns: list[FeatureColumn] = Field(min_length=1)

    @property
    def names(self) -> list[str]:
        """Names in order."""
        return [column.name for column in self.columns]


def compute_features(
    function: FeatureFunction, rows: pl.DataFrame, inputs: Sequence[str], excluded: Sequence[str]
) -> pl.DataFrame:
    """Compute the features of some rows.

    Args:
        function: The feature function.
        rows: Rows of the dataset; must have the columns ``inputs``.
        inputs: Columns that the function is given, in this order, beside ``_row``.
        excluded: Columns that are never features under their own name (entity key and event time).

    Returns:
        One row per row of ``rows``, in their order: numbers and booleans as Float32, texts as Categorical, in
        one chunk each; null where the function gave null, NaN or infinity, which all mean missing.

    Raises:
        TrainingError: The function raised, is not LazyFrame to LazyFrame, dropped or doubled rows, or gave a
            column that an estimator can't take.
    """
    missing = [name for name in inputs if name not in rows.columns]
    if missing:
        raise TrainingError(f"rows for {function.ref} lack the columns {missing}; expected {list(inputs)}")
    given = rows.lazy().select(inputs).with_row_index(ROW)
    try:
        result = function.call(given)
        if not isinstance(result, pl.LazyFrame):
            raise TrainingError(_NOT_LAZY.format(function.ref, function.file, type(result).__name__))
        indexed = _with_row_index(function, result)
        found = indexed.select(_prepared(function, indexed.collect_schema(), excluded)).sort(ROW).collect()
    except RatoonError:
        raise
    except Exception as exc:  # a user's function may raise anything, here or when polars runs it
        raise _raised(function, exc) from exc
    _check_rows(function, found[ROW], rows.height)
    return pl.DataFrame([found.drop_in_place(name).rechunk() for name in found.columns if name != ROW])


def check_rowwise(
    function: FeatureFunction,
    rows: pl.DataFrame,
    features: pl.DataFrame,
    inputs: Sequence[str],
    excluded: Sequence[str],
) -> None:
    """Refuse a feature function whose features of a row change with the other rows it is given.

    A few hundred rows, spread evenly, are computed again on their own, in reverse order, and compared.

    Raises:
        TrainingError: A column differs, or is missing.
    """
    step = max(rows.height // _PROBE_ROWS, 2)
    again = compute_features(function, rows.gather_every(step).reverse(), inputs, excluded)
    alone = again.select(name for name in features.columns if name in again.columns)
    among = features.gather_every(step).reverse()
    changed = [name for name in features.columns if name not in alone.columns or not _equal(among[name], alone[name])]
    if changed:
        raise TrainingError(
            f"{function.ref} gives other values of {changed[:5]} for the same rows when it is given fewer rows in "
            "another order: a row's features may depend on that row alone, since scoring sees other rows than "
            "training; replace aggregates over rows by columns of the dataset"
        )


def learn_contract(features: pl.DataFrame) -> FeatureContract:
    """Return the contract that these features give: names, order, kinds, and the categories that occur.

    Raises:
        TrainingError: No feature, a name that xgboost refuses, or more than :data:`MAX_CATEGORIES` categories.
    """
    if not features.columns:
        raise TrainingError(
            "the feature function gave no feature beside _row, entity key and event time; return at least one"
        )
    return FeatureContract(columns=[_column(series) for series in features.get_columns()])


def encode(features: pl.DataFrame, contract: FeatureContract) -> pl.DataFrame:
    """Return the columns of a contract in its order and dtypes, in one chunk each, ready for the estimator.

    Float32 for numbers, whose memory is shared with ``features``; Enum for categories (a value outside the domain
    becomes null). Rows keep their order.

    Raises:
        TrainingError: A column is missing or has changed its kind.
    """
    for column in contract.columns:
        if column.name not in features.columns:
            raise TrainingError(
                f"feature {column.name!r} is gone; the model was trained with {contract.names}: restore it, or retrain"
            )
        if (found := _kind(features.schema[column.name])) != column.kind:
            raise TrainingError(
                f"feature {column.name!r} is now a {found}, the model was trained with a {column.kind}: "
                "restore it, or retrain"
            )
    return features.lazy().select(_encoded(column) for column in contract.columns).collect().rechunk()


def _with_row_index(function: FeatureFunction, result: pl.LazyFrame) -> pl.LazyFrame:
    """Return a result with ``_row``: what it kept, or its own order where its plan can't have changed that."""
    schema = result.collect_schema()
    if ROW in schema:
        return result
    reordering = _REORDERING.search(result.explain(optimized=False))
    if reordering is None:
        return result.with_row_index(ROW)
    raise TrainingError(
        f"{function.ref} lost the column {ROW!r}, by which rows and labels are matched, after a "
        f"{reordering[1].lower()}, which may change the order of rows; keep it: start the last select with {ROW!r}"
    )


def _prepared(function: FeatureFunction, schema: pl.Schema, excluded: Sequence[str]) -> list[pl.Expr]:
    kept = [(name, dtype) for name, dtype in schema.items() if name not in (ROW, *excluded)]
    refused = [f"{name}: {dtype}" for name, dtype in kept if not _is_number(dtype) and not _is_text(dtype)]
    if refused:
        raise TrainingError(
            f"{function.ref} gave columns that a model can't take: {', '.join(refused[:8])}; "
            "derive numbers or texts, or drop them"
        )
    return [pl.col(ROW), *(_number(name) if _is_number(dtype) else _text(name) for name, dtype in kept)]


def _number(name: str) -> pl.Expr:
    value = pl.col(name)
    return pl.when(value.cast(pl.Float64).abs() <= _FLOAT32_MAX).then(value.cast(pl.Float32)).alias(name)


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Categorical)


def _check_rows(function: FeatureFunction, index: pl.Series, n_rows: int) -> None:
    if (
        len(index) == n_rows
        and index.null_count() == 0
        and (index.cast(pl.Int64) == pl.int_range(n_rows, eager=True)).all()
    ):
        return
    raise TrainingError(
        f"{function.ref} gave {len(index)} rows ({index.n_unique()} different) for {n_rows}: "
        "it must keep every row exactly once; don't filter, and join only (how='left') on keys that are unique on the "
        "right side"
    )


def _column(series: pl.Series) -> FeatureColumn:
    if any(char in series.name for char in "[]<"):
        raise TrainingError(f"feature {series.name!r}: a name must not contain [, ] or <; rename it")
    if _kind(series.dtype) == "number":
        return FeatureColumn(name=series.name, kind="number")
    domain = sorted(series.drop_nulls().unique().cast(pl.String).to_list())
    if len(domain) > MAX_CATEGORIES:
        raise TrainingError(
            f"feature {series.name!r} has {len(domain):,} categories, more than {MAX_CATEGORIES:,}; group the rare ones"
        )
    return FeatureColumn(name=series.name, kind="category", domain=domain)


def _encoded(column: FeatureColumn) -> pl.Expr:
    value = pl.col(column.name)
    if column.kind == "category":
        known = value.cast(column.dtype, strict=False) if column.domain else pl.repeat(None, pl.len(), dtype=pl.Float32)
        return known.alias(column.name)
    return value


def _kind(dtype: pl.DataType) -> Literal["number", "category"]:
    return "number" if dtype == pl.Float32 else "category"


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)


def _is_text(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum)


def _equal(left: pl.Series, right: pl.Series) -> bool:
    if left.dtype != right.dtype or len(left) != len(right):
        return False
    if left.dtype != pl.Float32:
        return bool(left.cast(pl.String).eq_missing(right.cast(pl.String)).all())
    close = (left - right).abs() <= _TOLERANCE * (1 + left.abs())
    return bool((close.fill_null(value=False) | (left.is_null() & right.is_null())).all())


def _raised(function: FeatureFunction, exc: Exception) -> TrainingError:
    text = str(exc).strip()[:600] or "no message"
    return TrainingError(f"{function.ref} in {function.file} raised {type(exc).__name__}: {text}")
