"""Scores of a binary model by label, counted in bins, so that its metrics need no raw row again. Counts add up.

The sums beside the counts are exact: see :mod:`ratoon.performance.sums`.
"""

from collections.abc import Iterable
from typing import Annotated, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ratoon.contracts.spec import Strict
from ratoon.errors import ConfigError, DataError
from ratoon.evaluation.metrics import row_losses
from ratoon.performance.sums import NO_LABEL, UNIT, Bounded, ClassSums, ErrorSums, check_metric, exactly, whole_sum

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

N_BINS: Final = 200
"""Equal bins on 0..1: bin i holds i/200 <= score < (i+1)/200, the last one 1 too. 0.5 is an edge."""

_HALF = N_BINS // 2


class ScoreHistogram(Strict):
    """Scores of a binary model by label, and exact sums beside them.

    Each triple is (label 0, label 1, label unknown).
    """

    kind: Literal["binary"] = "binary"
    zeros: Annotated[list[int], Field(min_length=N_BINS, max_length=N_BINS)] = Field(
        description="Rows of label 0 per bin."
    )
    ones: Annotated[list[int], Field(min_length=N_BINS, max_length=N_BINS)] = Field(
        description="Rows of label 1 per bin."
    )
    unknown: Annotated[list[int], Field(min_length=N_BINS, max_length=N_BINS)] = Field(
        description="Rows per bin whose label isn't known yet."
    )
    score: tuple[int, int, int] = Field(description="Sum of the scores, in 2^-30.")
    score2: tuple[int, int, int] = Field(description="Sum of the squared scores, in 2^-30.")
    logloss: tuple[int, int] = Field(description="Sum of the log losses of label 0 and of label 1, in 2^-30.")

    @property
    def n_rows(self) -> int:
        """Return the number of scored rows."""
        return self.n_matured + sum(self.unknown)

    @property
    def n_matured(self) -> int:
        """Return the number of rows whose label is known."""
        return sum(self.zeros) + sum(self.ones)

    @property
    def mean_score(self) -> float | None:
        """Return the mean score of all rows, labelled or not; None without rows."""
        return sum(self.score) / UNIT / self.n_rows if self.n_rows else None

    @property
    def label_rate(self) -> float | None:
        """Return the share of ones among labelled rows; None without any."""
        return sum(self.ones) / self.n_matured if self.n_matured else None

    def metric(self, name: str) -> Bounded:
        """Return a metric of the labelled rows.

        Args:
            name: ``accuracy`` (threshold 0.5), ``brier`` and ``logloss`` are exact; ``auc`` is bounded, and its value
                counts two rows of one bin as a tie.

        Raises:
            ConfigError: Not a metric of binary models.
        """
        check_metric("binary", name)
        if not self.n_matured:
            return NO_LABEL
        match name:
            case "accuracy":
                return exactly((sum(self.zeros[:_HALF]) + sum(self.ones[_HALF:])) / self.n_matured)
            case "logloss":
                return exactly(sum(self.logloss) / UNIT / self.n_matured)
            case "brier":
                squares = self.score2[0] + self.score2[1] - 2 * self.score[1]
                return exactly((squares / UNIT + sum(self.ones)) / self.n_matured)
            case _:
                return self._auc()

    def _auc(self) -> Bounded:
        zeros, ones = np.array(self.zeros, dtype=np.float64), np.array(self.ones, dtype=np.float64)
        pairs = float(zeros.sum() * ones.sum())
        if pairs == 0:
            reason = f"all {self.n_matured} labelled rows have the same label"
            return Bounded(value=None, low=None, high=None, reason=reason)
        won, tied = float(ones @ (np.cumsum(zeros) - zeros)), float(ones @ zeros)
        return Bounded(value=(won + tied / 2) / pairs, low=won / pairs, high=(won + tied) / pairs)

    def calibration(self, n_groups: int = 10) -> list["CalibrationRow"]:
        """Return what scores promised and what came, by equal ranges of the score; ranges without a label are left out.

        Args:
            n_groups: A divisor of 200.

        Raises:
            ConfigError: The bins don't divide into so many groups.
        """
        if n_groups < 1 or N_BINS % n_groups:
            raise ConfigError(f"{N_BINS} bins don't divide into {n_groups} groups; use a divisor such as 10 or 20")
        zeros, ones = (np.array(part, dtype=np.int64) for part in (self.zeros, self.ones))
        n = (zeros + ones).reshape(n_groups, -1)
        centre = ((np.arange(N_BINS) + 0.5) / N_BINS).reshape(n_groups, -1)
        came = ones.reshape(n_groups, -1).sum(axis=1)
        return [
            CalibrationRow(
                low=group / n_groups,
                high=(group + 1) / n_groups,
                n_rows=int(n[group].sum()),
                promised=float(n[group] @ centre[group] / n[group].sum()),
                came=float(came[group] / n[group].sum()),
            )
            for group in np.flatnonzero(n.sum(axis=1)).tolist()
        ]

    def calibration_error(self, n_groups: int = 10) -> Bounded:
        """Return the expected calibration error: the mean gap of promised and came, weighted by rows.

        A score may lie half a bin from its bin's centre, so that the bounds are 0.0025 from the value at most.
        """
        rows = self.calibration(n_groups)
        if not rows:
            return NO_LABEL
        value = sum(row.n_rows * abs(row.promised - row.came) for row in rows) / self.n_matured
        return Bounded(value=value, low=max(0.0, value - 0.5 / N_BINS), high=min(1.0, value + 0.5 / N_BINS))

    def __add__(self, other: Self) -> "ScoreHistogram":
        return merge_histograms([self, other])

    def __sub__(self, other: Self) -> "ScoreHistogram":
        """Take the rows of a part out of the whole; exact.

        Raises:
            DataError: The other is no part of this one: a count would fall below 0.
        """
        return _from_arrays(_counts(self) - _counts(other), _sums(self, other, sign=-1))

    @model_validator(mode="after")
    def _counts_are_not_negative(self) -> Self:
        if min(*self.zeros, *self.ones, *self.unknown) < 0:
            raise ValueError("a count of rows is negative")
        return self


class CalibrationRow(Strict):
    """One range of scores: what they promised and what came."""

    low: float
    high: float
    n_rows: int
    promised: float = Field(description="Mean score of the labelled rows (each at its bin's centre).")
    came: float = Field(description="Share of ones among them.")


ScoreSums = Annotated[ScoreHistogram | ErrorSums | ClassSums, Field(discriminator="kind")]
"""What is kept of scored rows, by task."""


def score_histogram(score: NDArray[np.generic], label: NDArray[np.generic]) -> ScoreHistogram:
    """Count a binary model's scores by label.

    Args:
        score: Probabilities of 1, finite, in [0, 1], shape (n,).
        label: 0/1, or NaN where it isn't known yet, shape (n,).

    Raises:
        DataError: A score is no probability, a label is neither 0, 1 nor NaN, or shapes differ.
    """
    scores, labels = _checked(score, label)
    group = np.where(np.isnan(labels), 2, labels).astype(np.int64)
    cell = group * N_BINS + bin_of(scores)
    known = group < 2
    losses = np.zeros(len(scores))
    losses[known] = row_losses("logloss", labels[known], scores[known])
    sums = np.array([_whole(values, group) for values in (scores, np.square(scores), losses)], dtype=object)
    return _from_arrays(np.bincount(cell, minlength=3 * N_BINS).reshape(3, N_BINS), sums)


def merge_histograms(histograms: Iterable[ScoreHistogram]) -> ScoreHistogram:
    """Return the histogram of all rows together; of none, an empty one. Exact, in any order."""
    parts = list(histograms)
    counts = np.zeros((3, N_BINS), dtype=np.int64)
    for part in parts:
        counts += _counts(part)
    return _from_arrays(counts, _sums(*parts))


def bin_of(scores: Array) -> Counts:
    """Return each score's bin, 0..199; scores are in [0, 1]."""
    return np.minimum((scores * N_BINS).astype(np.int64), N_BINS - 1)


def _counts(histogram: ScoreHistogram) -> Counts:
    return np.array([histogram.zeros, histogram.ones, histogram.unknown], dtype=np.int64)


def _sums(*parts: ScoreHistogram, sign: int = 1) -> NDArray[np.object_]:
    """Add up the whole-number sums, those after the first times ``sign``; Python integers, which can't overflow."""
    total = np.zeros((3, 3), dtype=object)
    for place, part in enumerate(parts):
        rows = np.array([part.score, part.score2, (*part.logloss, 0)], dtype=object)
        total = total + rows * (sign if place else 1)
    return total


def _from_arrays(counts: Counts, sums: NDArray[np.object_]) -> ScoreHistogram:
    if counts.min() < 0:
        raise DataError("the histogram to subtract is no part of the other: a count of rows would be negative")
    zeros, ones, unknown = counts.tolist()
    score, score2, (loss_0, loss_1, _) = sums.tolist()
    return ScoreHistogram(zeros=zeros, ones=ones, unknown=unknown, score=score, score2=score2, logloss=(loss_0, loss_1))


def _whole(values: Array, group: Counts) -> list[int]:
    return [whole_sum(values[group == number]) for number in range(3)]


def _checked(score: NDArray[np.generic], label: NDArray[np.generic]) -> tuple[Array, Array]:
    scores, labels = np.asarray(score, dtype=np.float64), np.asarray(label, dtype=np.float64)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise DataError(f"scores {scores.shape} and labels {labels.shape} do not fit; expected one shape (n,)")
    if not np.isfinite(scores).all() or bool(((scores < 0) | (scores > 1)).any()):
        raise DataError("scores must be probabilities in [0, 1], and none may be null or NaN")
    if not bool((np.isnan(labels) | (labels == 0) | (labels == 1)).all()):
        raise DataError("labels must be 0, 1, or NaN where they aren't known yet")
    return scores, labels
