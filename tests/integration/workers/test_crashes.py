"""Kill what can be killed: work continues, one artifact comes of it, and nothing is left running."""

import signal

import psutil
import pytest

from ratoon.broker import publisher

pytestmark = pytest.mark.timeout(240)


def one_result(bench, retrain_id: str) -> None:
    found = bench.wait(retrain_id, "PROMOTED")
    assert bench.ledger.artifact(retrain_id) is not None
    assert [promotion.retrain_id for promotion in bench.ledger.promotions(found.model)] == [retrain_id]
    assert bench.ledger.check_invariants() == []


def test_a_killed_trainer_is_replaced_by_the_next_attempt(bench) -> None:
    bench.plan.write_text("hang")
    bench.start_worker()
    retrain_id = bench.request("m")
    trainer = bench.wait_for_trainer(retrain_id)
    bench.plan.write_text("answer")
    trainer.send_signal(signal.SIGKILL)
    one_result(bench, retrain_id)
    assert "attempt 2 " in bench.retrain_log(retrain_id)


def test_a_killed_pool_process_takes_its_trainer_along_and_its_work_goes_on(bench) -> None:
    bench.plan.write_text("hang")
    worker = bench.start_worker()
    retrain_id = bench.request("m")
    trainer = bench.wait_for_trainer(retrain_id)
    bench.plan.write_text("answer")
    bench.pool_child(worker).send_signal(signal.SIGKILL)
    psutil.wait_procs([trainer], timeout=10)
    assert not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE
    one_result(bench, retrain_id)


def test_a_killed_worker_leaves_no_process_and_the_next_worker_goes_on(bench) -> None:
    bench.plan.write_text("hang")
    worker = bench.start_worker()
    retrain_id = bench.request("m")
    bench.wait_for_trainer(retrain_id)
    bench.look()
    bench.plan.write_text("answer")
    worker.kill()
    worker.wait()
    from_the_worker = list(bench.seen.values())
    assert len(from_the_worker) >= 2
    _, alive = psutil.wait_procs(from_the_worker, timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    bench.start_worker()
    one_result(bench, retrain_id)


def test_a_stopped_worker_gives_its_work_back_at_once(bench) -> None:
    bench.plan.write_text("hang")
    worker = bench.start_worker()
    retrain_id = bench.request("m")
    bench.wait_for_trainer(retrain_id)
    bench.look()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    bench.until(bench.nothing_is_left, "no process is left", 10)
    given_back = bench.ledger.retrain(retrain_id)
    assert (given_back.state, given_back.lease_until) == ("DISPATCHED", None)
    bench.plan.write_text("answer")
    bench.start_worker()
    one_result(bench, retrain_id)


def test_messages_that_the_broker_lost_are_sent_again(bench) -> None:
    retrain_id = bench.request("m")
    assert bench.ledger.relay(publisher(bench.settings)) == 1
    bench.broker.kill()
    bench.broker.wait()
    for path in (bench.settings.home / "broker" / "appendonlydir").iterdir():
        path.unlink()
    bench.start_broker()
    bench.start_worker()
    one_result(bench, retrain_id)
