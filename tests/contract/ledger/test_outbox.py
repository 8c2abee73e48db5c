"""Messages are sent at least once and in order; notices are never missed by a cursor."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ratoon.errors import BackendError
from ratoon.ledger import Ledger
from ratoon.ledger.records import OutboxMessage
from ratoon.ledger.states import RetrainState


def test_a_relayed_message_is_sent_once(story: Any, ledger: Ledger) -> None:
    retrain_id = story.requested()
    sent: list[OutboxMessage] = []
    assert (ledger.relay(sent.append), ledger.relay(sent.append)) == (1, 0)
    assert [(message.task, message.retrain_id, message.attempt) for message in sent] == [("train", retrain_id, 1)]
    assert ledger.retrain(retrain_id).state is RetrainState.DISPATCHED


def test_a_broker_that_is_down_leaves_the_message_unsent(story: Any, ledger: Ledger) -> None:
    retrain_id = story.requested()

    def publish(message: OutboxMessage) -> None:
        raise BackendError("the broker is down")

    with pytest.raises(BackendError):
        ledger.relay(publish)
    assert ledger.retrain(retrain_id).state is RetrainState.REQUESTED
    assert ledger.relay(lambda message: None) == 1


def test_each_stage_and_attempt_has_its_own_message(story: Any, ledger: Ledger) -> None:
    sent: list[OutboxMessage] = []
    retrain_id = story.requested()
    ledger.relay(sent.append)
    for _ in range(2):
        claim = story.claim(retrain_id)
        if claim.attempt == 1:
            ledger.release(retrain_id, claim.fence, error={"code": "RT-TRAIN"}, retryable=True)
        else:
            ledger.report_trained(retrain_id, claim.fence, artifact=story.artifact)
        ledger.relay(sent.append)
    told = [(message.task, message.attempt, message.body["queue"]) for message in sent]
    assert told == [("train", 1, "train.cpu"), ("train", 2, "train.cpu"), ("evaluate", 1, "evaluate")]


def test_relays_at_once_lose_no_message(
    story: Any,
    ledger: Ledger,
    open_ledger: Callable[[], Ledger],
    race: Callable[[Sequence[Callable[[], object]]], list[Any]],
) -> None:
    for name in ("a", "b", "c"):
        ledger.ensure_model(name, "flights")
    story.requested()
    sent: list[str] = []
    race(
        [
            lambda one=one: one.relay(lambda message: sent.append(message.retrain_id))
            for one in [open_ledger(), open_ledger()]
        ]
    )
    assert set(sent) == {retrain.retrain_id for retrain in ledger.retrains()}
    assert ledger.unsent() == []


def test_a_cursor_over_the_feed_sees_each_notice_once(story: Any, ledger: Ledger) -> None:
    for _ in range(3):
        story.promoted()
    ledger.rollback("delays", actor="me", reason="r")
    kinds, cursor = [], 0
    while page := ledger.feed(cursor, 1):
        kinds.append(page[0].kind)
        cursor = page[0].seq
    assert kinds == ["retrain.requested"] * 3 + ["promotion.made"]


def test_a_cursor_misses_nothing_that_commits_while_it_reads(
    story: Any,
    ledger: Ledger,
    open_ledger: Callable[[], Ledger],
    race: Callable[[Sequence[Callable[[], object]]], list[Any]],
) -> None:
    names = [f"model{index}" for index in range(6)]
    events = [ledger.ensure_model(name, "flights") and name for name in names]
    event = story.arrive()
    seen: list[int] = []

    def decide(one: Ledger, name: str) -> None:
        signals = story.signals(5)
        one.decide(
            name, event.event_id, policy=story.policy, signals=signals, now=event.as_of, evidence={}, retrain=story.spec
        )

    def follow(one: Ledger) -> None:
        cursor, until = 0, time.monotonic() + 60
        while len(seen) < len(names) and time.monotonic() < until:
            for item in one.feed(cursor):
                cursor = item.seq
                seen.append(item.seq)

    deciders = [lambda one=open_ledger(), name=name: decide(one, name) for name in events]
    race([*deciders, lambda one=open_ledger(): follow(one)])
    assert seen == [item.seq for item in ledger.feed()]
    assert len(seen) == len(names)


def test_what_dagster_has_shown_is_not_shown_again(story: Any, ledger: Ledger) -> None:
    first, second = story.promoted(), story.promoted()
    story.requested()
    assert [retrain.retrain_id for retrain in ledger.unreported_retrains()] == [first.retrain_id, second.retrain_id]
    assert [retrain.retrain_id for retrain in ledger.unreported_retrains(after_seq=first.seq)] == [second.retrain_id]
    ledger.mark_run(first.retrain_id, "run-1")
    ledger.mark_reported(first.retrain_id)
    assert [retrain.retrain_id for retrain in ledger.unreported_retrains()] == [second.retrain_id]
    assert ledger.retrain(first.retrain_id).dagster_run_id == "run-1"
