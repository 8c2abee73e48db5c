"""Labels as the numbers that estimators and metrics take, and the naive baseline that they give."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon.declarations import Task
from ratoon.errors import TrainingError

Classes = list[str] | list[int]


def find_classes(label: pl.Series, task: Task, allowed: Classes | None) -> Classes | None:
    """Return the classes of a multiclass label in order (code i is the i-th), or None for other tasks.

    Args:
        label: Labels without nulls.
        task: The model's task.
        allowed: The label's declared values; where declared, they are the classes.

    Raises:
        TrainingError: Fewer than two classes.
    """
    if task != "multiclass":
        return None
    classes = allowed if allowed is not None else label.unique().sort().to_list()
    if len(classes) < 2:
        raise TrainingError(f"label {label.name!r} has only the class {classes}: a multiclass model needs two or more")
    return classes


def encode_label(label: pl.Series, task: Task, classes: Classes | None) -> NDArray[np.float32]:
    """Return labels as Float32: 0/1 for binary, the class's code for multiclass, the value for regression.

    Args:
        label: Labels without nulls, one per row.
        task: The model's task.
        classes: From :func:`find_classes`.

    Raises:
        TrainingError: A label is not 0/1, not one of the classes, or not a finite number.
    """
    match task:
        case "multiclass":
            codes = label.cast(pl.String).replace_strict(
                [str(c) for c in classes or []], list(range(len(classes or []))), default=None, return_dtype=pl.Float32
            )
            problem = f"one of the classes {(classes or [])[:20]}"
        case "binary":
            codes = (
                label.cast(pl.Float32, strict=False)
                if label.dtype.is_numeric() or label.dtype == pl.Boolean
                else label.clear(len(label)).cast(pl.Float32)
            )
            codes = codes.set(~codes.is_in([0.0, 1.0]), None)
            problem = "true/false or 0/1 for a binary model"
        case "regression":
            codes = label.cast(pl.Float32, strict=False)
            codes = codes.set(~codes.is_finite(), None)
            problem = "a finite number for a regression model"
    if codes.null_count():
        example = label.filter(codes.is_null()).head(1).to_list()
        raise TrainingError(
            f"label {label.name!r} must be {problem}; {codes.null_count():,} of {len(label):,} are not, "
            f"for example {example}"
        )
    return codes.to_numpy()


def naive_baseline(codes: NDArray[np.float32], task: Task, classes: Classes | None) -> list[float]:
    """Return what a model that ignores its features predicts: [share of 1], the classes' shares, or [mean]."""
    if task == "multiclass" and classes is not None:
        return [float(share) for share in np.bincount(codes.astype(np.int64), minlength=len(classes)) / len(codes)]
    return [float(codes.mean(dtype=np.float64))]


def baseline_scores(baseline: list[float], n_rows: int, task: Task) -> NDArray[np.float64]:
    """Return the baseline's prediction for every row: shape (n,), or (n, k) for multiclass."""
    scores = np.tile(np.asarray(baseline, dtype=np.float64), (n_rows, 1))
    return scores if task == "multiclass" else scores[:, 0]


def align_classes(scores: NDArray[np.float64], of: Classes, to: Classes) -> NDArray[np.float64]:
    """Return class probabilities (n, k) re-ordered to other classes; a class that the model doesn't know gets 0."""
    aligned = np.zeros((len(scores), len(to)))
    of_position = {str(value): position for position, value in enumerate(of)}
    for position, value in enumerate(to):
        if str(value) in of_position:
            aligned[:, position] = scores[:, of_position[str(value)]]
    return aligned
