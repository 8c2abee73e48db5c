"""The error of many reports: a budget of false alarms per calendar quarter, spent look by look.

Every look has a chance of a false alarm of at most its alpha, given whatever was seen before. The chance of any false
alarm in a quarter is then at most the sum of the quarter's alphas (union bound), under any dependence of the looks,
also where all are compared with one reference. The plan shares what is left of the budget evenly among this look, those
expected to come, and one more: so something is always left for a look that was not expected, and the sum stays
below the budget however many come (alpha spending, Lan and DeMets 1983, Biometrika 70:659, with the union bound in
place of a joint distribution, which nobody knows).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import AwareDatetime, Field

from ratoon.contracts.spec import Strict
from ratoon.instants import as_utc
from ratoon.monitoring import DriftSettings

_DAY: Final = timedelta(days=1)
REMEMBERED: Final = 92 * _DAY
"""How far back looks tell how often there is one: a quarter."""
_FIRST_RATE: Final = 1.0
"""Looks per day that are expected where none is known."""


class Look(Strict):
    """A report that was judged."""

    at: AwareDatetime
    alpha: float = Field(ge=0, le=1, description="What it spent: the report's ``alpha``.")


def quarter(now: datetime) -> tuple[datetime, datetime]:
    """Return the calendar quarter (UTC) of a time: its first instant, and the first one after it.

    Example:
        >>> [at.date().isoformat() for at in quarter(datetime(2013, 12, 31, tzinfo=UTC))]
        ['2013-10-01', '2014-01-01']
    """
    at = as_utc(now)
    month = 3 * ((at.month - 1) // 3) + 1
    start = datetime(at.year, month, 1, tzinfo=UTC)
    return start, datetime(at.year + month // 10, (month + 2) % 12 + 1, 1, tzinfo=UTC)


def next_alpha(settings: DriftSettings, looks: Sequence[Look], now: datetime) -> float:
    """Decide what the report of ``now`` may spend.

    Args:
        settings: Its budget per quarter and its most error of one report.
        looks: Earlier reports of the same model that were judged, in any order; those of the last 92 days tell the rate.
        now: When the report is made.

    Returns:
        The report's alpha: at most ``settings.alpha``, and so much that the quarter's sum stays below the budget.
    """
    start, end = quarter(now)
    spent = sum(look.alpha for look in looks if start <= look.at < end and look.at <= now)
    to_come = looks_per_day([look.at for look in looks], now) * ((end - as_utc(now)) / _DAY)
    return share_of_budget(settings, spent=spent, looks_to_come=to_come)


def share_of_budget(settings: DriftSettings, *, spent: float, looks_to_come: float) -> float:
    """Share what is left of the quarter's budget among this look, those to come, and one in reserve.

    Example:
        Of .05, .01 is spent; this look, six more and the reserve share .04.

        >>> share_of_budget(DriftSettings(false_alarms_per_quarter=0.05), spent=0.01, looks_to_come=6)
        0.005
    """
    left = max(settings.false_alarms_per_quarter - spent, 0.0)
    return min(settings.alpha, left / (2 + max(looks_to_come, 0.0)))


def looks_per_day(times: Sequence[datetime], now: datetime) -> float:
    """Estimate how many looks a day brings, from those of the last 92 days; one where none is known."""
    recent = [at for at in times if now - REMEMBERED <= at <= now]
    if not recent:
        return _FIRST_RATE
    return len(recent) / max((now - min(recent)) / _DAY, 1.0)
