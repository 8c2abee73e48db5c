"""Isotonic calibration: the probability that a score has turned out to mean, as a function that never falls.

It equals scikit-learn's ``IsotonicRegression(out_of_bounds="clip")``: equal scores are averaged first, adjacent
violators are pooled (Ayer, Brunk, Ewing, Reid and Silverman, Annals of Mathematical Statistics 26(4), 1955), and
what lies between two known scores is interpolated. Written here, since importing ``scipy.optimize`` costs a second.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ratoon.errors import DataError, EmptyWindowError

Array = NDArray[np.float64]

_LEAST_SHRINKAGE = 0.98


@dataclass(frozen=True, slots=True)
class Calibration:
    """A function from score to probability, linear between its knots and constant outside them.

    Attributes:
        scores: Knots, ascending, shape (k,).
        probabilities: Their values, never falling, shape (k,).
        n_effective: Rows it was learned from; with weights, as many unweighted rows as would tell as much (Kish).
    """

    scores: Array
    probabilities: Array
    n_effective: float

    def __call__(self, score: NDArray[np.generic]) -> Array:
        """Return the probability of each score; finite scores in, the same shape out."""
        return np.asarray(np.interp(np.asarray(score, dtype=np.float64), self.scores, self.probabilities))


def calibrate(
    score: NDArray[np.generic], label: NDArray[np.generic], weight: NDArray[np.generic] | None = None
) -> Calibration:
    """Learn what scores have turned out to mean.

    Args:
        score: Finite, shape (n,); of any range.
        label: 0/1, bools, or a share of ones in [0, 1], shape (n,).
        weight: Finite, >= 0, shape (n,): a density ratio or a count of rows; None weighs every row 1.

    Returns:
        The weighted least-squares fit among functions that never fall.

    Raises:
        DataError: A value is not finite, a label is outside [0, 1], a weight is negative, or shapes differ.
        EmptyWindowError: There is no row of positive weight.
    """
    scores, labels = np.asarray(score, dtype=np.float64), np.asarray(label, dtype=np.float64)
    weights = np.ones(len(scores)) if weight is None else np.asarray(weight, dtype=np.float64)
    _check(scores, labels, weights)
    if not weights.any():
        raise EmptyWindowError("a calibration needs labelled rows and got none; widen its reference")
    counted = weights > 0
    knots, place = np.unique(scores[counted], return_inverse=True)
    mass = np.asarray(np.bincount(place, weights[counted]), dtype=np.float64)
    fitted = pool_adjacent_violators(np.bincount(place, (weights * labels)[counted]) / mass, mass)
    turns = _turning_points(fitted)
    n_effective = float(weights.sum() ** 2 / np.square(weights).sum()) if weight is not None else float(len(scores))
    return Calibration(knots[turns], np.clip(fitted[turns], 0.0, 1.0), n_effective)


def pool_adjacent_violators(values: Array, weights: Array) -> Array:
    """Return the weighted least-squares fit of a sequence by one that never falls.

    Falling runs are pooled together in whole-array passes (members of a falling run always end in one block) while
    that shrinks the sequence well, and what is left in one loop with a stack, so that no input costs more than O(n).

    Args:
        values: Shape (n,), finite.
        weights: Shape (n,), > 0.

    Returns:
        Shape (n,), never falling.

    Example:
        >>> pool_adjacent_violators(np.array([1.0, 3.0, 2.0, 4.0]), np.ones(4)).tolist()
        [1.0, 2.5, 2.5, 4.0]
    """
    means, mass, size = values, weights, np.ones(len(values), dtype=np.int64)
    while len(means) > 1:
        starts = np.flatnonzero(np.concatenate(([True], means[1:] >= means[:-1])))
        if len(starts) == len(means):
            return np.repeat(means, size)
        shrunk = len(starts) / len(means)
        total = np.add.reduceat(mass, starts)
        means = np.add.reduceat(means * mass, starts) / total
        mass, size = total, np.add.reduceat(size, starts)
        if shrunk > _LEAST_SHRINKAGE:
            return np.repeat(*_pool_with_a_stack(means, mass, size))
    return np.repeat(means, size)


def _pool_with_a_stack(values: Array, weights: Array, sizes: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    means: list[float] = []
    mass: list[float] = []
    size: list[int] = []
    for value, weight, length in zip(values.tolist(), weights.tolist(), sizes.tolist(), strict=True):
        mean, total, n = value, weight, length
        while means and means[-1] > mean:
            joined = mass[-1] + total
            mean = (means.pop() * mass[-1] + mean * total) / joined
            total, n = joined, n + size.pop()
            mass.pop()
        means.append(mean)
        mass.append(total)
        size.append(n)
    return np.array(means), np.array(size, dtype=np.int64)


def _turning_points(fitted: Array) -> NDArray[np.bool_]:
    """Return which knots are needed: the ends, and both ends of each constant stretch."""
    rises = fitted[1:] != fitted[:-1]
    return np.concatenate(([True], rises)) | np.concatenate((rises, [True]))


def _check(scores: Array, labels: Array, weights: Array) -> None:
    if not scores.shape == labels.shape == weights.shape or scores.ndim != 1:
        raise DataError(
            f"a calibration takes score, label and weight of one shape (n,), got {scores.shape}, {labels.shape}, {weights.shape}"
        )
    if not (np.isfinite(scores).all() and np.isfinite(labels).all() and np.isfinite(weights).all()):
        raise DataError(
            "a calibration's score, label or weight is null, NaN or infinite; drop rows without a label before"
        )
    if bool(((labels < 0) | (labels > 1)).any()) or bool((weights < 0).any()):
        raise DataError("a calibration's labels must lie in [0, 1] and its weights must not be negative")
