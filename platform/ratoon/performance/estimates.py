"""An estimated metric as a band that knows how wrong it has been.

The band is the wider of two: what sampling explains, and what the estimator got wrong on earlier cohorts once their
labels were known. The second is a conformal quantile of the last errors, whose level adapts after each hit or miss
(adaptive conformal inference: Gibbs and Candès, NeurIPS 2021, arXiv 2106.00170), so that over time the promised share
of realised values lies inside, whatever drifts: by their Proposition 4.1 the share of misses in T cohorts is at most
``(0.9 + step) / (step * T)`` above what is promised, since the band is the whole range of the metric when the level
reaches 0 (bands that were shown before the last misses were known may miss too, and are forgiven). What the band can't
do is to see a single change of P(y|x) before labels tell: ``trusted`` says whether past errors allow to look at it at
all, and it is never a trigger alone.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import ndtri

from ratoon.contracts.spec import Strict
from ratoon.errors import ConfigError
from ratoon.performance.estimation import ASSUMPTION, EstimatedMetric, Expected

Array = NDArray[np.float64]

LEVEL: Final = 0.9
"""Share of realised values that bands are to hold."""

MIN_CHECKED: Final = 9
"""Checked cohorts from which an error quantile of this level exists: ceil((n + 1) * 0.9) <= n."""

_STEP: Final = 0.02
_REMEMBERED: Final = 52
_QUANTILE_OF = 26
_BEYOND_SAMPLING = 2.0
_BETTER_THAN_CONSTANT = 0.75
_RANGE: Final[dict[str, tuple[float, float]]] = {
    "accuracy": (0.0, 1.0), "auc": (0.0, 1.0), "brier": (0.0, 1.0), "f1": (0.0, 1.0), "logloss": (0.0, 34.6),
}  # fmt: skip


class Checked(Strict):
    """An earlier estimate whose cohort has matured."""

    cohort: str
    value: float = Field(description="What was estimated.")
    realised: float
    sampling_error: float
    covered: bool = Field(description="Whether the band that was shown then holds the realised value.")


class EstimateHistory(Strict):
    """What is remembered of earlier estimates; one per model and metric. Round-trips through JSON.

    It goes on across versions of the model: an estimator that has been wrong is not trusted because of a new champion.
    """

    checked: list[Checked] = Field([], description="The last 52 checked estimates, oldest first.")
    miss_rate: float = Field(
        default=1.0 - LEVEL, description="The level that adapts: the share of misses aimed at next."
    )


class PastError(Strict):
    """How wrong earlier estimates were, over the last 52 checked cohorts."""

    n_cohorts: int
    mae: float | None = Field(description="Mean absolute error; None before the first check, as all below.")
    bias: float | None = Field(description="Mean of realised minus estimated: below 0, estimates were too high.")
    correlation: float | None = Field(description="Of estimated and realised values; None below 3 cohorts.")
    coverage: float | None = Field(description="Share of realised values inside the bands that were shown.")
    constant_mae: float | None = Field(
        description="Mean absolute error of saying each time that nothing changed: the reference's metric."
    )
    sampling_error: float | None = Field(description="Mean sampling error: what no estimator can avoid.")


class Estimate(Strict):
    """An estimated metric. Evidence for people and for a diagnosis; never a trigger alone."""

    metric: EstimatedMetric
    value: float
    low: float
    high: float
    level: float = Field(default=LEVEL, description="Share of realised values that such bands are to hold.")
    n_rows: int
    sampling_error: float
    binning_error: float
    assumption: str = ASSUMPTION
    weighted: bool = Field(description="Whether the reference was weighted to look like these rows.")
    past_error: PastError
    trusted: bool
    sentence: str


def make_estimate(
    metric: EstimatedMetric, expected: Expected, history: EstimateHistory, *, reference: float, weighted: bool = False
) -> Estimate:
    """Put a band around an estimate.

    Args:
        metric: What was estimated.
        expected: From :mod:`ratoon.performance.estimation`.
        history: Earlier estimates of the same model and metric.
        reference: The metric on the labelled reference: what one would say without an estimate.
        weighted: Whether the importance-weighted form was used.

    Returns:
        The band. Before 9 checked cohorts it holds the largest error so far, and is not trusted.

    Raises:
        ConfigError: The expected value is outside the metric's range, so that it is of another metric.
    """
    lowest, highest = _RANGE[metric]
    if not lowest <= expected.value <= highest:
        raise ConfigError(f"an expected value of {expected.value} is none of {metric}")
    sampling = float(ndtri(0.5 + LEVEL / 2)) * expected.sampling_error
    half = max(sampling, error_quantile(history)) + expected.binning_error
    past = past_error(history.checked, reference)
    trusted = is_trusted(past) and is_trusted(past_error(history.checked[-MIN_CHECKED:], reference))
    low, high = max(lowest, expected.value - half), min(highest, expected.value + half)
    return Estimate(
        metric=metric,
        value=expected.value,
        low=low,
        high=high,
        n_rows=expected.n_rows,
        sampling_error=expected.sampling_error,
        binning_error=expected.binning_error,
        weighted=weighted,
        past_error=past,
        trusted=trusted,
        sentence=_sentence(metric, (low, expected.value, high), past, trusted=trusted),
    )


def check(history: EstimateHistory, cohort: str, estimate: Estimate, realised: float) -> EstimateHistory:
    """Remember what came of an estimate, once its cohort has matured. A cohort that was checked before is left as it is.

    Args:
        history: State so far.
        cohort: The cohort's name.
        estimate: What was shown.
        realised: Its metric on matured rows.

    Returns:
        The state after it: after a miss the next bands are wider, after a hit a little narrower.
    """
    if any(row.cohort == cohort for row in history.checked):
        return history
    covered = estimate.low <= realised <= estimate.high
    row = Checked(
        cohort=cohort,
        value=estimate.value,
        realised=realised,
        sampling_error=estimate.sampling_error,
        covered=covered,
    )
    miss_rate = history.miss_rate + _STEP * ((1.0 - LEVEL) - (0.0 if covered else 1.0))
    return EstimateHistory(checked=[*history.checked, row][-_REMEMBERED:], miss_rate=max(miss_rate, -_STEP))


def error_quantile(history: EstimateHistory) -> float:
    """Return the error that the next estimate is not to exceed; infinite when the adapted level is 0 or less.

    It is a quantile of the last 26 errors, so that a second large error in half a year of weeks already makes it large.
    """
    errors = np.sort([abs(row.realised - row.value) for row in history.checked[-_QUANTILE_OF:]])
    if not len(errors):
        return 0.0
    if history.miss_rate <= 0:
        return float("inf")
    rank = int(np.ceil((len(errors) + 1) * (1.0 - min(history.miss_rate, 1.0)) - 1e-9))
    return float(errors[min(max(rank, 1), len(errors)) - 1])


def past_error(rows: Sequence[Checked], reference: float) -> PastError:
    """Summarise how wrong earlier estimates were; ``reference`` is the metric on the labelled reference."""
    if not rows:
        return PastError(
            n_cohorts=0, mae=None, bias=None, correlation=None, coverage=None, constant_mae=None, sampling_error=None
        )
    said, came = np.array([row.value for row in rows]), np.array([row.realised for row in rows])
    return PastError(
        n_cohorts=len(rows),
        mae=float(np.abs(came - said).mean()),
        bias=float((came - said).mean()),
        correlation=_correlation(said, came),
        coverage=float(np.mean([row.covered for row in rows])),
        constant_mae=float(np.abs(came - reference).mean()),
        sampling_error=float(np.mean([row.sampling_error for row in rows])),
    )


def is_trusted(past: PastError) -> bool:
    """Return whether past errors allow to look at an estimate; asked of all remembered errors, and of the last 9.

    At least 9 cohorts were checked, and the mean absolute error is at most twice the sampling error, or a quarter
    smaller than that of saying that nothing changed.
    """
    if past.n_cohorts < MIN_CHECKED or past.mae is None or past.sampling_error is None or past.constant_mae is None:
        return False
    return past.mae <= max(_BEYOND_SAMPLING * past.sampling_error, _BETTER_THAN_CONSTANT * past.constant_mae)


def _correlation(said: Array, came: Array) -> float | None:
    if len(came) < 3 or float(np.std(said)) == 0 or float(np.std(came)) == 0:
        return None
    return float(np.corrcoef(said, came)[0, 1])


def _sentence(metric: str, band: tuple[float, float, float], past: PastError, *, trusted: bool) -> str:
    low, value, high = band
    said = f"{metric} is estimated at {value:.4g} ({low:.4g} to {high:.4g}); this {ASSUMPTION}."
    if past.mae is None or past.coverage is None or past.constant_mae is None:
        return f"{said} No earlier estimate could be checked yet, so don't rely on it."
    checked = f"Earlier estimates ({past.n_cohorts} checked) were"
    record = f"{checked} off by {past.mae:.4g} on average, {past.coverage:.0%} inside their bands"
    if trusted:
        return f"{said} {record}."
    if past.n_cohorts < MIN_CHECKED:
        return f"{said} {record}: too few to rely on."
    return f"{said} {record}; saying that nothing changed would have been off by {past.constant_mae:.4g}: don't rely on it."
