"""How long labels take, learned from data: which share of a cohort is known by age, and when there will be enough.

Ages are counted in bins that are 4.4 % wide (16 per doubling, from a minute to 16 years), the same for every model,
so that counts of cohorts add up. The share by age is Kaplan and Meier's estimate (Journal of the American Statistical
Association 53, 1958): a row without a label is censored at its age, and only bins that a cohort has lived through
count. Rows that never get a label leave a plateau below 1.

Rows of a cohort get their labels together (one file brings a day), so that intervals come from how earlier cohorts
differed, never from the number of rows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.errors import ConfigError, DataError
from ratoon.instants import Instant

Array = NDArray[np.float64]

MIN_COHORTS: Final = 3
"""Earlier cohorts from which a forecast is made."""

_FIRST_S: Final = 60.0
_PER_DOUBLING: Final = 16
_N_BINS: Final = 23 * _PER_DOUBLING + 1
_TAILS: Final = (0.1, 0.9)
_OLD_ENOUGH = 1.5
_BEHIND = 0.05


class CohortDelays(Strict):
    """One cohort's labels by the age at which they became known. Round-trips through JSON; a few dozen numbers."""

    cohort: str
    scored_at: Instant = Field(description="When its last row was scored.")
    as_of: Instant = Field(description="Labels that became known later are not counted.")
    n_rows: int = Field(ge=0)
    known: dict[int, int] = Field(description="Rows whose label became known, by the bin of their age; zeros left out.")

    @property
    def n_known(self) -> int:
        """Return the number of rows whose label is known."""
        return sum(self.known.values())

    @property
    def age_s(self) -> float:
        """Return the cohort's age as of its time, in seconds, at least 0."""
        return max(0.0, (self.as_of - self.scored_at).total_seconds())

    def until(self, as_of: datetime) -> "CohortDelays":
        """Return the cohort as it stands at a later time when no more labels came."""
        return self.model_copy(update={"as_of": as_of})


class Forecast(Strict):
    """When a cohort will have enough labels."""

    cohort: str
    share_known: float
    share_needed: float
    enough: bool
    late: bool = Field(
        description="It is more than 5 points behind nine in ten of the others at its age: a file of labels may be missing."
    )
    at: Instant | None = Field(description="By about then; None when never, or when it can't be said.")
    low: Instant | None = Field(
        description="The early end: a tenth of earlier cohorts were faster; None while too few are old enough."
    )
    high: Instant | None = Field(description="The late end: a tenth were slower; None: later than was seen.")
    ceiling: float | None = Field(description="Share that is expected in the end; None when it can't be said.")
    n_cohorts: int = Field(description="Earlier cohorts that it rests on.")
    sentence: str


@dataclass(frozen=True, slots=True)
class Maturity:
    """The share of a cohort that is labelled by age.

    Attributes:
        share: By bin, never falling; constant after the oldest age that was seen, shape (bins,).
        observed_s: The oldest age that was seen, in seconds: beyond it nothing is known.
        cohorts: One share per bin for each cohort, NaN beyond its own age, shape (cohorts, bins).
        names: Of these cohorts.
        n_rows: Rows that it was learned from.
    """

    share: Array
    observed_s: float
    cohorts: Array
    names: tuple[str, ...]
    n_rows: int

    @property
    def n_cohorts(self) -> int:
        """Return the number of cohorts that it was learned from."""
        return len(self.names)

    def others(self, cohort: str) -> Array:
        """Return the shares of all cohorts but one."""
        return self.cohorts[[name != cohort for name in self.names]]

    def expected_share(self, age_s: float) -> float | None:
        """Return the expected share of labels known at an age; None while too few cohorts were seen.

        Beyond the oldest age that was seen it is the last share: a lower bound.
        """
        return float(_at(self.share, age_s)) if self.n_cohorts >= MIN_COHORTS else None


def bin_of_age(age_s: Array) -> NDArray[np.int64]:
    """Return the bin of each age in seconds; ages below a minute, negative ones too, are in bin 0."""
    doublings = np.log2(np.maximum(age_s, _FIRST_S) / _FIRST_S)
    return np.minimum(np.ceil(doublings * _PER_DOUBLING - 1e-9).astype(np.int64), _N_BINS - 1)


def end_of_bin(number: int) -> float:
    """Return the largest age of a bin, in seconds."""
    return float(_FIRST_S * 2.0 ** (number / _PER_DOUBLING))


def cohort_delays(rows: pl.DataFrame, cohort: str, *, as_of: datetime) -> CohortDelays:
    """Count a cohort's labels by age.

    Args:
        rows: One row per prediction, any order. ``scored_at`` Datetime with a zone, never null; ``known_at`` the same,
            null where the label isn't known; one after ``as_of`` counts as unknown, one before the scoring as age 0.
        cohort: Its name.
        as_of: The time of the question.

    Raises:
        DataError: A column is missing, ``scored_at`` is null, or there is no row.
    """
    missing = [name for name in ("scored_at", "known_at") if name not in rows.columns]
    if missing or rows.is_empty() or rows["scored_at"].null_count():
        raise DataError(
            f"cohort {cohort!r}: label delays need rows with scored_at (never null) and known_at; missing: {missing}, "
            f"{rows.height} rows"
        )
    known = rows.filter(pl.col("known_at") <= as_of)
    age = (known["known_at"] - known["scored_at"]).dt.total_microseconds().to_numpy() / 1e6
    bins, counts = np.unique(bin_of_age(age), return_counts=True)
    scored_at: datetime = rows["scored_at"].max()  # type: ignore[assignment]
    return CohortDelays(
        cohort=cohort,
        scored_at=scored_at,
        as_of=as_of,
        n_rows=rows.height,
        known=dict(zip(bins.tolist(), counts.tolist(), strict=True)),
    )


def learn_maturity(cohorts: Sequence[CohortDelays]) -> Maturity:
    """Learn how long labels take.

    Args:
        cohorts: Each once, as of one time (:meth:`CohortDelays.until`); empty cohorts and those younger than a minute
            say nothing.

    Returns:
        The share by age. It holds no forecast while fewer than 3 cohorts were seen.
    """
    seen = [cohort for cohort in cohorts if cohort.n_rows and _lived_through(cohort)]
    events, at_risk = np.zeros(_N_BINS), np.zeros(_N_BINS)
    curves = np.full((len(seen), _N_BINS), np.nan)
    for place, cohort in enumerate(seen):
        lived = _lived_through(cohort)
        counts = np.zeros(_N_BINS)
        counts[list(cohort.known)] = list(cohort.known.values())
        so_far = np.cumsum(counts)
        events[:lived] += counts[:lived]
        at_risk[:lived] += cohort.n_rows - (so_far - counts)[:lived]
        curves[place, :lived] = so_far[:lived] / cohort.n_rows
    hazard = np.divide(events, at_risk, out=np.zeros(_N_BINS), where=at_risk > 0)
    oldest = max((cohort.age_s for cohort in seen), default=0.0)
    share: Array = np.subtract(1.0, np.cumprod(1.0 - hazard), dtype=np.float64)
    names = tuple(cohort.cohort for cohort in seen)
    return Maturity(share, oldest, curves, names, sum(cohort.n_rows for cohort in seen))


def enough_by(
    cohort: CohortDelays, maturity: Maturity, *, share: float | None = None, n_needed: int | None = None
) -> Forecast:
    """Forecast when enough labels of a cohort will be known.

    What is open follows the course of earlier cohorts from this one's age on: of the rows that were open then, the
    same share gets its label by each later age. A cohort that is well behind the others is called late instead.

    Args:
        cohort: The cohort as it stands.
        maturity: From earlier cohorts of the same dataset.
        share: Share of the cohort that is needed, in (0, 1]; or
        n_needed: that number of its rows.

    Returns:
        When, with an early and a late end from how earlier cohorts differed (the tenth and the ninetieth percentile;
        the fastest and slowest of fewer than 10), and one sentence.

    Raises:
        ConfigError: Not exactly one of ``share`` and ``n_needed`` is given, it isn't positive, or the cohort is empty.
    """
    if (share is None) == (n_needed is None) or not cohort.n_rows:
        raise ConfigError("say either which share or how many labels are needed, of a cohort that has rows")
    needed = share if share is not None else (n_needed or 0) / cohort.n_rows
    if needed <= 0:
        raise ConfigError(f"a share of {needed} labels is always known; ask for more than 0")
    known = cohort.n_known / cohort.n_rows
    late, usual = _is_late(maturity.others(cohort.cohort), cohort.age_s, known)
    onwards = maturity.share if late else _onwards(maturity.share, cohort.age_s, known)
    ceiling = float(onwards[-1]) if maturity.n_cohorts >= MIN_COHORTS else None
    open_question = ceiling is not None and known < needed and not late
    ages = _ends(maturity, cohort.age_s, known, needed) if open_question else (math.inf,) * 3
    moments = [_after(cohort.scored_at, age) for age in ages]
    found = {
        "share_known": known,
        "share_needed": needed,
        "enough": known >= needed,
        "at": moments[0],
        "low": moments[1],
        "high": moments[2],
        "late": late,
        "ceiling": ceiling,
        "n_cohorts": maturity.n_cohorts,
    }
    return Forecast.model_validate({"cohort": cohort.cohort, **found, "sentence": _sentence(found, usual)})


def _lived_through(cohort: CohortDelays) -> int:
    """Return how many bins the cohort has lived through to their end."""
    age = cohort.age_s
    if age < _FIRST_S:
        return 0
    return min(math.floor(math.log2(age / _FIRST_S) * _PER_DOUBLING + 1e-9) + 1, _N_BINS)


def _at(curve: Array, age_s: float) -> float:
    """Return a share by age at the last bin that has ended by then; 0 before the first."""
    if age_s < _FIRST_S:
        return 0.0
    last = min(math.floor(math.log2(age_s / _FIRST_S) * _PER_DOUBLING + 1e-9), _N_BINS - 1)
    return float(curve[last])


def _onwards(curve: Array, age_s: float, known: float) -> Array:
    """Return the share by bin of a cohort that has ``known`` at an age and follows a curve from there on."""
    then = _at(curve, age_s)
    if math.isnan(then):
        return np.full(_N_BINS, np.nan)
    left = np.clip((curve - then) / (1.0 - then), 0.0, 1.0) if then < 1.0 else np.zeros(_N_BINS)
    return np.asarray(known + (1.0 - known) * left)


def _age_reached(curve: Array, age_s: float, known: float, needed: float) -> float:
    """Return the age at which the cohort reaches the share, infinite where the curve never does or ends before."""
    reached = np.flatnonzero(_onwards(curve, age_s, known) >= needed - 1e-9)
    return max(end_of_bin(int(reached[0])), age_s) if len(reached) else math.inf


def _ends(maturity: Maturity, age_s: float, known: float, needed: float) -> tuple[float, float, float]:
    """Return the age by the pooled curve, and an early and a late end by the curves of single cohorts.

    Only cohorts that are half as old again as the pooled answer have a say: which ones is decided by their age, not
    by how fast they were, and of those one that isn't there yet counts as later than any.
    """
    at = _age_reached(maturity.share, age_s, known, needed)
    lived = np.isfinite(maturity.cohorts).sum(axis=1)
    old = [curve for curve, n in zip(maturity.cohorts, lived, strict=True) if end_of_bin(n - 1) >= _OLD_ENOUGH * at]
    if math.isinf(at) or len(old) < MIN_COHORTS:
        return at, math.inf, math.inf
    order = sorted(_age_reached(curve, age_s, known, needed) for curve in old)
    last = len(order) - 1
    return at, min(order[math.floor(_TAILS[0] * last)], at), max(order[math.ceil(_TAILS[1] * last)], at)


def _is_late(earlier: Array, age_s: float, known: float) -> tuple[bool, float]:
    """Return whether nine in ten of the other cohorts were well ahead at this age, and what they had at least."""
    then = sorted(share for curve in earlier if not math.isnan(share := _at(curve, age_s)))
    if len(then) < MIN_COHORTS:
        return False, 0.0
    least = then[math.floor(_TAILS[0] * (len(then) - 1))]
    return known < least - _BEHIND, least


def _after(scored_at: datetime, age_s: float) -> datetime | None:
    return None if math.isinf(age_s) else scored_at + timedelta(seconds=age_s)


def _sentence(found: Mapping[str, Any], usual: float) -> str:
    share, needed, n = found["share_known"], found["share_needed"], found["n_cohorts"]
    known = f"{share:.0%} of this cohort's labels are known"
    if found["enough"]:
        return f"{known}: enough."
    if found["ceiling"] is None:
        return f"{known}; when {needed:.0%} will be can't be said from {n} earlier cohort{'s' * (n != 1)}."
    if found["late"]:
        return f"{known}; it is late: of {n} cohorts nine in ten had at least {usual:.0%} at this age."
    if found["at"] is None:
        return f"{known}; {needed:.0%} is not expected: about {found['ceiling']:.0%} ever get a label, by {n} earlier cohorts."
    low, high = found["low"], found["high"]
    until = (
        "" if low is None else f"{low:%Y-%m-%d} or later, " if high is None else f"{low:%Y-%m-%d} to {high:%Y-%m-%d}, "
    )
    return f"{known}; {needed:.0%} by about {found['at']:%Y-%m-%d} ({until}by {n} earlier cohorts)."
