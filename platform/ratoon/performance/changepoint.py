"""Has the model become worse, since when, and by how much? One look per matured cohort; improvements are ignored.

Method: the change-point model for statistical process control with unknown mean and variance (Hawkins, Qiu and Kang,
Journal of Quality Technology 35(4), 2003), one-sided. After each cohort, the last m = 1, 2, 3, 4, 6, 8, 12, ... cohorts
are compared with all before them by a two-sample t statistic over cohort means (of the square root of the loss: means
of bad weeks are skewed to the right, the root of a squared error is in the label's unit, and a share's root has a
variance that doesn't depend on it). The budget is split over looks in equal parts, and a look's part over its
candidates (Bonferroni), so that by the union bound the chance of any false alarm in ``per_cohorts`` consecutive looks
is at most ``false_alarms`` when these are independent and normal around one mean: whatever that mean and variance are,
from the first look on.

Real cohorts share weather and season, so that means differ by more than sampling explains, and neighbours are alike:

* The variance between cohorts is estimated from the cohorts (never below what sampling explains); rows only say how
  much a cohort's mean is worth. Tests over rows call every week of bad weather a change.
* Lag-1 autocorrelation is estimated from the residuals around both means, corrected for its downward bias (Kendall,
  Biometrika 41, 1954), shrunk towards 0.3 with the weight of 10 cohorts (the flights example has 0.4 by week), and
  inflates the variance of both means.
* Skewness to the right that is left is taken out of the statistic by Wilson and Hilferty's cube root.
* One wild cohort is not a change: a single one needs twenty times the evidence, and several must be worse without
  their worst one too.

Simulated with this budget (5 % of 100 runs a quarter): 0 - 1 % on independent noise, 5 % at an autocorrelation of 0.5
and on skewed noise, but 10 % at 0.7, which eight cohorts can't tell from a change.

Why not a detector of river's? ``tests/benchmarks/bench_changepoint.py`` has them beside this (20 runs of 52 weeks with
300 rows). Over rows they are as fast: a rise of the error from 0.15 to 0.25 is found in 2 weeks by all but DDM. But rows
of one week are not independent, and so on real weeks of flights in random order 90 - 100 % of the runs of ADWIN,
Page-Hinkley, DDM and both HDDM have a false alarm within the year, 3 to 8 of them; here it is 10 % of runs. Over weekly
means ADWIN and Page-Hinkley (default settings) never alarm at all, since they wait for more values than a year has. The
price of knowing the weather: with weekly deviations of 0.03 the same rise takes 6 weeks instead of 2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import stdtr

from ratoon.contracts.spec import Strict
from ratoon.evaluation.metrics import row_losses

Array = NDArray[np.float64]

_KEPT: Final = 260
_LEAST_BEFORE = 3
_SKEW_PRIOR_COHORTS = 10.0
_RHO_PRIOR, _RHO_PRIOR_COHORTS, _RHO_MOST = 0.3, 10.0, 0.8
_SINGLE_COHORT_WEIGHT = 0.05
_WITHOUT_WORST = 0.5
_NOISE_KEPT_DF = 52.0
_PLAUSIBLE = 3.84
"""Likelihood ratio within which another beginning is plausible (the 95 % point of chi-square with one degree)."""


class ChangeSettings(Strict):
    """How often a false alarm may be, and what counts as worse."""

    false_alarms: float = Field(
        0.05, gt=0, lt=1, description="Chance of any false alarm in per_cohorts looks when nothing changed."
    )
    per_cohorts: int = Field(13, ge=1, description="Looks that the budget is for; 13 weekly cohorts are a quarter.")
    min_before: int = Field(
        8,
        ge=3,
        description="Cohorts before a change, without which nothing is judged; those of earlier versions count too, but "
        "at least 3 must be this one's.",
    )
    min_worse: float = Field(
        0.02, ge=0, description="Smallest worsening that matters, as a share of the loss before it."
    )

    @property
    def alpha(self) -> float:
        """Return the chance of a false alarm that one look may spend."""
        return self.false_alarms / self.per_cohorts


class CohortLoss(Strict):
    """The matured loss of one cohort."""

    cohort: str
    loss: float = Field(ge=0, allow_inf_nan=False, description="Mean loss of its matured rows; smaller is better.")
    n_rows: int = Field(ge=1, description="Matured rows.")
    variance: float = Field(ge=0, allow_inf_nan=False, description="Variance of the loss over rows.")


class Noise(Strict):
    """What earlier versions' cohorts told about how the roots of cohort losses differ while nothing changes."""

    squares: float = Field(0.0, ge=0, description="Sum of squared residuals.")
    products: float = Field(default=0.0, description="Sum of products of neighbouring residuals.")
    freedom: float = Field(0.0, ge=0, description="Degrees of freedom of the squares.")


class ChangeState(Strict):
    """The cohorts of one version in time order, and the noise of earlier ones. Round-trips through JSON."""

    cohorts: list[CohortLoss] = []
    noise: Noise = Noise()


class ChangeVerdict(Strict):
    """Whether the loss rose, since when, and by how much."""

    judged: bool
    alarm: bool
    n_cohorts: int
    began: str | None = Field(
        None,
        description="The first cohort after the most likely change; None, as all about it, where p_value is above alpha.",
    )
    began_earliest: str | None = Field(None, description="The first of the beginnings that are plausible too (95 %).")
    began_latest: str | None = None
    before: float | None = Field(None, description="Mean loss before it.")
    after: float | None = Field(None, description="Mean loss since.")
    worse_by: float | None = Field(None, description="after - before.")
    standard_error: float | None = Field(None, description="Of worse_by, between cohorts.")
    p_value: float | None = Field(None, description="Of this look, corrected for all beginnings that were tried.")
    alpha: float = Field(description="What p_value is compared with: this look's part of the budget.")
    sentence: str


def cohort_loss(cohort: str, metric: str, label: NDArray[np.generic], score: NDArray[np.generic]) -> CohortLoss | None:
    """Compute a cohort's loss from its matured rows; None without any.

    Args:
        cohort: Its name.
        metric: The model's metric. ``auc`` has no loss per row: the Brier loss stands for it, which also sees a model
            that ranks well and promises wrongly.
        label: As in :mod:`ratoon.evaluation.metrics`.
        score: The same.

    Raises:
        DataError: As :func:`ratoon.evaluation.metrics.row_losses`.
    """
    if not len(label):
        return None
    losses = row_losses("brier" if metric == "auc" else metric, label, score)  # type: ignore[arg-type]
    return CohortLoss(cohort=cohort, loss=float(losses.mean()), n_rows=len(losses), variance=float(losses.var()))


def observe(state: ChangeState, cohort: CohortLoss) -> ChangeState:
    """Add a cohort behind the others; one that is there already is replaced in its place, since labels keep coming.

    The oldest cohorts are forgotten beyond 260.
    """
    names = [known.cohort for known in state.cohorts]
    if cohort.cohort in names:
        place = names.index(cohort.cohort)
        cohorts = [*state.cohorts[:place], cohort, *state.cohorts[place + 1 :]]
    else:
        cohorts = [*state.cohorts, cohort][-_KEPT:]
    return state.model_copy(update={"cohorts": cohorts})


def restart(state: ChangeState) -> ChangeState:
    """Begin anew, as after a promotion: cohorts are forgotten, what they told about noise is kept.

    Residuals are taken around the two means of the most likely change, so that a change is not taken for noise; what
    earlier versions told fades once it is worth more than 52 cohorts.
    """
    root, _ = _roots(state)
    if len(root) < 4:
        return ChangeState(noise=state.noise)
    residual = _residuals(root, int(np.argmin([_squares(root, start) for start in range(1, len(root))])) + 1)
    old = state.noise
    keep = min(1.0, _NOISE_KEPT_DF / old.freedom) if old.freedom else 1.0
    return ChangeState(
        noise=Noise(
            squares=old.squares * keep + float(residual @ residual),
            products=old.products * keep + float(residual[1:] @ residual[:-1]),
            freedom=old.freedom * keep + len(root) - 2,
        )
    )


def judge_change(state: ChangeState, settings: ChangeSettings) -> ChangeVerdict:
    """Look once, after a cohort has matured.

    Args:
        state: The version's cohorts in time order.
        settings: The budget and what counts as worse.

    Returns:
        The verdict on the most significant of the beginnings that were tried. An alarm stays until the state is
        restarted or the loss has come back.
    """
    root, sampling = _roots(state)
    needed = _needed_before(state, settings)
    sizes = _candidates(len(root), needed)
    if not sizes:
        text = f"A change is not judged yet: {len(root)} matured cohorts of {needed + 1}."
        return ChangeVerdict(judged=False, alarm=False, n_cohorts=len(root), alpha=settings.alpha, sentence=text)
    weights = np.array([_SINGLE_COHORT_WEIGHT if size == 1 else 1.0 for size in sizes])
    splits = [_compare(root, sampling, len(root) - size, state.noise) for size in sizes]
    corrected = [min(1.0, split.p_value / share) for split, share in zip(splits, weights / weights.sum(), strict=True)]
    best = int(np.argmin(corrected))
    return _verdict(state, settings, splits[best], corrected[best])


def _roots(state: ChangeState) -> tuple[Array, Array]:
    """Return the root of each cohort's loss, and its variance from sampling (delta method)."""
    loss = np.array([cohort.loss for cohort in state.cohorts], dtype=np.float64)
    sampling = np.array([cohort.variance / cohort.n_rows for cohort in state.cohorts], dtype=np.float64)
    return np.sqrt(loss), np.divide(sampling, 4.0 * loss, out=np.zeros(len(loss)), where=loss > 0)


@dataclass(frozen=True, slots=True)
class _Split:
    """The cohorts from ``start`` on against all before; ``error`` is of the difference of the roots."""

    start: int
    error: float
    p_value: float
    rho: float


def _needed_before(state: ChangeState, settings: ChangeSettings) -> int:
    return max(_LEAST_BEFORE, math.ceil(settings.min_before - state.noise.freedom))


def _candidates(n: int, min_before: int) -> list[int]:
    """Return the sizes of the newest part that are tried: 1, 2, 3, 4, 6, 8, 12, 16, ...; half as many again each time."""
    sizes = [1, 2, 3] + [base << power for power in range(12) for base in (4, 6)]
    return [size for size in sorted(sizes) if size <= n - min_before]


def _compare(root: Array, sampling: Array, start: int, noise: Noise) -> _Split:
    residual = _residuals(root, start)
    rho = _autocorrelation(residual, noise)
    sizes = (start, len(root) - start)
    freedom = len(root) - sum(_inflation(size, rho) for size in sizes) + noise.freedom
    pooled = (float(residual @ residual) + noise.squares) / max(freedom, 1.0)
    variance = max(0.0, pooled - float(sampling.mean())) + sampling
    effective = max(2.0, freedom * (1.0 - rho**2) / (1.0 + rho**2))
    before, error_before = _mean(root[:start], variance[:start], rho)
    after, error_after = _mean(root[start:], variance[start:], rho)
    error = math.sqrt(error_before + error_after)
    gaps = [after - before]
    if sizes[1] > 1:
        rest = np.sort(root[start:])[:-1]
        gaps.append((float(rest.mean()) - before) / _WITHOUT_WORST)
    statistic = min(gaps) / error if error > 0 else math.copysign(math.inf, min(gaps)) if min(gaps) else 0.0
    skew = _skewness(residual) * (sizes[1] ** -2 - start**-2) / (1 / sizes[1] + 1 / start) ** 1.5
    return _Split(start, error, float(stdtr(effective, -_unskewed(statistic, skew))), rho)


def _skewness(residual: Array) -> float:
    """Return the skewness to the right, shrunk towards 0 with the weight of 10 cohorts."""
    spread = float(np.mean(np.square(residual)))
    if spread <= 0:
        return 0.0
    raw = float(np.mean(residual**3)) / spread**1.5
    return float(max(0.0, raw) * len(residual) / (len(residual) + _SKEW_PRIOR_COHORTS))


def _unskewed(statistic: float, skew: float) -> float:
    """Return the normal score of a standardised sum that is skewed to the right (Wilson and Hilferty's cube root)."""
    if skew < 1e-6 or statistic <= 0 or math.isinf(statistic):
        return statistic
    return float(6.0 / skew * (np.cbrt(1.0 + 0.5 * skew * statistic) - 1.0) + skew / 6.0)


def _mean(values: Array, variance: Array, rho: float) -> tuple[float, float]:
    """Return the weighted mean of some neighbouring cohorts and the variance of that mean."""
    if not variance.all():
        return float(values.mean()), float(variance.mean()) / len(values)
    weight = 1.0 / variance
    return float(values @ weight / weight.sum()), float(_inflation(len(values), rho) / weight.sum())


def _inflation(n: int, rho: float) -> float:
    """Return by which factor lag-1 autocorrelation raises the variance of a mean of n (AR(1))."""
    left = 1.0 - rho
    return 1.0 + 2.0 * (rho / left - rho * (1.0 - rho**n) / (n * left**2))


def _autocorrelation(residual: Array, noise: Noise) -> float:
    squares = float(residual @ residual) + noise.squares
    if squares <= 0:
        return _RHO_PRIOR
    n = len(residual) + noise.freedom
    raw = (float(residual[1:] @ residual[:-1]) + noise.products) / squares
    corrected = raw + 2.0 * (1.0 + 3.0 * raw) / n
    shrunk = (n * corrected + _RHO_PRIOR_COHORTS * _RHO_PRIOR) / (n + _RHO_PRIOR_COHORTS)
    return min(max(shrunk, 0.0), _RHO_MOST)


def _residuals(loss: Array, start: int) -> Array:
    return np.concatenate([loss[:start] - loss[:start].mean(), loss[start:] - loss[start:].mean()])


def _squares(loss: Array, start: int) -> float:
    residual = _residuals(loss, start)
    return float(residual @ residual)


def _beginnings(root: Array, split: _Split, min_before: int) -> tuple[int, int, int]:
    """Return the most likely beginning of a rise near a split, and the first and last plausible ones."""
    starts = [s for s in range(min_before, len(root)) if root[s:].mean() > root[:s].mean()] or [split.start]
    squares = np.array([_squares(root, start) for start in starts])
    best = int(np.argmin(squares))
    independent = len(root) * (1.0 - split.rho) / (1.0 + split.rho)
    floor = max(float(squares[best]), 1e-300)
    plausible = np.flatnonzero(independent * np.log(np.maximum(squares, 1e-300) / floor) <= _PLAUSIBLE)
    return starts[best], starts[int(plausible[0])], starts[int(plausible[-1])]


def _verdict(state: ChangeState, settings: ChangeSettings, split: _Split, p_value: float) -> ChangeVerdict:
    names = [cohort.cohort for cohort in state.cohorts]
    if p_value > settings.alpha:
        text = f"No worsening over {len(names)} matured cohorts (p {p_value:.2g}, an alarm needs {settings.alpha:.2g})."
        return ChangeVerdict(
            judged=True, alarm=False, n_cohorts=len(names), p_value=p_value, alpha=settings.alpha, sentence=text
        )
    loss = np.array([cohort.loss for cohort in state.cohorts])
    began, earliest, latest = _beginnings(np.sqrt(loss), split, _needed_before(state, settings))
    before, after = float(loss[:began].mean()), float(loss[began:].mean())
    alarm = after - before > settings.min_worse * abs(before)
    return ChangeVerdict(
        judged=True,
        alarm=alarm,
        n_cohorts=len(names),
        began=names[began],
        began_earliest=names[earliest],
        began_latest=names[latest],
        before=before,
        after=after,
        worse_by=after - before,
        standard_error=2.0 * math.sqrt(float(loss.mean())) * split.error,
        p_value=p_value,
        alpha=settings.alpha,
        sentence=_sentence(names, began, (before, after), settings.min_worse, alarm=alarm)
        + f" (p {p_value:.2g}, an alarm needs {settings.alpha:.2g}).",
    )


def _sentence(names: Sequence[str], began: int, means: tuple[float, float], min_worse: float, *, alarm: bool) -> str:
    before, after = means
    share = f" ({(after - before) / before:.1%})" if before else ""
    rise = f"from {before:.4g} to {after:.4g}{share} with cohort {names[began]}, {len(names) - began} of {len(names)} cohorts ago"
    return f"The loss rose {rise}" if alarm else f"The loss rose {rise}, less than the {min_worse:.1%} that matter"
