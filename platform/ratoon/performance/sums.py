"""Sums of losses that add up over batches, for the tasks whose metrics are means of losses; and what a metric is.

Sums of probabilities and of their losses are kept as whole numbers of 2^-30, so that merging and subtracting are exact
and no order of rows or batches matters; the rounding moves a metric by less than 2e-9. A regression's errors have any
scale, so that their sums are floats: merging them is exact to rounding only.
"""

from collections.abc import Sequence
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.declarations import Task
from ratoon.errors import ConfigError, DataError
from ratoon.evaluation.metrics import METRICS_OF_TASK, row_losses

UNIT: Final = float(1 << 30)
"""How many of the whole numbers make 1."""


class Bounded(Strict):
    """A metric with what is known of it for certain.

    ``value`` is within ``low`` and ``high``, and so is the metric of the raw rows; all three are None where the
    metric is not defined, and ``reason`` says why.
    """

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None

    @property
    def exact(self) -> bool:
        """Return whether the value is the raw rows' own, up to rounding."""
        return self.value is not None and self.low == self.high


def exactly(value: float) -> Bounded:
    """Return a metric that is known without doubt."""
    return Bounded(value=value, low=value, high=value)


NO_LABEL = Bounded(value=None, low=None, high=None, reason="there is no labelled row")
"""What any metric is where no label is known."""


class ErrorSums(Strict):
    """Errors (score minus label) of a regression model's labelled rows, in the label's unit."""

    kind: Literal["regression"] = "regression"
    n_rows: int = Field(ge=0)
    n_matured: int = Field(ge=0)
    error: float = Field(description="Sum of the errors; divided by n_matured it is the bias.")
    absolute: float
    squared: float

    def metric(self, name: str) -> Bounded:
        """Return ``rmse`` or ``mae`` of the labelled rows, exact.

        Raises:
            ConfigError: Not a metric of regression models.
        """
        check_metric("regression", name)
        if not self.n_matured:
            return NO_LABEL
        mean = max(0.0, self.squared if name == "rmse" else self.absolute) / self.n_matured
        return exactly(float(np.sqrt(mean)) if name == "rmse" else mean)

    def __add__(self, other: Self) -> "ErrorSums":
        return ErrorSums.model_validate(_added(self, other, 1))

    def __sub__(self, other: Self) -> "ErrorSums":
        return ErrorSums.model_validate(_added(self, other, -1))


class ClassSums(Strict):
    """Losses of a multiclass model's labelled rows."""

    kind: Literal["multiclass"] = "multiclass"
    n_rows: int = Field(ge=0)
    n_matured: int = Field(ge=0)
    correct: int = Field(ge=0, description="Rows whose most probable class came.")
    logloss: int = Field(description="Sum of the log losses, in 2^-30.")
    brier: int = Field(description="Sum of the Brier losses, in 2^-30.")

    def metric(self, name: str) -> Bounded:
        """Return ``accuracy``, ``logloss`` or ``brier`` of the labelled rows, exact.

        Raises:
            ConfigError: Not a metric of multiclass models.
        """
        check_metric("multiclass", name)
        if not self.n_matured:
            return NO_LABEL
        sums = {"accuracy": float(self.correct), "logloss": self.logloss / UNIT, "brier": self.brier / UNIT}
        return exactly(sums[name] / self.n_matured)

    def __add__(self, other: Self) -> "ClassSums":
        return ClassSums.model_validate(_added(self, other, 1))

    def __sub__(self, other: Self) -> "ClassSums":
        return ClassSums.model_validate(_added(self, other, -1))


def error_sums(score: NDArray[np.generic], label: NDArray[np.generic]) -> ErrorSums:
    """Sum a regression model's errors.

    Args:
        score: Finite, shape (n,).
        label: Finite, or NaN where it isn't known yet, shape (n,).

    Raises:
        DataError: A score isn't finite, a label is infinite, or shapes differ.
    """
    scores, labels = np.asarray(score, dtype=np.float64), np.asarray(label, dtype=np.float64)
    if scores.shape != labels.shape or not np.isfinite(scores).all() or np.isinf(labels).any():
        raise DataError("a regression's scores and labels must be finite (a label NaN where unknown) and of one shape")
    error = (scores - labels)[~np.isnan(labels)]
    return ErrorSums(
        n_rows=len(scores),
        n_matured=len(error),
        error=float(error.sum()),
        absolute=float(np.absolute(error).sum()),
        squared=float(np.square(error).sum()),
    )


def class_sums(score: NDArray[np.generic], label: NDArray[np.generic], *, n_rows: int) -> ClassSums:
    """Sum a multiclass model's losses.

    Args:
        score: Probabilities of the labelled rows, shape (n, k).
        label: Class codes 0..k-1, shape (n,).
        n_rows: Scored rows, those without a label too.

    Raises:
        DataError: As :func:`ratoon.evaluation.metrics.row_losses`.
    """
    return ClassSums(
        n_rows=n_rows,
        n_matured=len(label),
        correct=len(label) - int(row_losses("accuracy", label, score).sum()),
        logloss=whole_sum(row_losses("logloss", label, score)),
        brier=whole_sum(row_losses("brier", label, score)),
    )


def whole_sum(values: NDArray[np.float64]) -> int:
    """Return a sum in whole numbers of 2^-30; each value is rounded, so that the order doesn't matter."""
    return int(np.rint(values * UNIT).astype(np.int64).sum())


def _added(one: Strict, other: Strict, sign: int) -> dict[str, object]:
    left, right = one.model_dump(), other.model_dump()
    return {name: value if name == "kind" else value + sign * right[name] for name, value in left.items()}


def check_metric(task: Task, name: str) -> None:
    """Refuse a metric that the task doesn't have.

    Raises:
        ConfigError: It isn't one of the task's.
    """
    metrics: Sequence[str] = METRICS_OF_TASK[task]
    if name not in metrics:
        raise ConfigError(f"metric {name!r} is not defined for {task} scores: use {', '.join(metrics)}")
