"""What a real worker makes of a message: every ending of a retrain that needs no crash of the worker."""

import psutil
import pytest

from ratoon.broker import publisher
from ratoon.ledger.records import OutboxMessage
from ratoon.ledger.states import RetrainState

pytestmark = pytest.mark.timeout(180)


def test_a_decision_becomes_a_champion_and_the_broker_carried_only_an_id(shared_bench) -> None:
    shared_bench.plan.write_text("answer")
    retrain_id = shared_bench.request("happy")
    assert shared_bench.wait(retrain_id, "PROMOTED").error is None
    champion = shared_bench.ledger.champion("happy")
    assert champion is not None and champion.artifact_digest == "d" * 64
    log = shared_bench.retrain_log(retrain_id)
    assert "train: attempt 1" in log and "evaluate: attempt 1" in log
    assert "progress phase=fit round=1 metric=0.5" in log and "warning from a library" in log
    assert shared_bench.ledger.check_invariants() == []


def test_an_error_that_no_second_try_can_cure_fails_at_once(shared_bench) -> None:
    shared_bench.plan.write_text("refuse")
    found = shared_bench.wait(shared_bench.request("refused"), "FAILED")
    assert found.attempt == 1
    assert found.error == {"code": "RT-EMPTY", "retryable": False, "message": "no rows in the window"}


def test_a_trainer_that_always_crashes_is_tried_as_often_as_allowed(shared_bench) -> None:
    shared_bench.plan.write_text("crash")
    found = shared_bench.wait(shared_bench.request("crashing", max_attempts=2), "FAILED")
    assert found.attempt == 2
    assert found.error is not None and "signal 11" in found.error["message"]


def test_an_answer_that_nobody_understands_is_a_failure_with_its_reason(shared_bench) -> None:
    shared_bench.plan.write_text("nonsense")
    found = shared_bench.wait(shared_bench.request("nonsense"), "FAILED")
    assert found.error is not None and "is not a train outcome" in found.error["message"]


def test_a_cancelled_retrain_loses_its_trainer_and_what_that_started(shared_bench) -> None:
    shared_bench.plan.write_text("hang-with-helper")
    retrain_id = shared_bench.request("cancelled")
    trainer = shared_bench.wait_for_trainer(retrain_id)
    shared_bench.until(trainer.children, "the trainer has started something")
    family = [trainer, *trainer.children()]
    shared_bench.ledger.request_cancel(retrain_id, "a person")
    shared_bench.wait(retrain_id, "CANCELLED")
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
    assert shared_bench.ledger.artifact(retrain_id) is None


def test_the_deadline_ends_a_training_that_hangs(shared_bench) -> None:
    shared_bench.plan.write_text("hang")
    found = shared_bench.wait(shared_bench.request("late", deadline_s=2.0), "FAILED")
    assert found.attempt == 1
    assert found.error is not None and "deadline" in found.error["message"]


def test_copies_of_a_message_are_dropped_by_the_claim(shared_bench) -> None:
    shared_bench.plan.write_text("slow")
    retrain_id = shared_bench.request("copied")
    publish = publisher(shared_bench.settings)
    body = {"retrain_id": retrain_id, "queue": "train.cpu"}
    for seq in range(3):
        publish(OutboxMessage(seq=seq, task="train", retrain_id=retrain_id, attempt=1, body=body))
    shared_bench.wait(retrain_id, "PROMOTED")
    publish(OutboxMessage(seq=9, task="train", retrain_id=retrain_id, attempt=1, body=body))
    shared_bench.plan.write_text("answer")
    shared_bench.wait(shared_bench.request("after_the_copies"), "PROMOTED")
    assert shared_bench.ledger.retrain(retrain_id).state is RetrainState.PROMOTED
    assert shared_bench.retrain_log(retrain_id).count("train: attempt") == 2
    assert shared_bench.ledger.check_invariants() == []
