"""What holds a retrain back although a trigger fired."""

from datetime import UTC, datetime, timedelta

from ratoon.instants import format_instant
from ratoon.policy.measures import fresh_labelled_rows
from ratoon.policy.spec import Guards
from ratoon.policy.values import GuardResult, PolicyState, Signals

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


def check_guards(guards: Guards, state: PolicyState, signals: Signals, now: datetime) -> list[GuardResult]:
    """Check every guard, also those that no fired trigger asks for: people want to know when they lift."""
    return [
        _single_flight(signals),
        _cooldown(guards, state, signals, now),
        _min_labelled_rows(guards, signals),
        *_data_hold(guards, signals),
    ]


def _single_flight(signals: Signals) -> GuardResult:
    active = signals.active_retrain
    note = "no retrain is active" if active is None else f"{active} is still active"
    return GuardResult(kind="single_flight", passed=active is None, note=note)


def _cooldown(guards: Guards, state: PolicyState, signals: Signals, now: datetime) -> GuardResult:
    if not guards.cooldown or state.last_retrain_at is None:
        return GuardResult(
            kind="cooldown", passed=True, note="no cooldown" if not guards.cooldown else "no retrain was decided yet"
        )
    ends = _later(state.last_retrain_at, guards.cooldown)
    if now >= ends:
        return GuardResult(kind="cooldown", passed=True, note=f"cooldown ended {format_instant(ends)}")
    note = f"cooldown ends {format_instant(ends)}"
    if signals.manual is not None:
        return GuardResult(kind="cooldown", passed=True, lifts_at=ends, note=f"{note}, passed by the manual request")
    return GuardResult(kind="cooldown", passed=False, lifts_at=ends, note=note)


def _min_labelled_rows(guards: Guards, signals: Signals) -> GuardResult:
    rows, needed = fresh_labelled_rows(signals), guards.min_labelled_rows
    note = f"{rows} of {needed} labelled rows"
    if rows < needed and signals.manual is not None:
        return GuardResult(kind="min_labelled_rows", passed=True, note=f"{note}, passed by the manual request")
    return GuardResult(kind="min_labelled_rows", passed=rows >= needed, note=note)


def _data_hold(guards: Guards, signals: Signals) -> list[GuardResult]:
    """Hold while the newest batch looks broken: what is learned from it, or judged on it, would have to be undone."""
    if not guards.data_hold or signals.diagnosis is None:
        return []
    found = signals.diagnosis
    if found.advice not in ("hold", "reingest"):
        return [GuardResult(kind="data_hold", passed=True, note=f"batch {found.batch_id} is {found.verdict}")]
    note = f"batch {found.batch_id} looks broken: {found.sentence}"
    if signals.manual is not None:
        return [GuardResult(kind="data_hold", passed=True, note=f"{note} (passed by the manual request)")]
    return [GuardResult(kind="data_hold", passed=False, note=note)]


def _later(instant: datetime, span: timedelta) -> datetime:
    """Return ``instant + span``, or the end of time where the calendar ends before."""
    return instant + span if span <= _END_OF_TIME - instant else _END_OF_TIME
