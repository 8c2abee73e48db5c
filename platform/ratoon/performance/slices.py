"""Where a model is worse: its metric by the values of declared category columns, from sums that add up over batches.

Each slice is compared with all other rows of its column, by a z-test on the difference of two independent means (of
losses) or of two areas under the curve (variances after DeLong, DeLong and Clarke-Pearson, Biometrics 44(3), 1988,
on 50 score bins). P-values are corrected over all slices of the report by Holm's method, and a slice is flagged only
when it is worse by the smallest difference that matters too. Rows are taken as independent; what all rows of a cohort
share (a week of bad weather) is on both sides of the difference and cancels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import ndtr

from ratoon.contracts.spec import Strict
from ratoon.declarations import Metric, Task
from ratoon.errors import DataError
from ratoon.evaluation.metrics import GREATER_IS_BETTER, row_losses
from ratoon.performance.cohorts import matured_arrays

Array = NDArray[np.float64]

SLICE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "column": pl.String(),
    "value": pl.String(),
    "n_rows": pl.Int64(),
    "n_matured": pl.Int64(),
    "loss": pl.Float64(),
    "loss2": pl.Float64(),
    "zeros": pl.List(pl.Int64()),
    "ones": pl.List(pl.Int64()),
}
"""One row per column and value (null: the value is missing): scored rows, those whose label is known, sums of their
losses and squared losses (0 for ``auc``), and for ``auc`` their counts by label in 50 equal bins of the score (else
null). All add up."""

MAX_VALUES: Final = 100
"""Columns with more values are no slices: they are left out, and the report says so."""

_BINS = 50


class SliceSettings(Strict):
    """What counts as a bad slice."""

    min_rows: int = Field(200, ge=30, description="Matured rows of a slice, below which it isn't judged.")
    min_effect: float = Field(
        0.02, ge=0, description="Smallest difference to the rest that matters, in the metric's unit."
    )
    alpha: float = Field(
        0.01, gt=0, lt=1, description="Chance of any false flag in a report when no slice is worse (Holm)."
    )


class SlicePerformance(Strict):
    """One value of one column against the rest of the rows."""

    column: str
    value: str | None = Field(description="None: the value is missing.")
    n_rows: int
    n_matured: int
    metric: float | None = Field(description="None where it isn't judged.")
    rest: float | None = Field(description="The metric of all other rows.")
    worse_by: float | None = Field(description="In the metric's unit; positive where the slice is worse.")
    standard_error: float | None = Field(description="Of worse_by.")
    p_value: float | None = Field(description="That it is no worse; corrected for all slices of the report.")
    flagged: bool
    sentence: str


class SliceReport(Strict):
    """Slices, flagged ones first, then by how much they are worse; those that aren't judged are last."""

    metric: Metric
    slices: list[SlicePerformance]
    too_many_values: list[str] = Field(description="Columns that are left out for having more than 100 values.")

    @property
    def flagged(self) -> list[SlicePerformance]:
        """Return the slices that are worse than the rest."""
        return [row for row in self.slices if row.flagged]


def slice_sums(
    scored: pl.DataFrame,
    columns: Sequence[str],
    task: Task,
    metric: Metric,
    *,
    classes: Sequence[str | int | bool] | None = None,
) -> pl.DataFrame:
    """Sum what a report needs, by the values of some columns.

    Args:
        scored: As for :func:`ratoon.performance.cohorts.cohort_performance`, with the columns; any order.
        columns: Category columns; a null is a value of its own.
        task: The model's task.
        metric: One of the task's metrics.
        classes: multiclass: the model's classes in the order of its scores.

    Returns:
        A frame of :data:`SLICE_SCHEMA`, sorted by column and value, nulls first.

    Raises:
        DataError: A column is missing, or as :func:`ratoon.performance.cohorts.cohort_performance`.
    """
    if missing := [name for name in columns if name not in scored.columns]:
        raise DataError(f"slices need columns {missing}, which the scored rows lack; join them before")
    if not columns:
        return pl.DataFrame(schema=SLICE_SCHEMA)
    matured = scored.filter(pl.col("label").is_not_null())
    label, score = matured_arrays(scored, task, classes)
    each = [pl.Series("_ones", label if metric == "auc" else np.zeros(len(label)))]
    each += [pl.Series("_loss", np.zeros(len(label)) if metric == "auc" else row_losses(metric, label, score))]
    each += [pl.Series("_bin", np.minimum((score * _BINS).astype(np.int64), _BINS - 1))] if metric == "auc" else []
    rows = matured.select(columns).with_columns(each)
    parts = [_sums_of(scored, rows, name, ranked=metric == "auc") for name in columns]
    return pl.concat(parts) if parts else pl.DataFrame(schema=SLICE_SCHEMA)


def merge_slices(sums: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the sums of all rows together; counts exactly, losses up to rounding, in any order of the parts."""
    parts = [part.select(list(SLICE_SCHEMA)) for part in sums]
    if not parts:
        return pl.DataFrame(schema=SLICE_SCHEMA)
    names = list(SLICE_SCHEMA)[2:]
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for row in pl.concat(parts).iter_rows(named=True):
        key = (row["column"], row["value"])
        before = found.get(key)
        found[key] = row if before is None else row | {name: _plus(before[name], row[name]) for name in names}
    merged = pl.DataFrame(list(found.values()), schema=SLICE_SCHEMA, orient="row")
    return merged.sort("column", "value")


def judge_slices(sums: pl.DataFrame, metric: Metric, settings: SliceSettings | None = None) -> SliceReport:
    """Compare each slice with the rest.

    Args:
        sums: From :func:`slice_sums` or :func:`merge_slices`.
        metric: The metric that they were made for.
        settings: What counts as a bad slice.
    """
    settings = settings or SliceSettings()
    judged: list[tuple[Mapping[str, Any], _Difference]] = []
    not_judged: list[SlicePerformance] = []
    too_many: list[str] = []
    for (column,), rows in sums.group_by("column", maintain_order=True):
        if rows.height > MAX_VALUES:
            too_many.append(str(column))
            continue
        whole = merge_slices([rows.with_columns(value=pl.lit(None, pl.String))]).row(0, named=True)
        for row in rows.iter_rows(named=True):
            rest = {name: _minus(whole[name], row[name]) for name in list(SLICE_SCHEMA)[3:]}
            found = _difference(row, rest, metric, settings.min_rows)
            if isinstance(found, str):
                not_judged.append(_unjudged(row, found))
            else:
                judged.append((row, found))
    corrected = _holm([found.p_value for _, found in judged])
    slices = [_judged(row, found, p, metric, settings) for (row, found), p in zip(judged, corrected, strict=True)]
    slices.sort(key=lambda row: (not row.flagged, -(row.worse_by or 0.0)))
    return SliceReport(metric=metric, slices=[*slices, *not_judged], too_many_values=too_many)


@dataclass(frozen=True, slots=True)
class _Difference:
    slice: float
    rest: float
    worse_by: float
    error: float
    p_value: float


def _sums_of(scored: pl.DataFrame, rows: pl.DataFrame, name: str, *, ranked: bool) -> pl.DataFrame:
    total = scored.group_by(pl.col(name).cast(pl.String).alias("value")).agg(n_rows=pl.len().cast(pl.Int64))
    sums = rows.group_by(pl.col(name).cast(pl.String).alias("value")).agg(
        n_matured=pl.len().cast(pl.Int64),
        loss=pl.col("_loss").sum(),
        loss2=pl.col("_loss").pow(2).sum(),
        **({f"_{label}": pl.col("_bin").filter(pl.col("_ones") == label) for label in (0, 1)} if ranked else {}),
    )
    joined = total.join(sums, on="value", how="left", nulls_equal=True).with_columns(
        pl.col("n_matured").fill_null(0), pl.col("loss", "loss2").fill_null(0.0), column=pl.lit(name)
    )
    counts = {
        text: [_counts(values) for values in joined[f"_{label}"].to_list()] if ranked else [None] * joined.height
        for label, text in enumerate(("zeros", "ones"))
    }
    return (
        joined.with_columns(pl.Series(text, values, dtype=pl.List(pl.Int64)) for text, values in counts.items())
        .select(pl.col(text).cast(dtype) for text, dtype in SLICE_SCHEMA.items())
        .sort("value")
    )


def _counts(bins: Sequence[int] | None) -> list[int]:
    found: list[int] = np.bincount(np.array(bins or [], dtype=np.int64), minlength=_BINS).tolist()
    return found


def _plus(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return one if other is None else other
    return (np.array(one) + np.array(other)).tolist() if isinstance(one, list) else one + other


def _minus(whole: Any, part: Any) -> Any:
    if part is None:
        return whole
    return (np.array(whole) - np.array(part)).tolist() if isinstance(whole, list) else whole - part


def _difference(row: Mapping[str, Any], rest: Mapping[str, Any], metric: Metric, min_rows: int) -> _Difference | str:
    """Return the difference, or why there is none to judge."""
    if min(row["n_matured"], rest["n_matured"]) < min_rows:
        side = f"{row['n_matured']} labelled rows" if row["n_matured"] < min_rows else "too few rows beside it"
        return f"{side}, {min_rows} are needed"
    measured = [_value(side, metric) for side in (row, rest)]
    if None in measured:
        return "its labels, or those beside it, are all of one class"
    (slice_value, slice_variance), (rest_value, rest_variance) = (pair for pair in measured if pair is not None)
    worse = rest_value - slice_value if GREATER_IS_BETTER[metric] else slice_value - rest_value
    error = float(np.sqrt(slice_variance + rest_variance))
    p_value = float(ndtr(-worse / error)) if error > 0 else float(worse <= 0)
    return _Difference(slice_value, rest_value, worse, error, p_value)


def _value(sums: Mapping[str, Any], metric: Metric) -> tuple[float, float] | None:
    """Return a metric and the variance of its estimate; None where it isn't defined."""
    if metric == "auc":
        return _auc(np.array(sums["zeros"], dtype=np.float64), np.array(sums["ones"], dtype=np.float64))
    n = sums["n_matured"]
    mean = sums["loss"] / n
    variance = max(0.0, sums["loss2"] / n - mean**2) / n
    if metric == "accuracy":
        return 1.0 - mean, variance
    if metric == "rmse":
        return float(np.sqrt(mean)), variance / (4.0 * mean) if mean > 0 else 0.0
    return mean, variance


def _auc(zeros: Array, ones: Array) -> tuple[float, float] | None:
    n_zeros, n_ones = float(zeros.sum()), float(ones.sum())
    if min(n_zeros, n_ones) < 2:
        return None
    zeros_below = (np.cumsum(zeros) - 0.5 * zeros) / n_zeros
    ones_above = 1.0 - (np.cumsum(ones) - 0.5 * ones) / n_ones
    value = float(ones @ zeros_below) / n_ones
    of_ones = float(ones @ np.square(zeros_below - value)) / (n_ones - 1)
    of_zeros = float(zeros @ np.square(ones_above - value)) / (n_zeros - 1)
    return value, of_ones / n_ones + of_zeros / n_zeros


def _holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values (Scandinavian Journal of Statistics 6(2), 1979)."""
    order = np.argsort(np.array(p_values), kind="stable")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order.tolist()):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['column']} is missing" if row["value"] is None else f"{row['column']} {row['value']}"


def _unjudged(row: Mapping[str, Any], reason: str) -> SlicePerformance:
    return SlicePerformance(
        **{name: row[name] for name in ("column", "value", "n_rows", "n_matured")},
        **dict.fromkeys(("metric", "rest", "worse_by", "standard_error", "p_value")),
        flagged=False,
        sentence=f"{_named(row)}: not judged, {reason}.",
    )


def _judged(
    row: Mapping[str, Any], found: _Difference, p_value: float, metric: Metric, settings: SliceSettings
) -> SlicePerformance:
    flagged = p_value <= settings.alpha and found.worse_by >= settings.min_effect
    apart = f"{abs(found.worse_by):.4g} {'worse' if found.worse_by > 0 else 'better'} than the rest"
    verdict = "" if flagged or found.worse_by <= 0 else ", which doesn't matter or may be chance"
    return SlicePerformance(
        **{name: row[name] for name in ("column", "value", "n_rows", "n_matured")},
        metric=found.slice,
        rest=found.rest,
        worse_by=found.worse_by,
        standard_error=found.error,
        p_value=p_value,
        flagged=flagged,
        sentence=f"{_named(row)}: {metric} {found.slice:.4g} over {row['n_matured']:,} rows, {apart} "
        f"({found.rest:.4g}, p {p_value:.2g}){verdict}.",
    )
