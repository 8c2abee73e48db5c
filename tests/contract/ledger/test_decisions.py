"""Decisions: one per event, serialized per model, and reproducible byte for byte."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from ratoon.errors import ConflictError, NotFoundError
from ratoon.ledger import Ledger
from ratoon.ledger.states import RetrainState
from ratoon.policy.spec import Guards, NewRows, Policy
from ratoon.policy.values import ChampionSignal, Signals


def test_a_decision_to_retrain_leaves_a_retrain_a_message_and_a_notice(story: Any, ledger: Ledger) -> None:
    decision = story.decide(story.arrive())
    assert decision.outcome == "retrain"
    retrain = ledger.retrain(decision.retrain_id or "")
    assert (retrain.state, retrain.decision_id, retrain.order) == (
        RetrainState.REQUESTED,
        decision.decision_id,
        {"feature": "delays:features"},
    )
    message = {"retrain_id": retrain.retrain_id, "queue": "train.cpu"}
    assert [(sent.task, sent.body) for sent in ledger.unsent()] == [("train", message)]
    assert [(item.kind, item.data["retrain_id"]) for item in ledger.feed()] == [
        ("retrain.requested", retrain.retrain_id)
    ]


def test_a_decision_to_wait_leaves_only_itself(story: Any, ledger: Ledger) -> None:
    decision = story.decide(story.arrive(), rows=0)
    assert (decision.outcome, decision.retrain_id) == ("wait", None)
    assert (ledger.retrains(), ledger.unsent(), ledger.feed()) == ([], [], [])


def test_deciding_again_about_an_event_returns_the_first_decision(story: Any, ledger: Ledger) -> None:
    event = story.arrive()
    first = story.decide(event)
    assert story.decide(event, rows=0) == first
    assert ledger.model("delays").decision_count == 1
    assert len(ledger.unsent()) == 1


def test_a_model_has_one_retrain_at_a_time(story: Any, ledger: Ledger) -> None:
    active = story.requested()
    held = story.decide(story.arrive())
    assert (held.outcome, held.signals.active_retrain) == ("wait", active)
    assert f"{active} is still active" in held.reason
    ledger.request_cancel(active, "me")
    assert story.decide(story.arrive()).outcome == "retrain"


def test_the_state_goes_from_decision_to_decision(story: Any, ledger: Ledger) -> None:
    policy = Policy(triggers=[NewRows(kind="new_rows", rows=1, confirm=3)], guards=Guards(min_labelled_rows=1))
    outcomes = [story.decide(story.arrive(), policy=policy) for _ in range(3)]
    assert [decision.outcome for decision in outcomes] == ["wait", "wait", "retrain"]
    assert outcomes[1].state_before == outcomes[0].state_after
    assert ledger.model("delays").policy_state == outcomes[2].state_after


def test_signals_about_another_champion_are_not_decided_on(story: Any, ledger: Ledger) -> None:
    event = story.arrive()
    champion = ChampionSignal(version=1, data_until=event.as_of, promoted_at=event.as_of)
    with pytest.raises(ConflictError, match="measure again"):
        ledger.decide(
            "delays",
            event.event_id,
            policy=story.policy,
            signals=Signals(champion=champion, labelled_rows=5, new_labelled_rows=5),
            now=event.as_of,
            evidence={},
            retrain=story.spec,
        )
    assert ledger.decision("delays", event.event_id) is None


def test_an_event_of_another_dataset_is_not_decided_on(story: Any, ledger: Ledger) -> None:
    ledger.ensure_model("fares", "taxis")
    event = story.arrive()
    decide = {"policy": story.policy, "signals": Signals(), "now": event.as_of, "evidence": {}, "retrain": story.spec}
    with pytest.raises(NotFoundError):
        ledger.decide("fares", event.event_id, **decide)
    with pytest.raises(NotFoundError):
        ledger.decide("delays", "event-of-nothing", **decide)
    with pytest.raises(NotFoundError):
        ledger.decide("unknown", event.event_id, **decide)


def test_of_many_deciders_about_different_events_one_retrains(
    story: Any,
    ledger: Ledger,
    open_ledger: Callable[[], Ledger],
    race: Callable[[Sequence[Callable[[], object]]], list[Any]],
) -> None:
    events = [story.arrive() for _ in range(4)]
    stories = [type(story)(open_ledger()) for _ in events]
    decisions = race(
        [lambda one=one, event=event: one.decide(event) for one, event in zip(stories, events, strict=True)]
    )
    assert sorted(decision.outcome for decision in decisions) == ["retrain", "wait", "wait", "wait"]
    assert sorted(decision.number for decision in decisions) == [1, 2, 3, 4]
    assert len(ledger.retrains()) == 1


def test_of_many_deciders_about_one_event_all_get_the_same_decision(
    story: Any,
    ledger: Ledger,
    open_ledger: Callable[[], Ledger],
    race: Callable[[Sequence[Callable[[], object]]], list[Any]],
) -> None:
    event = story.arrive()
    decisions = race([lambda one=one: one.decide(event) for one in [type(story)(open_ledger()) for _ in range(4)]])
    assert all(decision == decisions[0] for decision in decisions)
    assert ledger.model("delays").decision_count == 1


def test_a_policy_finer_than_its_json_still_replays(story: Any, ledger: Ledger) -> None:
    guards = Guards(cooldown=timedelta(seconds=86_400.4), min_labelled_rows=1)
    policy = Policy(triggers=[NewRows(kind="new_rows", rows=1)], guards=guards)
    ledger.request_cancel(story.decide(story.arrive(), policy=policy).retrain_id, "me")
    assert story.decide(story.arrive(), policy=policy).outcome == "retrain"
    assert ledger.replay_decisions() == []


@pytest.mark.parametrize(
    ("column", "old", "new"),
    [
        ("decision", '"outcome":"wait"', '"outcome":"retrain"'),
        ("decision", '"value":0.0', '"value":0'),
        ("signals", '"labelled_rows":0', '"labelled_rows":7'),
        ("state_after", '"last_retrain_at":null', '"last_retrain_at":"2013-01-01T00:00:00Z"'),
    ],
)
def test_a_changed_byte_of_a_decision_is_found_by_replaying(
    ledger: Ledger, story: Any, column: str, old: str, new: str
) -> None:
    decision = story.decide(story.arrive(), rows=0)
    change = f"UPDATE decision SET {column} = replace({column}, :old, :new)"
    with ledger.engine.begin() as connection:
        connection.execute(text(change), {"old": old, "new": new})
    assert {found.decision_id for found in ledger.replay_decisions()} == {decision.decision_id}
    with ledger.engine.begin() as connection:
        connection.execute(text(change), {"old": new, "new": old})
