"""Performance without labels: what a binary model's metric would be if scores still meant what they meant (CBPE).

A labelled reference says with which probability a score turned out to be a 1 (isotonic calibration). If that still
holds, every unlabelled row has an expected loss, and the metric an expected value. Where the rows come from
elsewhere, the reference is weighted to look like them before it calibrates (M-CBPE, PAPE). Source: Białek, Kuberski,
Perrakis and Bifet, "Estimating model performance under covariate shift without labels", arXiv 2401.08348.

Nothing here can see that P(y|x) has changed. That is why an estimate carries its assumption and its own past error
(:mod:`ratoon.performance.estimates`), and why it is never a trigger alone.

Arrays: ``score`` and ``probability`` have shape (n,), finite, in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ratoon.errors import ConfigError, DataError, EmptyWindowError
from ratoon.performance.calibration import Calibration, calibrate
from ratoon.performance.histograms import N_BINS, ScoreHistogram

Array = NDArray[np.float64]
EstimatedMetric = Literal["accuracy", "auc", "brier", "f1", "logloss"]

ASSUMPTION: Final = "assumes that P(y|x) is unchanged: equal rows still have equal chances of a 1"
"""What every estimate rests on."""

ESTIMATED: Final[tuple[EstimatedMetric, ...]] = ("accuracy", "auc", "brier", "f1", "logloss")
_SMALLEST_PROBABILITY: Final = 1e-15
_CENTRES: Final = (np.arange(N_BINS) + 0.5) / N_BINS


@dataclass(frozen=True, slots=True)
class Expected:
    """A metric that is expected of rows whose labels aren't known.

    Attributes:
        value: The expected metric.
        sampling_error: Standard deviation of the realised metric around it, from the labels' own chance and from the
            finite reference.
        binning_error: How far the value may be off since scores were only known by bin; 0 for raw scores.
        n_rows: Rows that it is about.
    """

    value: float
    sampling_error: float
    binning_error: float
    n_rows: int


def density_ratio(
    probability_of_new: NDArray[np.generic], *, n_reference: int, n_new: int, clip: float = 50.0
) -> Array:
    """Turn a domain classifier's answer into weights that make the reference look like the new rows.

    Bayes: p(x | new) / p(x | reference) = p / (1 - p) * n_reference / n_new.

    Args:
        probability_of_new: Of the reference's rows, that they are new ones, in [0, 1], shape (n,). From rows that the
            classifier did not learn from, or from one that is too weak to tell single rows apart.
        n_reference: Rows of the reference that the classifier learned from.
        n_new: New rows that it learned from.
        clip: A weight is at most this and at least its inverse: one row must not stand for thousands.

    Returns:
        Weights of mean 1, shape (n,).

    Raises:
        DataError: A value is no probability, or there is no row.
        ConfigError: ``clip`` is below 1.
    """
    p = np.asarray(probability_of_new, dtype=np.float64)
    if not len(p) or not np.isfinite(p).all() or bool(((p < 0) | (p > 1)).any()) or min(n_reference, n_new) < 1:
        raise DataError("a density ratio needs probabilities in [0, 1] and at least one row on both sides")
    if clip < 1:
        raise ConfigError(f"clip {clip} is below 1; a weight must be allowed to be 1")
    odds = p / np.maximum(1.0 - p, 1e-12) * (n_reference / n_new)
    weights = np.clip(odds, 1.0 / clip, clip)
    return np.asarray(weights / weights.mean())


def estimate(metric: EstimatedMetric, score: NDArray[np.generic], calibration: Calibration) -> Expected:
    """Estimate one metric of unlabelled rows; see :func:`estimate_all`."""
    return estimate_all([metric], score, calibration)[metric]


def estimate_all(
    metrics: Sequence[EstimatedMetric], score: NDArray[np.generic], calibration: Calibration
) -> dict[EstimatedMetric, Expected]:
    """Estimate metrics of unlabelled rows.

    Args:
        metrics: ``accuracy`` and ``f1`` predict 1 from score 0.5 on; ``auc`` ranks by the score as it is.
        score: The rows' scores, in any order.
        calibration: From :func:`ratoon.performance.calibration.calibrate` over a labelled reference, with the weights
            of :func:`density_ratio` for the importance-weighted form.

    Raises:
        EmptyWindowError: There is no row, or (``auc``, ``f1``) the calibration expects one class only.
        DataError: A score is no probability.
        ConfigError: Not one of :data:`ESTIMATED`.
    """
    scores = np.sort(np.asarray(score, dtype=np.float64), axis=None)
    if not len(scores):
        raise EmptyWindowError(f"{', '.join(metrics)} can't be estimated: there is no row; widen the window")
    if not (scores[0] >= 0 and scores[-1] <= 1):
        raise DataError("scores must be probabilities in [0, 1], and none may be null or NaN")
    probability, rows = calibration(scores), np.ones(len(scores))
    found = {}
    for metric in metrics:
        value, sampling = expected_metric(metric, scores, probability, rows)
        found[metric] = Expected(value, _with_reference(sampling, len(scores), calibration), 0.0, len(scores))
    return found


def calibrate_histogram(reference: ScoreHistogram) -> Calibration:
    """Learn what scores have turned out to mean from counts alone, each score at its bin's centre.

    Raises:
        EmptyWindowError: The histogram holds no label.
    """
    zeros, ones = np.array(reference.zeros, dtype=np.float64), np.array(reference.ones, dtype=np.float64)
    n = zeros + ones
    fitted = calibrate(_CENTRES, ones / np.maximum(n, 1.0), n)
    return replace(fitted, n_effective=float(n.sum()))


def estimate_histogram(metric: EstimatedMetric, current: ScoreHistogram, calibration: Calibration) -> Expected:
    """Estimate the metric of all of a histogram's rows, labelled or not, from counts alone.

    A score is taken at its bin's centre, 0.0025 from it at most. Predictions are exact since 0.5 is an edge;
    ``binning_error`` bounds what the centres change in the value, given the calibration per bin.

    Args:
        metric: As in :func:`estimate_all`.
        current: Rows to estimate.
        calibration: From :func:`calibrate_histogram`, or, where the reference's rows are at hand, from
            :func:`ratoon.performance.calibration.calibrate`, with weights for the importance-weighted form.

    Raises:
        EmptyWindowError: There is no row, or the metric is not defined.
        ConfigError: Not one of :data:`ESTIMATED`.
    """
    rows = np.array(current.zeros, dtype=np.float64) + np.array(current.ones) + np.array(current.unknown)
    if not rows.any():
        raise EmptyWindowError(f"{metric} can't be estimated: there is no row; widen the window")
    probability = calibration(_CENTRES)
    value, sampling = expected_metric(metric, _CENTRES, probability, rows)
    total = int(rows.sum())
    sampling = _with_reference(sampling, total, calibration)
    return Expected(value, sampling, _binning_error(metric, probability, rows), total)


def estimate_from_histograms(metric: EstimatedMetric, reference: ScoreHistogram, current: ScoreHistogram) -> Expected:
    """Estimate the metric of a histogram's rows from a labelled one: :func:`estimate_histogram` after calibrating.

    Raises:
        EmptyWindowError: The reference holds no label, there is no row, or the metric is not defined.
        ConfigError: Not one of :data:`ESTIMATED`.
    """
    return estimate_histogram(metric, current, calibrate_histogram(reference))


def expected_metric(metric: EstimatedMetric, score: Array, probability: Array, rows: Array) -> tuple[float, float]:
    """Compute a metric's expected value and its standard deviation over the labels, which are independent given x.

    The value is the metric of expected counts; the deviation is the delta method's: each label moves the metric by its
    derivative, and has variance p(1-p).

    Args:
        metric: One of :data:`ESTIMATED`.
        score: What the model says, ascending: an expectation needs no row's place.
        probability: With which chance the label is 1.
        rows: How many rows each entry stands for, > 0 in sum.

    Raises:
        EmptyWindowError: ``auc`` or ``f1`` are not defined: one class only is expected (``f1``: and predicted).
        ConfigError: Not one of :data:`ESTIMATED`.

    Example:
        >>> one = np.ones(2)
        >>> round(expected_metric("accuracy", np.array([0.2, 0.9]), np.array([0.2, 0.9]), one)[0], 12)
        0.85
    """
    if metric not in ESTIMATED:
        raise ConfigError(f"metric {metric!r} can't be estimated: use {', '.join(ESTIMATED)}")
    if metric == "auc":
        value, slope = _auc(score, probability, rows)
    elif metric == "f1":
        value, slope = _f1(score, probability, rows)
    else:
        if_one, if_zero = _losses(metric, score)
        value = float(np.average(probability * if_one + (1.0 - probability) * if_zero, weights=rows))
        slope = (if_one - if_zero) / rows.sum()
    spread = float(np.sqrt(np.sum(rows * probability * (1.0 - probability) * np.square(slope))))
    return value, spread


def _losses(metric: EstimatedMetric, score: Array) -> tuple[Array, Array]:
    """Return what a row adds to the metric's mean if its label is 1, and if it is 0."""
    if metric == "accuracy":
        says_one = (score >= 0.5).astype(np.float64)
        return says_one, 1.0 - says_one
    if metric == "brier":
        return np.square(1.0 - score), np.square(score)
    return -np.log(np.maximum(score, _SMALLEST_PROBABILITY)), -np.log(np.maximum(1.0 - score, _SMALLEST_PROBABILITY))


def _auc(score: Array, probability: Array, rows: Array) -> tuple[float, Array]:
    starts = np.flatnonzero(np.concatenate(([True], score[1:] != score[:-1])))
    expected_ones = rows * probability
    ones, zeros = np.add.reduceat(expected_ones, starts), np.add.reduceat(rows - expected_ones, starts)
    n_ones, n_zeros = float(ones.sum()), float(zeros.sum())
    if n_ones <= 0 or n_zeros <= 0:
        raise EmptyWindowError("auc can't be estimated: the calibration expects labels of one class only")
    zeros_below = (np.cumsum(zeros) - 0.5 * zeros) / n_zeros
    ones_above = 1.0 - (np.cumsum(ones) - 0.5 * ones) / n_ones
    value = float(ones @ zeros_below) / n_ones
    slope = (zeros_below - value) / n_ones - (ones_above - value) / n_zeros
    return value, np.repeat(slope, np.diff(starts, append=len(score)))


def _f1(score: Array, probability: Array, rows: Array) -> tuple[float, Array]:
    says_one = (score >= 0.5).astype(np.float64)
    hits, n_said, n_ones = (float(rows @ part) for part in (says_one * probability, says_one, probability))
    if n_said + n_ones <= 0:
        raise EmptyWindowError("f1 can't be estimated: no 1 is predicted or expected")
    value = 2.0 * hits / (n_said + n_ones)
    return value, (2.0 * says_one - value) / (n_said + n_ones)


def _with_reference(sampling: float, n_rows: int, calibration: Calibration) -> float:
    """Add the reference's own sampling error: as if its rows were such rows too."""
    return float(sampling * np.sqrt(1.0 + n_rows / calibration.n_effective))


def _binning_error(metric: EstimatedMetric, probability: Array, rows: Array) -> float:
    """Bound the change of the value when each score moves within its bin.

    A row's expected loss is convex in its score, so that it differs most from the centre's at one end of the bin.
    """
    if metric in ("accuracy", "f1"):
        return 0.0
    if metric == "auc":
        ones, zeros = rows * probability, rows * (1.0 - probability)
        return 0.5 * float(ones @ zeros / (ones.sum() * zeros.sum()))

    def loss(score: Array) -> Array:
        if_one, if_zero = _losses(metric, score)
        return probability * if_one + (1.0 - probability) * if_zero

    half = 0.5 / N_BINS
    centre = loss(_CENTRES)
    worst = np.maximum(np.abs(loss(_CENTRES - half) - centre), np.abs(loss(_CENTRES + half) - centre))
    return float(np.average(worst, weights=rows))
