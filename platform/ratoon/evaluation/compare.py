"""Compares models on the same rows, with bootstrap intervals that keep neighbouring rows together.

Rows come in time order and are resampled in blocks of consecutive rows (at most 1,000 blocks), since rows of one
hour or day share what made them easy or hard: resampling single rows would call luck a gain (Künsch, Annals of
Statistics 17(3), 1989). All models see the same resamples, so that a gain is paired. Cost: one pass over the rows
and a product of two matrices whose size doesn't depend on the number of rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ratoon.declarations import Metric
from ratoon.evaluation.gate import Interval
from ratoon.evaluation.metrics import GREATER_IS_BETTER, better_by, metric_value, row_losses, undefined_reason

Array = NDArray[np.float64]

RESAMPLES: Final = 400
_MAX_BLOCKS = 1_000
_MIN_BLOCKS = 10
_AUC_BINS = 256


@dataclass(frozen=True, slots=True)
class Comparison:
    """Metrics of several models on the same rows, and how much better the first is.

    Attributes:
        values: Metric by model, in the metric's unit.
        gains: Gain of the candidate over each other model; positive where the candidate is better.
    """

    values: dict[str, Interval]
    gains: dict[str, Interval]


def compare(
    metric: Metric,
    label: NDArray[np.generic],
    candidate: Array,
    others: Mapping[str, Array],
    *,
    confidence: float,
    seed: int,
) -> Comparison | None:
    """Compare a candidate with other models on the same rows.

    Args:
        metric: What is measured.
        label: Labels in time order, as in :mod:`ratoon.evaluation.metrics`.
        candidate: Its scores, (n,) or (n, k).
        others: Scores of the other models by name, on the same rows in the same order.
        confidence: Of the two-sided percentile intervals, for example 0.95.
        seed: Of the resampling; equal arguments give equal intervals.

    Returns:
        The comparison, or None where the metric isn't defined on these rows. Bounds are None below 10 rows.
    """
    if undefined_reason(metric, label):
        return None
    draw = _resamples(len(label), seed)
    models = {"candidate": candidate, **others}
    values = {name: metric_value(metric, label, score) for name, score in models.items()}
    draws = {name: _resampled(metric, label, score, draw) for name, score in models.items()}
    sign = 1.0 if GREATER_IS_BETTER[metric] else -1.0
    return Comparison(
        values={name: _interval(value, draws[name], confidence) for name, value in values.items()},
        gains={
            name: _interval(
                better_by(metric, values["candidate"], values[name]),
                sign * (draws["candidate"] - draws[name]),
                confidence,
            )
            for name in others
        },
    )


@dataclass(frozen=True, slots=True)
class _Resamples:
    """The block of each row, and how often each resample (row) takes each block (column)."""

    block: NDArray[np.int64]
    weights: Array

    def sums(self, values: Array) -> Array:
        """Return the sum of some values in each block."""
        return np.asarray(np.bincount(self.block, values, self.weights.shape[1]), dtype=np.float64)


def _resamples(n_rows: int, seed: int) -> _Resamples:
    n_blocks = min(n_rows, _MAX_BLOCKS)
    n_resamples = RESAMPLES if n_blocks >= _MIN_BLOCKS else 0
    block = np.arange(n_rows, dtype=np.int64) * n_blocks // n_rows
    weights = np.random.default_rng(seed).multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_resamples)
    return _Resamples(block, weights.astype(np.float64))


def _resampled(metric: Metric, label: NDArray[np.generic], score: Array, draw: _Resamples) -> Array:
    """Return the metric in each resample; NaN where it isn't defined there."""
    if metric == "auc":
        return _resampled_auc(np.asarray(label, dtype=np.float64), score, draw)
    losses = draw.sums(row_losses(metric, label, score))
    mean: Array = (draw.weights @ losses) / (draw.weights @ draw.sums(np.ones(len(draw.block))))
    match metric:
        case "accuracy":
            return np.subtract(1.0, mean, dtype=np.float64)
        case "rmse":
            root: Array = np.sqrt(mean)
            return root
        case _:
            return mean


def _resampled_auc(label: Array, score: Array, draw: _Resamples) -> Array:
    """AUC of each resample from a histogram of the scores; its small bias is taken out by the exact value."""
    edges = np.unique(np.quantile(score, np.linspace(0, 1, _AUC_BINS + 1)[1:-1]))
    n_blocks, n_bins = draw.weights.shape[1], len(edges) + 1
    cell = draw.block * n_bins + np.searchsorted(edges, score, side="right")
    ones = np.bincount(cell, label, n_blocks * n_bins).reshape(n_blocks, n_bins)
    zeros = np.bincount(cell, 1.0 - label, n_blocks * n_bins).reshape(n_blocks, n_bins)
    whole = float(_binned_auc(ones.sum(axis=0, keepdims=True), zeros.sum(axis=0, keepdims=True))[0])
    bias = whole - metric_value("auc", label, score)
    return np.subtract(_binned_auc(draw.weights @ ones, draw.weights @ zeros), bias, dtype=np.float64)


def _binned_auc(ones: Array, zeros: Array) -> Array:
    pairs = ones.sum(axis=1) * zeros.sum(axis=1)
    zeros_below = np.cumsum(zeros, axis=1) - zeros
    won: Array = np.sum(ones * (zeros_below + 0.5 * zeros), axis=1)
    auc: Array = np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return auc


def _interval(value: float, draws: Array, confidence: float) -> Interval:
    defined = draws[np.isfinite(draws)]
    if len(defined) < RESAMPLES // 2:
        return Interval(value=value, low=None, high=None)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value=value, low=float(low), high=float(high))
