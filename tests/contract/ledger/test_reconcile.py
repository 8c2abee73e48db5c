"""Whatever crashes between two steps, the sweep brings every retrain to its end, once."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ratoon.ledger import Ledger
from ratoon.ledger.records import OutboxMessage, RetrainSpec
from ratoon.ledger.states import RetrainState


class Worker:
    """Does whatever a message asks for, as Celery's would."""

    def __init__(self, ledger: Ledger, story: Any) -> None:
        self.ledger, self.story = ledger, story
        self.inbox: list[OutboxMessage] = []

    def work(self) -> None:
        while self.inbox:
            message = self.inbox.pop(0)
            claim = self.ledger.claim(message.retrain_id, message.task, owner="worker", lease_s=60)
            if not hasattr(claim, "fence"):
                continue
            if message.task == "train":
                self.ledger.report_trained(message.retrain_id, claim.fence, artifact=self.story.artifact)
            else:
                self.ledger.report_evaluated(message.retrain_id, claim.fence, evaluation=self.story.evaluation)
                self.ledger.conclude(message.retrain_id)


def converge(ledger: Ledger, story: Any, clock: Any) -> None:
    """A fresh process with a fresh broker: sweep, relay and work until nothing moves."""
    worker = Worker(ledger, story)
    for _ in range(12):
        clock.pass_by(61)
        ledger.reconcile()
        ledger.relay(worker.inbox.append)
        worker.work()


def crash_before_relay(story: Any, ledger: Ledger) -> None:
    story.requested()


def crash_between_publish_and_mark(story: Any, ledger: Ledger) -> None:
    story.requested()

    def publish(message: OutboxMessage) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.relay(publish)


def crash_with_the_message_lost(story: Any, ledger: Ledger) -> None:
    story.dispatched()


def crash_while_training(story: Any, ledger: Ledger) -> None:
    story.claim(story.dispatched())


def crash_after_training_before_relay(story: Any, ledger: Ledger) -> None:
    claim = story.claim(story.dispatched())
    ledger.report_trained(claim.retrain.retrain_id, claim.fence, artifact=story.artifact)


def crash_with_the_evaluation_message_lost(story: Any, ledger: Ledger) -> None:
    story.trained()


def crash_while_evaluating(story: Any, ledger: Ledger) -> None:
    story.claim(story.trained(), "evaluate")


def crash_before_concluding(story: Any, ledger: Ledger) -> None:
    story.evaluated()


def crash_after_everything(story: Any, ledger: Ledger) -> None:
    story.promoted()


CRASHES = [
    crash_before_relay,
    crash_between_publish_and_mark,
    crash_with_the_message_lost,
    crash_while_training,
    crash_after_training_before_relay,
    crash_with_the_evaluation_message_lost,
    crash_while_evaluating,
    crash_before_concluding,
    crash_after_everything,
]


@pytest.mark.parametrize("crash", CRASHES, ids=lambda crash: crash.__name__)
def test_after_a_crash_there_is_one_artifact_and_one_promotion(
    story: Any, ledger: Ledger, open_ledger: Callable[[], Ledger], clock: Any, crash: Callable[[Any, Ledger], None]
) -> None:
    crash(story, ledger)
    ledger.close()
    survivor = open_ledger()
    converge(survivor, story, clock)
    (retrain,) = survivor.retrains()
    assert retrain.state is RetrainState.PROMOTED
    assert len(survivor.promotions("delays")) == 1
    assert survivor.artifact(retrain.retrain_id) == story.artifact
    assert survivor.check_invariants() == []


@pytest.mark.parametrize("crash", CRASHES[:-1], ids=lambda crash: crash.__name__)
def test_after_a_crash_a_cancelled_retrain_ends_cancelled(
    story: Any, ledger: Ledger, clock: Any, crash: Callable[[Any, Ledger], None]
) -> None:
    crash(story, ledger)
    (retrain,) = ledger.retrains()
    ledger.request_cancel(retrain.retrain_id, "me")
    converge(ledger, story, clock)
    assert ledger.retrain(retrain.retrain_id).state is RetrainState.CANCELLED
    assert ledger.promotions("delays") == []


def test_a_transaction_that_dies_half_way_leaves_nothing(story: Any, ledger: Ledger, monkeypatch: Any) -> None:
    event = story.arrive()
    module = __import__("ratoon.ledger.decisions", fromlist=["post"])

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "post", die)
        with pytest.raises(KeyboardInterrupt):
            story.decide(event)
    assert ledger.pending_events("delays") == [event]
    assert (ledger.retrains(), ledger.model("delays").decision_count) == ([], 0)
    assert story.decide(event).outcome == "retrain"


def test_a_worker_that_always_dies_ends_at_the_cap(story: Any, ledger: Ledger, clock: Any) -> None:
    retrain_id = story.dispatched()
    for attempt in range(1, 4):
        assert story.claim(retrain_id).attempt == attempt
        clock.pass_by(61)
        report = ledger.reconcile()
        ledger.relay(lambda message: None)
    assert report.failed == (retrain_id,)
    failed = ledger.retrain(retrain_id)
    assert failed.state is RetrainState.FAILED
    assert "did not renew its lease" in (failed.error or {})["message"]


def test_past_the_deadline_a_dead_holder_is_not_followed_by_another(story: Any, ledger: Ledger, clock: Any) -> None:
    retrain_id = story.dispatched(spec=RetrainSpec(spec_digest="s", order={}, deadline_s=30, max_attempts=3))
    story.claim(retrain_id)
    clock.pass_by(61)
    assert ledger.reconcile().failed == (retrain_id,)


def test_past_the_deadline_a_candidate_that_waits_for_its_judge_fails(story: Any, ledger: Ledger, clock: Any) -> None:
    retrain_id = story.trained()
    clock.pass_by(3_601)
    assert ledger.reconcile().failed == (retrain_id,)


def test_a_live_lease_is_left_alone(story: Any, ledger: Ledger, clock: Any) -> None:
    story.claim(story.dispatched())
    clock.pass_by(59)
    assert ledger.reconcile().is_quiet


def test_a_message_without_an_answer_is_sent_again_ever_more_slowly(story: Any, ledger: Ledger, clock: Any) -> None:
    story.dispatched()
    waits = []
    for _ in range(4):
        waited = 0
        while not ledger.reconcile(resend_after_s=60).redispatched:
            clock.pass_by(20)
            waited += 20
        ledger.relay(lambda message: None)
        waits.append(waited)
    assert waits == [60, 120, 240, 480]


def test_sweeps_at_once_repair_once(
    story: Any,
    ledger: Ledger,
    open_ledger: Callable[[], Ledger],
    clock: Any,
    race: Callable[[Sequence[Callable[[], object]]], list[Any]],
) -> None:
    retrain_id = story.dispatched()
    story.claim(retrain_id)
    clock.pass_by(61)
    reports = race([open_ledger().reconcile for _ in range(4)])
    assert sorted(len(report.redispatched) for report in reports) == [0, 0, 0, 1]
    assert ledger.retrain(retrain_id).attempt == 1
    assert len(ledger.unsent()) == 1


def test_the_time_of_a_sweep_may_be_given(story: Any, ledger: Ledger, clock: Any) -> None:
    retrain_id = story.dispatched()
    claim = story.claim(retrain_id)
    assert ledger.reconcile(now=claim.retrain.lease_until).redispatched == (retrain_id,)
