"""When a retrain is decided: the truth tables of triggers and guards, and what a decision says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from ratoon.policy.decide import decide
from ratoon.policy.spec import Drift, Guards, MaxAge, NewRows, Performance, Policy, Trigger
from ratoon.policy.values import (
    ChampionSignal,
    Decision,
    DiagnosisSignal,
    DriftSignal,
    PerformanceSignal,
    PolicyState,
    Signals,
)

NOW = datetime(2013, 5, 1, tzinfo=UTC)
CHAMPION = ChampionSignal(version=3, data_until=NOW - timedelta(days=10), promoted_at=NOW - timedelta(days=9))
NO_GUARDS = Guards(min_labelled_rows=1)
ROWS = NewRows(kind="new_rows", rows=100)
DRIFT = Drift(kind="drift", columns=2)
DROP = Performance(kind="performance", drop=0.25)
AGE = MaxAge(kind="max_age", age=timedelta(days=10))


def drift(n: int) -> DriftSignal:
    return DriftSignal(n_drifted=n, drifted=[f"c{index}" for index in range(n)], worst_score=0.3, n_rows=500)


def batch(advice: str) -> DiagnosisSignal:
    return DiagnosisSignal(batch_id="b7", verdict="broken", advice=advice, sentence="temp has no values")


def metric(value: float, *, reference: float = 0.8, greater_is_better: bool = True) -> PerformanceSignal:
    return PerformanceSignal(
        metric="auc", greater_is_better=greater_is_better, value=value, reference=reference, n_rows=500
    )


def signals(**changes: Any) -> Signals:
    return Signals(**({"champion": CHAMPION, "labelled_rows": 9_000, "new_labelled_rows": 50} | changes))


def run(
    trigger: Trigger | list[Trigger],
    seen: Signals,
    *,
    guards: Guards = NO_GUARDS,
    state: PolicyState | None = None,
    now: datetime = NOW,
) -> tuple[Decision, PolicyState]:
    triggers = trigger if isinstance(trigger, list) else [trigger]
    return decide(Policy(triggers=triggers, guards=guards), state or PolicyState(), seen, now)


@pytest.mark.parametrize(
    ("trigger", "seen", "value", "fired"),
    [
        pytest.param(ROWS, signals(new_labelled_rows=99), 99, False, id="one row too few"),
        pytest.param(ROWS, signals(new_labelled_rows=100), 100, True, id="enough rows"),
        pytest.param(ROWS, signals(champion=None, new_labelled_rows=0), 9_000, True, id="all rows without a champion"),
        pytest.param(DRIFT, signals(drift=drift(1)), 1, False, id="one drifted column too few"),
        pytest.param(DRIFT, signals(drift=drift(2)), 2, True, id="enough drifted columns"),
        pytest.param(DRIFT, signals(), None, False, id="no drift report"),
        pytest.param(
            DROP, signals(performance=metric(0.75, reference=1.0)), 0.25, False, id="worse by exactly the drop"
        ),
        pytest.param(DROP, signals(performance=metric(0.5)), 0.375, True, id="worse by more than the drop"),
        pytest.param(DROP, signals(performance=metric(0.9)), -0.125, False, id="better"),
        pytest.param(
            DROP,
            signals(performance=metric(1.5, reference=1.0, greater_is_better=False)),
            0.5,
            True,
            id="a loss that grew",
        ),
        pytest.param(
            DROP,
            signals(performance=metric(0.5, reference=1.0, greater_is_better=False)),
            -0.5,
            False,
            id="a loss that shrank",
        ),
        pytest.param(DROP, signals(performance=metric(-1.5, reference=-1.0)), 0.5, True, id="a negative reference"),
        pytest.param(DROP, signals(performance=metric(0.5, reference=0.0)), None, False, id="no share of zero"),
        pytest.param(DROP, signals(performance=metric(1e300, reference=5e-324)), None, False, id="share overflows"),
        pytest.param(DROP, signals(), None, False, id="no matured performance"),
        pytest.param(AGE, signals(), 864_000, False, id="exactly the age"),
        pytest.param(
            AGE,
            signals(champion=CHAMPION.model_copy(update={"data_until": NOW - timedelta(days=10, seconds=1)})),
            864_001,
            True,
            id="older than the age",
        ),
        pytest.param(AGE, signals(champion=None), None, False, id="no champion to age"),
        pytest.param(MaxAge(kind="max_age", age=timedelta.max), signals(), 864_000, False, id="an age without end"),
    ],
)
def test_a_trigger_fires_by_its_condition(trigger: Trigger, seen: Signals, value: float | None, fired: bool) -> None:
    decision, _ = run(trigger, seen)
    (result,) = decision.triggers
    assert (result.value, result.fired) == (pytest.approx(value) if value is not None else None, fired)
    assert decision.outcome == ("retrain" if fired else "wait")


@pytest.mark.parametrize(
    ("seen", "guards", "since_last", "holding"),
    [
        pytest.param({}, NO_GUARDS, None, [], id="nothing holds"),
        pytest.param({"active_retrain": "retrain-1"}, NO_GUARDS, None, ["single_flight"], id="a retrain is active"),
        pytest.param({}, Guards(cooldown="7d", min_labelled_rows=1), None, [], id="no retrain was decided yet"),
        pytest.param({}, Guards(cooldown="7d", min_labelled_rows=1), "6d23h", ["cooldown"], id="cooling down"),
        pytest.param({}, Guards(cooldown="7d", min_labelled_rows=1), "7d", [], id="cooldown just ended"),
        pytest.param({}, Guards(min_labelled_rows=101), None, ["min_labelled_rows"], id="too few labelled rows"),
        pytest.param({}, Guards(min_labelled_rows=100), None, [], id="just enough labelled rows"),
        pytest.param(
            {"champion": None, "labelled_rows": 100, "new_labelled_rows": 0},
            Guards(min_labelled_rows=101),
            None,
            ["min_labelled_rows"],
            id="the first model needs its rows too",
        ),
        pytest.param(
            {"active_retrain": "retrain-1"},
            Guards(cooldown="7d", min_labelled_rows=101),
            "1d",
            ["single_flight", "cooldown", "min_labelled_rows"],
            id="everything holds",
        ),
        pytest.param(
            {"manual": "new code"}, Guards(cooldown="7d", min_labelled_rows=101), "1d", [], id="a person passes both"
        ),
        pytest.param(
            {"manual": "new code", "active_retrain": "retrain-1"},
            Guards(cooldown="7d", min_labelled_rows=101),
            "1d",
            ["single_flight"],
            id="a person does not pass single flight",
        ),
        pytest.param({"diagnosis": batch("hold")}, NO_GUARDS, None, ["data_hold"], id="the newest batch looks broken"),
        pytest.param({"diagnosis": batch("reingest")}, NO_GUARDS, None, ["data_hold"], id="it should come again"),
        pytest.param({"diagnosis": batch("policy")}, NO_GUARDS, None, [], id="a real shift holds nothing"),
        pytest.param({"diagnosis": batch("wait_for_labels")}, NO_GUARDS, None, [], id="labels are the policy's"),
        pytest.param({"diagnosis": batch("hold"), "manual": "checked"}, NO_GUARDS, None, [], id="a person looked"),
        pytest.param(
            {"diagnosis": batch("hold")},
            Guards(min_labelled_rows=1, data_hold=False),
            None,
            [],
            id="broken data is not looked at",
        ),
    ],
)
def test_every_guard_must_let_it_pass(
    seen: dict[str, Any], guards: Guards, since_last: str | None, holding: list[str]
) -> None:
    last = None if since_last is None else NOW - Guards(cooldown=since_last).cooldown
    decision, _ = run(
        ROWS, signals(**({"new_labelled_rows": 100} | seen)), guards=guards, state=PolicyState(last_retrain_at=last)
    )
    assert [guard.kind for guard in decision.guards if not guard.passed] == holding
    assert decision.outcome == ("wait" if holding else "retrain")


def test_what_broken_data_holds_back_says_what_is_broken() -> None:
    decision, _ = run(ROWS, signals(new_labelled_rows=100, diagnosis=batch("hold")))
    assert decision.reason == "new_rows fired (100 rows, threshold 100 rows); batch b7 looks broken: temp has no values"


def test_a_manual_request_needs_no_trigger() -> None:
    decision, _ = run(ROWS, signals(new_labelled_rows=0, manual="new code"), guards=Guards(min_labelled_rows=1_000))
    assert decision.outcome == "retrain"
    assert decision.reason == "manual fired (requested by hand: new code)"
    assert [result.key for result in decision.triggers if result.fired] == ["manual"]


def test_any_trigger_is_enough_and_all_are_named() -> None:
    decision, _ = run([ROWS, DRIFT, AGE], signals(new_labelled_rows=120, drift=drift(4)))
    assert (
        decision.reason
        == "new_rows fired (120 rows, threshold 100 rows) and drift fired (4 columns, threshold 2 columns)"
    )


def test_the_reason_for_waiting_says_what_would_have_fired_and_when_the_guard_lifts() -> None:
    state = PolicyState(last_retrain_at=NOW - timedelta(days=3))
    decision, _ = run(DRIFT, signals(drift=drift(4)), guards=Guards(cooldown="7d", min_labelled_rows=60), state=state)
    ends = NOW + timedelta(days=4)
    assert [(guard.kind, guard.lifts_at) for guard in decision.guards if not guard.passed] == [
        ("cooldown", ends),
        ("min_labelled_rows", None),
    ]
    assert decision.reason == (
        "drift fired (4 columns, threshold 2 columns); cooldown ends 2013-05-05T00:00:00Z; 50 of 60 labelled rows"
    )


def test_the_reason_without_a_trigger_tells_every_value() -> None:
    decision, _ = run([ROWS, DRIFT, DROP, AGE], signals(performance=metric(0.7)))
    assert decision.reason == (
        "no trigger fired: new_rows 50 rows (threshold 100 rows); drift not measured (no drift report); "
        "performance 12.50% (threshold 25.00%); max_age 10d (threshold 10d)"
    )


def test_confirm_asks_for_so_many_evaluations_in_a_row() -> None:
    trigger = Drift(kind="drift", columns=2, confirm=3)
    state, told = PolicyState(), []
    # Two in a row, then a quiet one breaks the row; what can't be measured counts neither way; the third fires.
    for seen in (drift(2), drift(2), drift(0), drift(2), None, drift(3), None, drift(2)):
        decision, state = run(trigger, signals(drift=seen), state=state)
        told.append((decision.triggers[0].streak, decision.outcome))
    assert told == [
        (1, "wait"),
        (2, "wait"),
        (0, "wait"),
        (1, "wait"),
        (1, "wait"),
        (2, "wait"),
        (2, "wait"),
        (3, "retrain"),
    ]


def test_a_streak_alone_fires_nothing_that_was_not_measured_now() -> None:
    decision, state = run(DRIFT, signals(), state=PolicyState(streaks={"drift": 5}))
    assert (decision.outcome, state.streaks) == ("wait", {"drift": 5})


def test_a_streak_goes_on_while_a_guard_holds_and_ends_with_the_retrain() -> None:
    trigger = Drift(kind="drift", confirm=2)
    state = PolicyState(last_retrain_at=NOW, streaks={"drift": 1})
    guards = Guards(cooldown="2d", min_labelled_rows=1)
    held, state = run(trigger, signals(drift=drift(1)), guards=guards, state=state, now=NOW + timedelta(days=1))
    assert (held.outcome, state.streaks) == ("wait", {"drift": 2})
    passed, state = run(trigger, signals(drift=drift(1)), guards=guards, state=state, now=NOW + timedelta(days=2))
    assert passed.outcome == "retrain"
    assert state == PolicyState(last_retrain_at=NOW + timedelta(days=2))


def test_the_cooldown_runs_from_the_decision_to_retrain() -> None:
    guards = Guards(cooldown="1d", min_labelled_rows=1)
    state, outcomes = PolicyState(), []
    for hour in (0, 12, 23, 24, 25, 48):
        decision, state = run(
            ROWS, signals(new_labelled_rows=100), guards=guards, state=state, now=NOW + timedelta(hours=hour)
        )
        outcomes.append(decision.outcome)
    assert outcomes == ["retrain", "wait", "wait", "retrain", "wait", "retrain"]


def test_a_manual_retrain_starts_the_cooldown_too() -> None:
    _, state = run(ROWS, signals(manual="new code"))
    assert state.last_retrain_at == NOW


def test_a_kind_that_is_declared_twice_is_counted_apart() -> None:
    patient = Drift(kind="drift", columns=1, confirm=3)
    decision, state = run([DRIFT, patient], signals(drift=drift(1)))
    assert [result.key for result in decision.triggers] == ["drift", "drift#2"]
    assert state.streaks == {"drift#2": 1}


def test_counts_of_triggers_that_are_gone_are_forgotten() -> None:
    _, state = run(ROWS, signals(), state=PolicyState(streaks={"drift": 4}))
    assert state.streaks == {}


def test_a_cooldown_past_the_end_of_the_calendar_never_ends() -> None:
    guards = Guards(cooldown=timedelta.max, min_labelled_rows=1)
    decision, _ = run(ROWS, signals(new_labelled_rows=100), guards=guards, state=PolicyState(last_retrain_at=NOW))
    assert decision.outcome == "wait"


def test_without_a_cooldown_a_clock_that_went_back_holds_nothing() -> None:
    state = PolicyState(last_retrain_at=NOW + timedelta(days=1))
    assert run(ROWS, signals(new_labelled_rows=100), state=state)[0].outcome == "retrain"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        run(ROWS, signals(), now=datetime(2013, 5, 1))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_signal_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValidationError):
        metric(value)
