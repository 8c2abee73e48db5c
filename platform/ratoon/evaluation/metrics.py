"""The metrics that judge a model, in numpy.

Arrays: ``label`` has shape (n,). For binary tasks it holds 0/1 (or bools) and ``score`` (n,) the probability
of 1; for multiclass tasks it holds class codes 0..k-1 and ``score`` (n, k) one probability per class; for
regression both hold the value, shape (n,). Nulls are dropped by the caller: a value that is not finite is
refused here, since a metric over a silent subset answers another question.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ratoon.declarations import Metric, Task
from ratoon.errors import ConfigError, DataError, EmptyWindowError

Array = NDArray[np.float64]

GREATER_IS_BETTER: Final[dict[str, bool]] = {
    "auc": True,
    "logloss": False,
    "accuracy": True,
    "brier": False,
    "rmse": False,
    "mae": False,
}
"""Per metric: whether a greater value is a better one."""

METRICS_OF_TASK: Final[dict[Task, tuple[Metric, ...]]] = {
    "binary": ("auc", "logloss", "accuracy", "brier"),
    "multiclass": ("logloss", "accuracy", "brier"),
    "regression": ("rmse", "mae"),
}
"""Per task: the metrics that are defined for it."""

_SMALLEST_PROBABILITY = 1e-15
_REGRESSION = frozenset(METRICS_OF_TASK["regression"])


def metric_value(
    metric: Metric, label: NDArray[np.generic], score: NDArray[np.generic], weight: NDArray[np.generic] | None = None
) -> float:
    """Compute one metric over scored and labelled rows.

    Args:
        metric: ``auc`` (area under the ROC curve, ties count half), ``logloss`` (natural logarithm,
            probabilities clipped to 1e-15), ``accuracy`` (binary: score >= 0.5; multiclass: the first largest
            score), ``brier`` (mean squared error of the probability; multiclass: summed over the classes, 0..2),
            ``rmse`` or ``mae`` (in the label's unit).
        label: Shape (n,), see the module.
        score: Shape (n,) or (n, k), see the module.
        weight: Weight per row, shape (n,), >= 0 (a bootstrap's counts); None weighs every row 1.

    Returns:
        A finite value.

    Raises:
        EmptyWindowError: The metric is not defined on these rows (no row, or a single class for ``auc``);
            :func:`undefined_reason` asks before.
        DataError: Shapes differ, a value is not finite, a label is not a class, or a probability is not in [0, 1].
        ConfigError: No such metric, or it isn't defined for a score of this shape.

    Example:
        >>> metric_value("auc", np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
        0.875
    """
    if reason := undefined_reason(metric, label, weight):
        raise EmptyWindowError(f"{metric} is not defined: {reason}; widen the window")
    if metric == "auc":
        labels, scores = _checked(metric, label, score)
        return _auc(labels, scores, _weights(weight, len(labels)))
    losses = row_losses(metric, label, score)
    mean = float(np.average(losses, weights=_weights(weight, len(losses))))
    if metric == "accuracy":
        return 1.0 - mean
    return float(np.sqrt(mean)) if metric == "rmse" else mean


def row_losses(metric: Metric, label: NDArray[np.generic], score: NDArray[np.generic]) -> Array:
    """Compute what each row adds to a metric; smaller is always better.

    ``logloss``, ``brier`` and ``mae`` are the mean of their losses, ``accuracy`` is 1 minus the mean (a loss is 1
    for a wrong row), ``rmse`` is the square root of the mean (a loss is a squared error). ``auc`` has none.

    Args:
        metric: Any metric but ``auc``.
        label: Shape (n,), see the module.
        score: Shape (n,) or (n, k), see the module.

    Returns:
        Shape (n,), finite, >= 0.

    Raises:
        DataError: As in :func:`metric_value`.
        ConfigError: ``auc``: it is a property of pairs of rows, not of one.
    """
    labels, scores = _checked(metric, label, score)
    match metric:
        case "logloss":
            true = _probability_of_label(labels, scores)
            loss: Array = -np.log(np.clip(true, _SMALLEST_PROBABILITY, 1.0))
            return loss
        case "accuracy":
            guess = scores.argmax(axis=1) if scores.ndim == 2 else scores >= 0.5
            return np.not_equal(guess, labels).astype(np.float64)
        case "brier" if scores.ndim == 2:
            truth = np.eye(scores.shape[1])[labels.astype(np.int64)]
            squared: Array = np.square(scores - truth).sum(axis=1)
            return squared
        case "brier" | "rmse":
            return np.square(scores - labels)
        case "mae":
            return np.absolute(scores - labels)
        case _:
            raise ConfigError(f"metric {metric!r} has no loss per row: use logloss, accuracy, brier, rmse or mae")


def undefined_reason(
    metric: Metric, label: NDArray[np.generic], weight: NDArray[np.generic] | None = None
) -> str | None:
    """Say why a metric has no value on these labels, or None where it has one.

    Rows of weight 0 count as absent.
    """
    labels = np.asarray(label)
    present = labels if weight is None else labels[np.asarray(weight) > 0]
    if len(present) == 0:
        return "there is no labelled row"
    if metric == "auc" and bool(np.all(present == present[0])):
        return f"all {len(present)} labelled rows have the same label"
    return None


def better_by(metric: Metric, new: float, old: float) -> float:
    """Compute the gain of ``new`` over ``old`` in the metric's unit: positive when ``new`` is better.

    Example:
        >>> better_by("logloss", new=0.25, old=0.5)
        0.25
    """
    return new - old if GREATER_IS_BETTER[metric] else old - new


def _auc(labels: Array, scores: Array, weights: Array) -> float:
    """Compute the weighted Mann-Whitney statistic: the chance that a 1 scores above a 0, ties counting half."""
    _, tie = np.unique(scores, return_inverse=True)
    ones = np.bincount(tie, weights * labels)
    zeros = np.bincount(tie, weights * (1.0 - labels))
    zeros_below = np.cumsum(zeros) - zeros
    return float(np.sum(ones * (zeros_below + 0.5 * zeros)) / (ones.sum() * zeros.sum()))


def _probability_of_label(labels: Array, scores: Array) -> Array:
    if scores.ndim == 2:
        return scores[np.arange(len(labels)), labels.astype(np.int64)]
    return np.where(labels == 1, scores, 1.0 - scores)


def _weights(weight: NDArray[np.generic] | None, n: int) -> Array:
    if weight is None:
        return np.ones(n)
    weights = np.asarray(weight, dtype=np.float64)
    if weights.shape != (n,) or not np.isfinite(weights).all() or bool((weights < 0).any()):
        raise DataError(
            f"weights of shape {weights.shape} do not fit {n} rows: expected one finite weight >= 0 per row"
        )
    return weights


def _checked(metric: Metric, label: NDArray[np.generic], score: NDArray[np.generic]) -> tuple[Array, Array]:
    if metric not in GREATER_IS_BETTER:
        raise ConfigError(f"no metric {metric!r}: use one of {', '.join(GREATER_IS_BETTER)}")
    labels, scores = np.asarray(label, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if scores.ndim == 2 and (metric == "auc" or metric in _REGRESSION):
        raise ConfigError(
            f"metric {metric!r} is not defined for multiclass scores: use {', '.join(METRICS_OF_TASK['multiclass'])}"
        )
    if labels.ndim != 1 or scores.ndim not in (1, 2) or len(labels) != len(scores):
        raise DataError(
            f"{metric}: labels of shape {labels.shape} and scores of shape {scores.shape} do not fit; "
            "expected (n,) and (n,) or (n, k)"
        )
    if not (np.isfinite(labels).all() and np.isfinite(scores).all()):
        raise DataError(f"{metric}: a label or a score is null, NaN or infinite; drop rows without a label before")
    if metric not in _REGRESSION:
        _check_classes(metric, labels, scores)
    return labels, scores


def _check_classes(metric: Metric, labels: Array, scores: Array) -> None:
    n_classes = scores.shape[1] if scores.ndim == 2 else 2
    if len(labels) and not (np.isin(labels, np.arange(n_classes)).all()):
        raise DataError(
            f"{metric}: labels must be class codes 0..{n_classes - 1}, found {np.unique(labels)[:5].tolist()}"
        )
    if metric in ("logloss", "brier") and scores.size and (scores.min() < 0 or scores.max() > 1):
        raise DataError(
            f"{metric}: scores must be probabilities in [0, 1], found {scores.min():.6g} to {scores.max():.6g}"
        )
