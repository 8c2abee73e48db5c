"""Faults of a batch as a whole: its columns, its size, its rows, its time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from ratoon.diagnosis.counted import Column, Vector
from ratoon.diagnosis.values import ADVICE, BatchFacts, Cause, Finding
from ratoon.instants import format_instant

SMALL: Final = 0.6
"""A batch is suspiciously small below this share of the usual size (holidays leave two thirds of the flights)."""
_SMALLEST: Final = 0.8
"""... and below this share of the smallest one that there was."""
_SAME_ROWS: Final = 0.8
_REPEATED: Final = 0.01
_UNREADABLE: Final = 0.05
_MISSING_TIME: Final = 0.12
"""Usual share of the rows whose hours (or weekdays) are all missing."""
_ROTATED: Final = 0.5
"""A rotation must take away this share of the distance to the usual hours."""
_HOURS, _A_DAY = 24, timedelta(days=1)
_DUPLICATE: Final = "duplicate:entity_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A batch as it arrived, and those before it, oldest first."""

    facts: BatchFacts
    history: Sequence[BatchFacts]
    times: Column | None
    """The column with the event time, if the profile counts its hours."""


def delivery_findings(delivery: Delivery) -> Iterator[Finding]:
    """Yield the faults of a batch's delivery that its facts show."""
    for rule in (_schema_change, _duplicated_batch, _late_batch, _half_batch, _duplicated_rows, _time_shift):
        finding = rule(delivery)
        if finding is not None:
            yield finding


def finding(
    cause: Cause,
    sentence: str,
    evidence: Mapping[str, float | str],
    *,
    columns: Sequence[str] = (),
    confidence: float = 0.95,
    partition: str | None = None,
) -> Finding:
    """Make a finding with the advice of its cause and numbers of at most six digits."""
    numbers = {key: value if isinstance(value, str) else float(f"{value:.6g}") for key, value in evidence.items()}
    return Finding(
        cause=cause,
        columns=sorted(columns),
        partition=partition,
        confidence=round(confidence, 3),
        evidence=numbers,
        sentence=sentence,
        advice=ADVICE[cause],
    )


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return names for a sentence, at most so many."""
    shown = ", ".join(sorted(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def percent(share: float) -> str:
    """Return a share for a sentence."""
    return f"{100 * share:.1f} %"


def _schema_change(delivery: Delivery) -> Finding | None:
    facts = delivery.facts
    unreadable = _unreadable(facts, delivery.history)
    lost, retyped = facts.columns_missing, sorted({*facts.columns_retyped, *unreadable})
    if not (lost or retyped or facts.columns_added):
        return None
    said = [f"lacks {listed(lost)}"] if lost else []
    said += [f"has {listed(retyped)} in a form that can't be read"] if retyped else []
    said += [f"has {listed(facts.columns_added)}, which was not there before"] if facts.columns_added else []
    found = finding(
        "schema_change",
        f"The batch {' and '.join(said)}; ask the source whether it changed, then fetch the batch again or change the "
        "contract.",
        {f"unreadable share of {name}": share for name, share in unreadable.items()}
        | {f"type of {name}": now for name, now in facts.columns_retyped.items()},
        columns=[*lost, *retyped, *facts.columns_added],
        confidence=1.0 if lost or facts.columns_retyped else 0.95,
    )
    return found if lost or retyped else found.model_copy(update={"advice": "policy"})


def _unreadable(facts: BatchFacts, history: Sequence[BatchFacts]) -> dict[str, float]:
    found = {}
    for reason in sorted(facts.reasons):
        kind, _, column = reason.partition(":")
        share, before = facts.reason_share(reason), max((one.reason_share(reason) for one in history), default=0.0)
        if kind == "type" and share > max(_UNREADABLE, 3 * before):
            found[column] = share
    return found


def _duplicated_batch(delivery: Delivery) -> Finding | None:
    facts = delivery.facts
    twin = next((one for one in reversed(delivery.history) if _is_twin(facts, one)), None)
    n_kept = (facts.n_rows or 0) - facts.n_quarantined
    share = facts.n_duplicate_keys / n_kept if n_kept > 0 else 0.0
    if twin is None and share < _SAME_ROWS:
        return None
    what = (
        f"holds the same rows as batch {twin.batch_id} of {format_instant(twin.as_of)}"
        if twin is not None
        else f"holds rows of which {percent(share)} were there before"
    )
    return finding(
        "duplicated_batch",
        f"The batch {what}: it was delivered twice; leave it out and ask the source for the batch that is missing.",
        {"known rows": share, "n_rows": facts.n_rows or 0, "twin": twin.batch_id if twin else ""},
        confidence=0.99,
    )


def _is_twin(facts: BatchFacts, other: BatchFacts) -> bool:
    return bool(facts.n_rows) and facts.counts_digest is not None and facts.counts_digest == other.counts_digest


def _late_batch(delivery: Delivery) -> Finding | None:
    lags = [lag for lag in map(_lags, delivery.history) if lag is not None]
    now = _lags(delivery.facts)
    if now is None or len(lags) < 3:
        return None
    usual = np.array(lags)
    center = np.median(usual, axis=0)
    span = float(np.median(usual[:, 0] - usual[:, 1]))
    allowed = np.maximum(6 * 1.4826 * np.median(np.abs(usual - center), axis=0), 0.5 * span)
    late = np.asarray(now) - center
    if not (late > np.maximum(allowed, 1.0)).all() or (np.asarray(now) <= usual.max(axis=0)).any():
        return None
    behind = float(late.min())
    newer = [one for one in delivery.history if _is_after(one, delivery.facts)]
    order = " and out of order" if newer else ""
    return finding(
        "late_batch",
        f"The batch came {behind:.1f} hours later after its events than usual{order}; its labels will be late as well: "
        "judge by them before anything is trained, and look at why the source was late.",
        {"hours late": behind, "usual hours": float(center[1]), "newer batches": float(len(newer))},
        confidence=min(0.99, 0.7 + 0.1 * behind / max(span, 1.0)),
    )


def _lags(facts: BatchFacts) -> tuple[float, float] | None:
    """Return the hours from the first and the last event to the arrival."""
    if facts.event_time_min is None or facts.event_time_max is None:
        return None
    first, last = ((facts.as_of - time).total_seconds() / 3600 for time in (facts.event_time_min, facts.event_time_max))
    return first, last


def _is_after(one: BatchFacts, facts: BatchFacts) -> bool:
    return (
        one.event_time_min is not None
        and facts.event_time_max is not None
        and one.event_time_min >= facts.event_time_max
    )


def _half_batch(delivery: Delivery) -> Finding | None:
    facts = delivery.facts
    sizes = [one.n_rows for one in delivery.history if one.n_rows]
    if not facts.n_rows or len(sizes) < 3:
        return None
    alike = [one.n_rows for one in delivery.history if one.n_rows and _weekday(one) == _weekday(facts)]
    usual = float(np.median(alike if len(alike) >= 3 else sizes))
    share, gap = facts.n_rows / usual, _missing_time(delivery.times)
    is_small = share <= SMALL and facts.n_rows <= _SMALLEST * min(sizes)
    has_gap = gap[1] >= _MISSING_TIME and share <= 1 - 0.5 * gap[1]
    if not is_small and not has_gap:
        return None
    where = f", with no row at {gap[0]} where there usually are {percent(gap[1])}" if has_gap else ""
    return finding(
        "half_batch",
        f"The batch has {facts.n_rows:,} rows where about {usual:,.0f} are usual{where}; fetch it again once it is "
        "complete.",
        {"n_rows": facts.n_rows, "usual rows": usual, "share": share, "missing time": gap[1]},
        confidence=float(np.clip(1.3 - share, 0.6, 0.99)),
    )


def _weekday(facts: BatchFacts) -> int | None:
    """Return the weekday of a batch that holds a day or so; None for a longer one."""
    first, last = facts.event_time_min, facts.event_time_max
    if first is None or last is None or last - first > 1.5 * _A_DAY:
        return None
    middle: datetime = first + (last - first) / 2
    return middle.weekday()


def _missing_time(times: Column | None) -> tuple[str, float]:
    """Return which usual hours or weekdays the batch lacks, and the share of the rows that they usually hold."""
    if times is None or len(times.past) < 3:
        return "", 0.0
    past = times.past_shares("counts")
    lacking = (past.min(axis=0) >= 0.01) & (times.now.counts == 0)
    usual = np.median(past, axis=0)
    hours, days = np.flatnonzero(lacking[:_HOURS]), np.flatnonzero(lacking[_HOURS:])
    if usual[_HOURS:][days].sum() >= usual[:_HOURS][hours].sum():
        names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
        return listed([names[day] for day in days], 7), float(usual[_HOURS:][days].sum())
    return f"{hours.min():02d}-{hours.max():02d} h", float(usual[:_HOURS][hours].sum())


def _duplicated_rows(delivery: Delivery) -> Finding | None:
    facts = delivery.facts
    if not facts.n_rows:
        return None
    repeated = (facts.n_duplicate_keys + facts.reasons.get(_DUPLICATE, 0)) / facts.n_rows
    before = max((one.reason_share(_DUPLICATE) for one in delivery.history), default=0.0)
    if repeated <= max(_REPEATED, 3 * before):
        return None
    return finding(
        "duplicated_rows",
        f"{percent(repeated)} of the rows have a key that was there before (at most {percent(before)} until now); "
        "look for a join or a retry at the source that repeats rows, and fetch the batch again.",
        {"repeated": repeated, "before": before},
        confidence=float(np.clip(0.8 + repeated, 0, 0.99)),
    )


def _time_shift(delivery: Delivery) -> Finding | None:
    times = delivery.times
    if times is None or len(times.past) < 3 or times.now.counts[:_HOURS].sum() < 100:
        return None
    past = np.array([_normal(one.counts[:_HOURS]) for one in times.past if one.counts[:_HOURS].sum()])
    usual, now = past[-8:].mean(axis=0), _normal(times.now.counts[:_HOURS])
    noise = max(_distance(one, usual) for one in past)
    distances = [_distance(np.roll(now, -hours), usual) for hours in range(_HOURS)]
    hours = int(np.argmin(distances))
    signed = hours if hours <= _HOURS // 2 else hours - _HOURS
    is_moved = distances[0] > noise + 0.1 and distances[hours] <= _ROTATED * distances[0]
    # One hour is what daylight saving does, twice a year, to sources that keep local time.
    if abs(signed) < 2 or not is_moved or distances[hours] > noise + 0.1:
        return None
    return finding(
        "time_shift",
        f"The hours of {times.name} are those of other batches, moved by {signed:+d}: its time zone changed; "
        "correct the zone at the source and fetch the batch again.",
        {"hours": float(signed), "distance": distances[0], "distance if moved back": distances[hours]},
        columns=[times.name],
        confidence=float(np.clip(1 - distances[hours] / distances[0], 0.5, 0.99)),
    )


def _normal(counts: Vector) -> Vector:
    total: Vector = counts / max(float(counts.sum()), 1.0)
    return total


def _distance(one: Vector, other: Vector) -> float:
    """Return the total variation distance of two distributions, 0..1."""
    return 0.5 * float(np.abs(one - other).sum())


def with_hours(columns: Mapping[str, Column], event_time: str | None) -> Column | None:
    """Return the column whose hours tell the time of the rows: the event time, else the only key that has hours."""
    if event_time is not None:
        return columns.get(event_time)
    timed = [column for column in columns.values() if column.binning.kind == "key" and len(column.now.counts)]
    return timed[0] if len(timed) == 1 else None
