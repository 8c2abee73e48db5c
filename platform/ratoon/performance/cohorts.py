"""Performance of scored rows whose labels are known by now."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.declarations import Metric, Task
from ratoon.errors import ConfigError, DataError
from ratoon.evaluation.metrics import METRICS_OF_TASK, metric_value, undefined_reason
from ratoon.performance.histograms import ScoreHistogram, score_histogram
from ratoon.performance.sums import ClassSums, ErrorSums, class_sums, error_sums

COHORT_SCHEMA: Final[dict[str, pl.DataType]] = {
    "n_rows": pl.Int64(),
    "n_matured": pl.Int64(),
    "maturity": pl.Float64(),
    "metric": pl.String(),
    "value": pl.Float64(),
    "reason": pl.String(),
}
"""Columns of a cohort table after the cohort's own: see :class:`CohortPerformance`."""


class CohortPerformance(Strict):
    """One metric over the matured rows of a cohort."""

    n_rows: int = Field(description="Scored rows.")
    n_matured: int = Field(description="Those whose label is known.")
    metric: Metric
    value: float | None = Field(description="The metric over the matured rows; None where it is not defined.")
    reason: str | None = Field(description="Why there is no value.")

    @property
    def maturity(self) -> float:
        """Return the share of scored rows whose label is known, 0 for an empty cohort."""
        return self.n_matured / self.n_rows if self.n_rows else 0.0


def cohort_performance(
    scored: pl.DataFrame, task: Task, metric: Metric, *, classes: Sequence[str | int | bool] | None = None
) -> CohortPerformance:
    """Compute a metric over the rows of a cohort whose labels are known.

    It needs no baseline: what the value is compared with is the policy's and the gate's business. A cohort that is
    matured in part may not look like the whole (some labels are known earlier than others): see ``maturity``.

    Args:
        scored: One row per prediction, in any order; other columns are not looked at. ``label``: null until it is
            known; binary bool or 0/1, regression numeric, multiclass one of ``classes`` (codes 0..k-1 without).
            ``score``: never null; Float64, for multiclass List(Float64) or Array(Float64, k) of probabilities.
        task: The model's task.
        metric: One of the task's metrics.
        classes: multiclass: the model's classes in the order of its scores. A label that isn't one of them is a
            wrong prediction of probability 0, not an error: the world has classes that the model doesn't know.

    Returns:
        The value, or None with the reason where no label is known or ``auc`` has one class only.

    Raises:
        ConfigError: The metric isn't one of the task's.
        DataError: A column is missing, a score is null or no probability, or a label isn't of the task's form.
    """
    if metric not in METRICS_OF_TASK[task]:
        raise ConfigError(f"metric {metric!r} is not defined for task {task!r}: use {', '.join(METRICS_OF_TASK[task])}")
    label, score = matured_arrays(scored, task, classes)
    reason = undefined_reason(metric, label)
    value = None if reason else metric_value(metric, label, score)
    return CohortPerformance(n_rows=scored.height, n_matured=len(label), metric=metric, value=value, reason=reason)


def score_sums(
    scored: pl.DataFrame, task: Task, *, classes: Sequence[str | int | bool] | None = None
) -> ScoreHistogram | ErrorSums | ClassSums:
    """Sum up scored rows so that every metric of the task follows without reading them again.

    Args:
        scored: As for :func:`cohort_performance`.
        task: The model's task.
        classes: As for :func:`cohort_performance`.

    Returns:
        Sums that add up with those of other cohorts.

    Raises:
        DataError: As for :func:`cohort_performance`; binary: a score is no probability, or a label neither 0 nor 1.
    """
    if task == "multiclass":
        label, score = matured_arrays(scored, task, classes)
        return class_sums(score, label, n_rows=scored.height)
    _check_columns(scored)
    label, score = _numbers(scored["label"]), _numbers(scored["score"])
    if int(np.isnan(label).sum()) != scored["label"].null_count():
        raise DataError("a label is NaN; expected null where it isn't known yet")
    return score_histogram(score, label) if task == "binary" else error_sums(score, label)


def matured_arrays(
    scored: pl.DataFrame, task: Task, classes: Sequence[str | int | bool] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return label and score of the rows whose label is known, in the form of :mod:`ratoon.evaluation.metrics`.

    Args:
        scored: As for :func:`cohort_performance`.
        task: The model's task.
        classes: As for :func:`cohort_performance`.

    Raises:
        DataError: As for :func:`cohort_performance`.
    """
    _check_columns(scored)
    return _arrays(scored.filter(pl.col("label").is_not_null()), task, classes)


def cohort_table(
    scored: pl.DataFrame, by: str, task: Task, metric: Metric, *, classes: Sequence[str | int | bool] | None = None
) -> pl.DataFrame:
    """Compute a metric per cohort.

    Args:
        scored: As for :func:`cohort_performance`, with the cohort's column.
        by: Column that names the cohort, for example ``_batch``.
        task: The model's task.
        metric: One of the task's metrics.
        classes: As for :func:`cohort_performance`.

    Returns:
        One row per cohort, in the order of their first rows: ``by`` and the columns of :data:`COHORT_SCHEMA`.
    """
    rows = []
    for (cohort,), part in scored.group_by(by, maintain_order=True):
        found = cohort_performance(part, task, metric, classes=classes)
        rows.append({by: cohort, "maturity": found.maturity, **found.model_dump()})
    return pl.DataFrame(rows, schema={by: scored.schema[by], **COHORT_SCHEMA}, orient="row")


def _check_columns(scored: pl.DataFrame) -> None:
    missing = [name for name in ("label", "score") if name not in scored.columns]
    if missing:
        raise DataError(f"scored rows lack columns {missing}; join predictions and labels before")
    if n_nulls := scored["score"].null_count():
        raise DataError(f"{n_nulls} of {scored.height} scored rows have no score; a prediction may not be null")


def _arrays(
    matured: pl.DataFrame, task: Task, classes: Sequence[str | int | bool] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if task != "multiclass":
        return _numbers(matured["label"]), _numbers(matured["score"])
    score = _matrix(matured["score"])
    label = _codes(matured["label"], classes) if classes is not None else _numbers(matured["label"])
    unknown = score.shape[1]
    if classes is not None and len(score) and len(classes) != unknown:
        raise DataError(f"scores hold {unknown} probabilities per row, the model has {len(classes)} classes")
    if len(label) and label.max() >= unknown:
        label = np.minimum(label, unknown)
        score = np.column_stack([score, np.zeros(len(score))])
    return label, score


def _numbers(values: pl.Series) -> NDArray[np.float64]:
    if not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)):
        raise DataError(f"column {values.name!r} is {values.dtype}; expected numbers or bools")
    return values.cast(pl.Float64).to_numpy()


def _codes(labels: pl.Series, classes: Sequence[str | int | bool]) -> NDArray[np.float64]:
    """Return each label's place among the classes; the one behind the last for a label that is none of them."""
    if labels.dtype.is_float():
        raise DataError(
            f"multiclass labels are {labels.dtype}; expected text, integers or bools, which can equal a class"
        )
    places = {str(name): place for place, name in enumerate(classes)}
    codes = [places.get(str(label), len(places)) for label in labels.to_list()]
    return np.array(codes, dtype=np.float64)


def _matrix(scores: pl.Series) -> NDArray[np.float64]:
    if not isinstance(scores.dtype, pl.List | pl.Array):
        raise DataError(f"multiclass column 'score' is {scores.dtype}; expected a list of one probability per class")
    lists = scores.cast(pl.List(pl.Float64))
    widths = lists.list.len().unique().to_list()
    if len(widths) > 1:
        raise DataError(
            f"multiclass scores hold {sorted(widths)} probabilities per row; expected the same number in each"
        )
    return lists.explode().cast(pl.Float64).to_numpy().reshape(len(lists), widths[0] if widths else 0)
