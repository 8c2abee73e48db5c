"""Whether a retrain is worth it now: a pure function of policy, state, signals and time."""

from collections.abc import Iterator
from datetime import datetime

from ratoon.instants import as_utc, format_instant
from ratoon.policy.guards import check_guards
from ratoon.policy.measures import Measure, amount, measure
from ratoon.policy.spec import Policy, Trigger
from ratoon.policy.values import Decision, GuardResult, PolicyState, Signals, TriggerResult


def decide(policy: Policy, state: PolicyState, signals: Signals, now: datetime) -> tuple[Decision, PolicyState]:
    """Decide between a retrain and waiting, and return what to remember for the next decision.

    Any fired trigger is enough and every guard must let it pass. A manual request fires at once and
    passes the cooldown and the minimum of labelled rows, never single flight. A trigger with
    ``confirm: n`` fires on the n-th evaluation in a row in which its condition holds; an evaluation
    that could not measure it (no champion, no drift report) leaves the count as it is. A decision to
    retrain starts the cooldown and sets every count back to zero, since what the triggers are measured
    against is about to change.

    The function is total and deterministic: equal inputs give equal bytes.

    Args:
        policy: The declared triggers and guards.
        state: What the last decision returned; ``PolicyState()`` before the first.
        signals: What was measured as of ``now``.
        now: The decision's time, with a zone.

    Returns:
        The decision with every trigger's and guard's part in it, and the next state.

    Raises:
        ValueError: ``now`` carries no time zone.
    """
    now = as_utc(now)
    triggers = list(_run_triggers(policy, state, signals, now))
    guards = check_guards(policy.guards, state, signals, now)
    retrain = any(result.fired for result in triggers) and all(guard.passed for guard in guards)
    decision = Decision(
        outcome="retrain" if retrain else "wait",
        reason=_reason(triggers, guards),
        triggers=triggers,
        guards=guards,
        decided_at=now,
    )
    if retrain:
        return decision, PolicyState(last_retrain_at=now)
    streaks = {result.key: result.streak for result in triggers if result.streak}
    return decision, PolicyState(last_retrain_at=state.last_retrain_at, streaks=streaks)


def _run_triggers(policy: Policy, state: PolicyState, signals: Signals, now: datetime) -> Iterator[TriggerResult]:
    seen: dict[str, int] = {}
    for trigger in policy.triggers:
        seen[trigger.kind] = seen.get(trigger.kind, 0) + 1
        key = trigger.kind if seen[trigger.kind] == 1 else f"{trigger.kind}#{seen[trigger.kind]}"
        yield _confirm(key, trigger, measure(trigger, signals, now), state.streaks.get(key, 0))
    if signals.manual is not None:
        note = f"requested by hand: {signals.manual}"
        yield TriggerResult(key="manual", kind="manual", value=None, threshold=None, fired=True, note=note)


def _confirm(key: str, trigger: Trigger, measured: Measure, streak: int) -> TriggerResult:
    if measured.holds is not None:
        streak = streak + 1 if measured.holds else 0
    return TriggerResult(
        key=key,
        kind=trigger.kind,
        value=measured.value,
        threshold=measured.threshold,
        unit=measured.unit,
        streak=streak,
        confirm=trigger.confirm,
        fired=measured.holds is True and streak >= trigger.confirm,
        note=measured.note,
    )


def _reason(triggers: list[TriggerResult], guards: list[GuardResult]) -> str:
    fired = [_fired(result) for result in triggers if result.fired]
    if not fired:
        return "no trigger fired: " + "; ".join(_not_fired(result) for result in triggers)
    return "; ".join([" and ".join(fired), *(_holding(guard) for guard in guards if not guard.passed)])


def _fired(result: TriggerResult) -> str:
    if result.kind == "manual":
        return f"manual fired ({result.note})"
    return (
        f"{result.key} fired ({amount(result.value, result.unit)}, threshold {amount(result.threshold, result.unit)})"
    )


def _not_fired(result: TriggerResult) -> str:
    if result.value is None:
        return f"{result.key} not measured ({result.note})"
    counted = f", held {result.streak} of {result.confirm} times in a row" if result.streak else ""
    return (
        f"{result.key} {amount(result.value, result.unit)} (threshold {amount(result.threshold, result.unit)}{counted})"
    )


def _holding(guard: GuardResult) -> str:
    return f"cooldown ends {format_instant(guard.lifts_at)}" if guard.lifts_at is not None else guard.note
