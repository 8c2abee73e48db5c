"""Scales and round ticks, of numbers and of UTC time."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ratoon.instants import as_utc

_ROUND: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_HOURS: Final = (1, 3, 6, 12)
_DAYS: Final = (1, 2, 7, 14)
_MONTHS: Final = (1, 2, 3, 6)
_MONDAY: Final = datetime(1970, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values to pixels.

    Attributes:
        low: Value at pixel ``start``.
        high: Value at pixel ``end``; above ``low``.
        start: Where the scale begins.
        end: Where it ends; below ``start`` for a scale that grows upwards.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value; values outside are drawn outside."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Tick:
    """Where a tick stands, and what is written there."""

    value: float
    label: str


def linear_scale(values: Sequence[float], start: float, end: float, *, padding: float = 0.08) -> Scale:
    """Return a scale that shows all values with some air; equal values stand in the middle.

    Args:
        values: Finite, at least one.
        start: Pixel of the lower end.
        end: Pixel of the upper end.
        padding: Air at each end, as a share of the values' range.
    """
    low, high = min(values), max(values)
    air = (high - low) * padding or max(abs(low), 1.0) * 0.05
    return Scale(low - air, high + air, start, end)


def linear_ticks(low: float, high: float, most: int) -> list[Tick]:
    """Return at most ``most`` ticks at round values (1, 2, 2.5 or 5 times a power of ten) within a range.

    Example:
        >>> [tick.label for tick in linear_ticks(0.683, 0.742, 5)]
        ['0.70', '0.72', '0.74']
        >>> [tick.label for tick in linear_ticks(-1200, 4100, 4)]
        ['0', '2,000', '4,000']
    """
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return []
    power = math.floor(math.log10(span / most))
    steps = (factor * 10.0**exponent for exponent in (power, power + 1, power + 2) for factor in _ROUND)
    for step in steps:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [Tick(index * step, _label(index * step, step)) for index in range(first, last + 1)]
    return []


def _label(value: float, step: float) -> str:
    if step >= 1e15 or step < 1e-6:
        return f"{value:.3g}".replace("-", "−")
    if abs(value) >= 100_000 and step >= 1_000:
        return _with_unit(value)
    places = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0
    if round(step * 10**places, 6) != round(step * 10**places):
        places += 1
    return f"{round(value, places) or 0.0:,.{places}f}".replace("-", "−")


def _with_unit(value: float) -> str:
    size, unit = (1e9, "G") if abs(value) >= 1e9 else (1e6, "M") if abs(value) >= 1e6 else (1e3, "k")
    return f"{value / size:.4g}{unit}".replace("-", "−")


def time_scale(first: datetime, last: datetime, start: float, end: float) -> Scale:
    """Return a scale of POSIX seconds; a single instant gets a day around it."""
    low, high = as_utc(first).timestamp(), as_utc(last).timestamp()
    return Scale(low, high, start, end) if high > low else Scale(low - 43_200, low + 43_200, start, end)


def time_ticks(scale: Scale, most: int) -> list[Tick]:
    """Return at most ``most`` ticks at round UTC times: hours, days, Mondays, months or years.

    Example:
        >>> year = time_scale(datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC), 0, 100)
        >>> [tick.label for tick in time_ticks(year, 6)]
        ['Jan 2013', 'Apr', 'Jul', 'Oct', 'Jan 2014']
    """
    low, high = (datetime.fromtimestamp(value, UTC) for value in (scale.low, scale.high))
    for candidate in _grids(low, high, most):
        if len(candidate) <= most:
            return [Tick(at.timestamp(), label) for at, label in zip(candidate, _time_labels(candidate), strict=True)]
    return []


def _grids(low: datetime, high: datetime, most: int) -> Iterator[list[datetime]]:
    span = high - low
    for unit, sizes in ((timedelta(hours=1), _HOURS), (timedelta(days=1), _DAYS)):
        for size in sizes:
            if span / (unit * size) <= most + 1:
                yield _even(low, high, unit * size)
    years = 1
    for months in _MONTHS:
        if span.days / (months * 28) <= most + 2:
            yield _months(low, high, months)
    while years <= 1_000:
        if span.days / (years * 365) <= most + 2:
            yield _months(low, high, years * 12)
        years *= 2


def _even(low: datetime, high: datetime, step: timedelta) -> list[datetime]:
    index = -((_MONDAY - low) // step)
    found = []
    while (at := _MONDAY + index * step) <= high:
        if at >= low:
            found.append(at)
        index += 1
    return found


def _months(low: datetime, high: datetime, step: int) -> list[datetime]:
    index = (low.year * 12 + low.month - 1) // step * step
    found = []
    while (at := datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)) <= high:
        if at >= low:
            found.append(at)
        index += step
    return found


def _time_labels(ticks: Sequence[datetime]) -> list[str]:
    is_hourly = any(at.hour for at in ticks)
    is_daily = any(at.day != 1 for at in ticks)
    labels = []
    for before, at in zip([None, *ticks], ticks, strict=False):
        new_year = before is None or before.year != at.year
        if is_hourly:
            labels.append(f"{at.day} {at:%b}" if before is None or before.date() != at.date() else f"{at:%H:%M}")
        elif is_daily:
            labels.append(f"{at.day} {at:%b %Y}" if new_year else f"{at.day} {at:%b}")
        else:
            labels.append(f"{at:%b %Y}" if new_year else f"{at:%b}")
    return labels
