"""What each trigger measures: its value, its threshold, and whether its condition holds."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from ratoon.instants import format_duration
from ratoon.policy.spec import Drift, MaxAge, NewRows, Performance, Trigger
from ratoon.policy.values import PerformanceSignal, Signals

_LONGEST_S = timedelta.max.days * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One trigger's measurement.

    Attributes:
        value: What was measured, in ``unit``; None when it could not be.
        threshold: What the value is compared with, in ``unit``.
        unit: ``rows``, ``columns``, ``share`` (0.02 is two per cent) or ``s`` (seconds).
        holds: Whether the condition holds; None when it could not be measured.
        note: A plain sentence.
    """

    value: float | None
    threshold: float
    unit: str
    holds: bool | None
    note: str


def measure(trigger: Trigger, signals: Signals, now: datetime) -> Measure:
    """Measure one trigger's condition as of ``now``."""
    match trigger:
        case NewRows():
            return _new_rows(trigger, signals)
        case Drift():
            return _drift(trigger, signals)
        case Performance():
            return _performance(trigger, signals)
        case MaxAge():
            return _max_age(trigger, signals, now)
        case _:
            assert_never(trigger)


def fresh_labelled_rows(signals: Signals) -> int:
    """Return the labelled rows newer than the champion's training data; all of them while there is no champion."""
    return signals.labelled_rows if signals.champion is None else signals.new_labelled_rows


def amount(value: float | None, unit: str) -> str:
    """Return a measured value as people read it.

    Example:
        >>> amount(0.0412, "share"), amount(1200, "rows"), amount(90000, "s"), amount(1, "columns")
        ('4.12%', '1200 rows', '1d1h', '1 column')
    """
    if value is None:
        return "not measured"
    if unit == "share":
        return f"{value:.2%}"
    if unit == "s":
        return format_duration(timedelta(seconds=min(value, _LONGEST_S)))
    return f"{value:g} {unit[:-1]}" if value == 1 else f"{value:.0f} {unit}"


def _new_rows(trigger: NewRows, signals: Signals) -> Measure:
    rows = fresh_labelled_rows(signals)
    about = (
        "labelled rows, no champion yet" if signals.champion is None else "labelled rows newer than the champion's data"
    )
    return Measure(value=rows, threshold=trigger.rows, unit="rows", holds=rows >= trigger.rows, note=f"{rows} {about}")


def _drift(trigger: Drift, signals: Signals) -> Measure:
    report = signals.drift
    if report is None:
        missing = "no champion to compare with" if signals.champion is None else "no drift report"
        return Measure(value=None, threshold=trigger.columns, unit="columns", holds=None, note=missing)
    named = f": {', '.join(report.drifted)}" if report.drifted else ""
    return Measure(
        value=report.n_drifted,
        threshold=trigger.columns,
        unit="columns",
        holds=report.n_drifted >= trigger.columns,
        note=f"{amount(report.n_drifted, 'columns')} drifted over {report.n_rows} rows{named}",
    )


def _performance(trigger: Performance, signals: Signals) -> Measure:
    signal = signals.performance
    worse = None if signal is None else _worsening(signal)
    if signal is None or worse is None:
        missing = "no matured performance" if signal is None else f"{signal.metric} has no usable reference"
        return Measure(value=None, threshold=trigger.drop, unit="share", holds=None, note=missing)
    direction = "worse" if worse > 0 else "better" if worse < 0 else "different"
    return Measure(
        value=worse,
        threshold=trigger.drop,
        unit="share",
        holds=worse > trigger.drop,
        note=f"{signal.metric} {signal.value:.4g} over {signal.n_rows} matured rows, {abs(worse):.2%} {direction} than {signal.reference:.4g} at its evaluation",
    )


def _worsening(signal: PerformanceSignal) -> float | None:
    """Return by which share of its reference a metric is worse (negative: better); None where no share exists."""
    if signal.reference == 0:
        return None
    loss = signal.reference - signal.value if signal.greater_is_better else signal.value - signal.reference
    share = loss / abs(signal.reference)
    return share if math.isfinite(share) else None


def _max_age(trigger: MaxAge, signals: Signals, now: datetime) -> Measure:
    limit = trigger.age.total_seconds()
    if signals.champion is None:
        return Measure(value=None, threshold=limit, unit="s", holds=None, note="no champion yet")
    age = now - signals.champion.data_until
    return Measure(
        value=age.total_seconds(),
        threshold=limit,
        unit="s",
        holds=age > trigger.age,
        note=f"the champion's training data is {format_duration(age)} old",
    )
