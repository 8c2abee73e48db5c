"""Leases and fences: one holder at a time, and no write by an old one."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ratoon.errors import FencedError, NotFoundError, RefusedError
from ratoon.ledger import Ledger
from ratoon.ledger.records import Claim, Refusal
from ratoon.ledger.states import RetrainState

ERROR = {"code": "RT-TRAIN", "retryable": True, "message": "out of memory"}


def test_a_claim_carries_the_order_a_fence_and_a_lease(story: Any, ledger: Ledger, clock: Any) -> None:
    claim = story.claim(story.dispatched())
    assert (claim.fence, claim.attempt, claim.order) == (1, 1, {"feature": "delays:features"})
    assert claim.retrain.state is RetrainState.RUNNING
    assert claim.retrain.lease_until is not None
    assert (claim.retrain.lease_until - clock.now).total_seconds() == 60
    assert claim.retrain.deadline_at is not None
    assert (claim.retrain.deadline_at - clock.now).total_seconds() == 3_600


def test_a_message_that_is_quicker_than_its_mark_may_be_claimed(story: Any) -> None:
    assert story.claim(story.requested()).retrain.state is RetrainState.RUNNING


def test_a_duplicate_message_is_refused_with_a_reason(story: Any, ledger: Ledger) -> None:
    retrain_id = story.dispatched()
    story.claim(retrain_id, owner="worker-1")
    refusal = ledger.claim(retrain_id, "train", owner="worker-2", lease_s=60)
    assert isinstance(refusal, Refusal) and "worker-1 holds it" in refusal.reason
    for stage in ("train", "evaluate"):
        unknown = ledger.claim("retrain-unknown", stage, owner="worker-2", lease_s=60)
        assert isinstance(unknown, Refusal) and "not in this ledger" in unknown.reason


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_of_many_that_claim_at_once_one_gets_the_work(
    story: Any,
    open_ledger: Callable[[], Ledger],
    race: Callable[[Sequence[Callable[[], object]]], list[Any]],
    stage: Any,
) -> None:
    retrain_id = story.dispatched() if stage == "train" else story.trained()
    ledgers = [open_ledger() for _ in range(4)]
    results = race([lambda one=one: one.claim(retrain_id, stage, owner="w", lease_s=60) for one in ledgers])
    assert sorted(type(result).__name__ for result in results) == ["Claim", "Refusal", "Refusal", "Refusal"]


def test_a_stage_can_not_be_claimed_before_or_after_its_time(story: Any, ledger: Ledger) -> None:
    early = ledger.claim(story.dispatched(), "evaluate", owner="w", lease_s=60)
    assert isinstance(early, Refusal)
    ledger.request_cancel(ledger.retrains()[0].retrain_id, "me")
    trained = story.trained()
    assert isinstance(ledger.claim(trained, "train", owner="w", lease_s=60), Refusal)


def test_renewing_prolongs_the_lease_and_keeps_the_last_progress(story: Any, ledger: Ledger, clock: Any) -> None:
    claim = story.claim(story.dispatched())
    retrain_id = claim.retrain.retrain_id
    clock.pass_by(50)
    ledger.renew(retrain_id, claim.fence, lease_s=60, progress={"round": 7})
    clock.pass_by(50)
    assert ledger.reconcile().is_quiet
    ledger.renew(retrain_id, claim.fence, lease_s=60)
    assert ledger.retrain(retrain_id).progress == {"round": 7}


def zombie(story: Any, ledger: Ledger, clock: Any, stage: str) -> tuple[str, int, int]:
    """A holder that slept past its lease and was taken over: retrain, its fence, the new holder's fence."""
    retrain_id = story.dispatched() if stage == "train" else story.trained()
    old = story.claim(retrain_id, stage, owner="zombie")
    clock.pass_by(61)
    assert ledger.reconcile().redispatched == (retrain_id,)
    new = story.claim(retrain_id, stage, owner="heir")
    return retrain_id, old.fence, new.fence


def old_writes(ledger: Ledger, story: Any, retrain_id: str, fence: int) -> dict[str, Callable[[], object]]:
    return {
        "renew": lambda: ledger.renew(retrain_id, fence, lease_s=60),
        "release": lambda: ledger.release(retrain_id, fence, error=ERROR, retryable=True),
        "fail": lambda: ledger.release(retrain_id, fence, error=ERROR, retryable=False),
        "trained": lambda: ledger.report_trained(retrain_id, fence, artifact=story.artifact),
        "evaluated": lambda: ledger.report_evaluated(retrain_id, fence, evaluation=story.evaluation),
        "cancelled": lambda: ledger.confirm_cancelled(retrain_id, fence),
    }


@pytest.mark.parametrize("stage", ["train", "evaluate"])
@pytest.mark.parametrize("write", ["renew", "release", "fail", "trained", "evaluated", "cancelled"])
def test_a_zombie_with_an_old_fence_writes_nothing(
    story: Any, ledger: Ledger, clock: Any, stage: str, write: str
) -> None:
    retrain_id, old, new = zombie(story, ledger, clock, stage)
    before = ledger.retrain(retrain_id)
    with pytest.raises(FencedError):
        old_writes(ledger, story, retrain_id, old)[write]()
    assert ledger.retrain(retrain_id) == before
    ledger.renew(retrain_id, new, lease_s=60)


@pytest.mark.parametrize("write", ["renew", "release", "fail", "trained", "evaluated"])
def test_a_holder_of_a_cancelled_retrain_writes_nothing(story: Any, ledger: Ledger, write: str) -> None:
    claim = story.claim(story.dispatched())
    retrain_id = claim.retrain.retrain_id
    assert ledger.request_cancel(retrain_id, "me").state is RetrainState.CANCELLING
    with pytest.raises(FencedError):
        old_writes(ledger, story, retrain_id, claim.fence)[write]()
    assert ledger.confirm_cancelled(retrain_id, claim.fence).state is RetrainState.CANCELLED


def test_a_retrain_that_nobody_holds_is_cancelled_at_once(story: Any, ledger: Ledger) -> None:
    assert ledger.request_cancel(story.dispatched(), "me").state is RetrainState.CANCELLED
    assert ledger.active_retrain("delays") is None


def test_nobody_confirms_a_cancellation_over_the_holder(story: Any, ledger: Ledger, clock: Any) -> None:
    claim = story.claim(story.dispatched())
    retrain_id = claim.retrain.retrain_id
    ledger.request_cancel(retrain_id, "me")
    with pytest.raises(FencedError):
        ledger.confirm_cancelled(retrain_id, None)
    clock.pass_by(61)
    assert ledger.confirm_cancelled(retrain_id, None).state is RetrainState.CANCELLED
    assert ledger.confirm_cancelled(retrain_id, None).state is RetrainState.CANCELLED


def test_what_has_ended_can_not_be_cancelled(story: Any, ledger: Ledger) -> None:
    retrain = story.promoted()
    with pytest.raises(RefusedError, match="already PROMOTED"):
        ledger.request_cancel(retrain.retrain_id, "me")
    assert ledger.retrain(retrain.retrain_id) == retrain


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_attempts_are_capped(story: Any, ledger: Ledger, stage: str) -> None:
    retrain_id = story.dispatched() if stage == "train" else story.trained()
    states = []
    for _ in range(3):
        claim = story.claim(retrain_id, stage)
        states.append(ledger.release(retrain_id, claim.fence, error=ERROR, retryable=True).state)
        ledger.relay(lambda message: None)
    back = RetrainState.DISPATCHED if stage == "train" else RetrainState.TRAINED
    assert states == [back, back, RetrainState.FAILED]
    assert ledger.retrain(retrain_id).error == ERROR
    assert isinstance(ledger.claim(retrain_id, "train", owner="w", lease_s=60), Refusal)


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_a_worker_that_is_stopped_uses_up_neither_attempts_nor_time(story: Any, ledger: Ledger, stage: str) -> None:
    retrain_id = story.dispatched() if stage == "train" else story.trained()
    for _ in range(5):
        claim = story.claim(retrain_id, stage)
        back = ledger.hand_back(retrain_id, claim.fence, error=ERROR)
        assert back.state is (RetrainState.DISPATCHED if stage == "train" else RetrainState.TRAINED)
        assert back.deadline_at is None
        ledger.relay(lambda message: None)
    with pytest.raises(FencedError):
        ledger.hand_back(retrain_id, claim.fence, error=ERROR)
    assert isinstance(story.claim(retrain_id, stage), Claim)
    assert ledger.check_invariants() == []


def test_an_error_that_can_not_pass_fails_at_once(story: Any, ledger: Ledger) -> None:
    claim = story.claim(story.dispatched())
    assert (
        ledger.release(claim.retrain.retrain_id, claim.fence, error=ERROR, retryable=False).state is RetrainState.FAILED
    )
    assert story.decide(story.arrive()).outcome == "retrain"


def test_past_its_deadline_a_retrain_is_neither_renewed_nor_tried_again(story: Any, ledger: Ledger, clock: Any) -> None:
    claim = story.claim(story.dispatched())
    clock.pass_by(3_600)
    with pytest.raises(FencedError, match="deadline"):
        ledger.renew(claim.retrain.retrain_id, claim.fence, lease_s=60)
    released = ledger.release(claim.retrain.retrain_id, claim.fence, error=ERROR, retryable=True)
    assert released.state is RetrainState.FAILED


def test_waiting_for_a_worker_does_not_use_up_the_deadline(story: Any, ledger: Ledger, clock: Any) -> None:
    retrain_id = story.dispatched()
    clock.pass_by(100_000)
    assert isinstance(ledger.claim(retrain_id, "train", owner="w", lease_s=60), Claim)


def test_a_holder_may_report_the_same_outcome_twice(story: Any, ledger: Ledger) -> None:
    claim = story.claim(story.dispatched())
    retrain_id = claim.retrain.retrain_id
    for _ in range(2):
        ledger.report_trained(retrain_id, claim.fence, artifact=story.artifact)
    assert ledger.artifact(retrain_id) == story.artifact
    judge = story.claim(retrain_id, "evaluate")
    for _ in range(2):
        ledger.report_evaluated(retrain_id, judge.fence, evaluation=story.evaluation)
    assert ledger.evaluation(retrain_id) == story.evaluation


def test_another_artifact_for_the_same_retrain_is_refused(story: Any, ledger: Ledger) -> None:
    claim = story.claim(story.dispatched())
    ledger.report_trained(claim.retrain.retrain_id, claim.fence, artifact=story.artifact)
    other = story.artifact.model_copy(update={"digest": "9" * 64})
    with pytest.raises(FencedError):
        ledger.report_trained(claim.retrain.retrain_id, claim.fence, artifact=other)


def test_what_is_not_in_the_ledger_is_not_found(story: Any, ledger: Ledger) -> None:
    for ask in (
        lambda: ledger.retrain("retrain-x"),
        lambda: ledger.renew("retrain-x", 1, lease_s=60),
        lambda: ledger.request_cancel("retrain-x", "me"),
        lambda: ledger.conclude("retrain-x"),
        lambda: ledger.mark_run("retrain-x", "run"),
    ):
        with pytest.raises(NotFoundError):
            ask()
