"""Whatever the inputs, a decision is total, reproducible, and keeps its own rules."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.identity import canonical_json
from ratoon.policy.decide import decide
from ratoon.policy.spec import Drift, Guards, MaxAge, NewRows, Performance, Policy
from ratoon.policy.values import (
    ChampionSignal,
    Decision,
    DiagnosisSignal,
    DriftSignal,
    PerformanceSignal,
    PolicyState,
    Signals,
)

instants = st.datetimes(
    min_value=datetime(1900, 1, 1),
    max_value=datetime(9_999, 1, 1),
    timezones=st.just(UTC),
)
confirms = st.integers(1, 4)
spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta.max)
whole_spans = st.integers(0, 10**9).map(lambda seconds: timedelta(seconds=seconds))
finite = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**12)


def policies_of(durations: st.SearchStrategy[timedelta]) -> st.SearchStrategy[Policy]:
    triggers = st.one_of(
        st.builds(NewRows, kind=st.just("new_rows"), rows=st.integers(1, 10**6), confirm=confirms),
        st.builds(Drift, kind=st.just("drift"), columns=st.integers(1, 20), confirm=confirms),
        st.builds(Performance, kind=st.just("performance"), drop=st.floats(0.001, 0.999), confirm=confirms),
        st.builds(MaxAge, kind=st.just("max_age"), age=durations, confirm=confirms),
    )
    return st.builds(
        Policy,
        triggers=st.lists(triggers, min_size=1, max_size=5),
        guards=st.builds(Guards, cooldown=durations, min_labelled_rows=st.integers(1, 10**6), data_hold=st.booleans()),
    )


policies = policies_of(spans)
policies_that_survive_json = policies_of(whole_spans)
states = st.builds(
    PolicyState,
    last_retrain_at=st.none() | instants,
    streaks=st.dictionaries(
        st.sampled_from(["new_rows", "drift", "drift#2", "performance", "gone"]), st.integers(1, 9)
    ),
)
seen = st.builds(
    Signals,
    champion=st.none()
    | st.builds(ChampionSignal, version=st.integers(1, 99), data_until=instants, promoted_at=instants),
    labelled_rows=counts,
    new_labelled_rows=counts,
    drift=st.none()
    | st.builds(
        DriftSignal, n_drifted=st.integers(0, 50), drifted=st.just([]), worst_score=st.none() | finite, n_rows=counts
    ),
    diagnosis=st.none()
    | st.builds(
        DiagnosisSignal,
        batch_id=st.just("b1"),
        verdict=st.just("broken"),
        advice=st.sampled_from(["none", "hold", "reingest", "policy"]),
        sentence=st.just("odd"),
    ),
    performance=st.none()
    | st.builds(
        PerformanceSignal,
        metric=st.just("auc"),
        greater_is_better=st.booleans(),
        value=finite,
        reference=finite,
        n_rows=counts,
    ),
    active_retrain=st.none() | st.just("retrain-1"),
    manual=st.none() | st.text(max_size=20),
    evidence=st.just({}),
)


def text_of(decision: Decision, state: PolicyState) -> tuple[str, str]:
    return canonical_json(decision.to_json()), canonical_json(state.model_dump(mode="json"))


@settings(database=None, max_examples=60, deadline=None)
@given(policy=policies_that_survive_json, state=states, signals=seen, now=instants)
def test_a_decision_made_from_stored_json_has_the_same_bytes(
    policy: Policy, state: PolicyState, signals: Signals, now: datetime
) -> None:
    first = decide(policy, state, signals, now)
    again = decide(
        Policy.model_validate_json(policy.model_dump_json()),
        PolicyState.model_validate_json(state.model_dump_json()),
        Signals.model_validate_json(signals.model_dump_json()),
        now,
    )
    assert text_of(*again) == text_of(*first)
    assert Decision.model_validate_json(text_of(*first)[0]) == first[0]


@settings(database=None, max_examples=60, deadline=None)
@given(policy=policies, state=states, signals=seen, now=instants)
def test_a_retrain_needs_a_fired_trigger_and_every_guard(
    policy: Policy, state: PolicyState, signals: Signals, now: datetime
) -> None:
    decision, after = decide(policy, state, signals, now)
    fired = any(result.fired for result in decision.triggers)
    assert (decision.outcome == "retrain") == (fired and all(guard.passed for guard in decision.guards))
    assert (
        (after.last_retrain_at == now)
        if decision.outcome == "retrain"
        else (after.last_retrain_at == state.last_retrain_at)
    )
    if signals.active_retrain is not None:
        assert decision.outcome == "wait"
    if signals.manual is not None and signals.active_retrain is None:
        assert decision.outcome == "retrain"


@settings(database=None, max_examples=60, deadline=None)
@given(policy=policies, seen_in_turn=st.lists(seen, max_size=8), start=instants.filter(lambda at: at.year < 9_000))
def test_two_retrains_without_a_person_are_a_cooldown_apart(
    policy: Policy, seen_in_turn: list[Signals], start: datetime
) -> None:
    state, retrained = PolicyState(), []
    for hour, signals in enumerate(seen_in_turn):
        now = start + timedelta(hours=hour)
        decision, state = decide(policy, state, signals.model_copy(update={"manual": None}), now)
        retrained += [now] if decision.outcome == "retrain" else []
    gaps = [later - earlier for earlier, later in itertools.pairwise(retrained)]
    assert all(gap >= policy.guards.cooldown for gap in gaps)
