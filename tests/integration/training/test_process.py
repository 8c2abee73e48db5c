import hashlib
import signal
import subprocess
import sys

import psutil
import pytest

from ratoon.training.orders import OUTCOME

SUPERVISOR = """
import signal, subprocess, sys
command = [sys.executable, "-m", "ratoon.training.process"]
child = subprocess.Popen(command, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
signal.pause()
"""


def finish(trainer, order):
    trainer.send(order)
    code = trainer.finish()
    return code, trainer.last


def test_an_order_is_trained_and_the_candidate_judged_by_two_processes(stage, start):
    trainer = start()
    trainer.read_until("ready")
    code, last = finish(trainer, stage.order())

    assert (code, last["type"]) == (0, "outcome")
    trained = OUTCOME.validate_python(last["outcome"])
    assert trained.data["n_rows"] >= 1_000
    assert trained.data["batches"] == ["batch-1", "batch-2"]
    assert [line["type"] for line in trainer.lines[:2]] == ["ready", "progress"]
    assert {"features", "fit", "judge", "refit", "store"} <= {line.get("phase") for line in trainer.lines}
    assert "imported: this line must not reach the protocol" in trainer.log
    assert "called: nor must this" in trainer.log
    assert "OpenMP waits PASSIVE" in trainer.log

    code, last = finish(start(), stage.evaluation(trained.digest))

    assert code == 0
    verdict = OUTCOME.validate_python(last["outcome"])
    assert (verdict.verdict, verdict.candidate) == ("promote", trained.digest)


def test_two_processes_with_several_threads_give_the_same_bytes(stage, start):
    order = stage.order()
    first, second = start(), start()

    assert finish(first, order)[1]["outcome"]["refs"] == finish(second, order)[1]["outcome"]["refs"]


@pytest.mark.parametrize(
    ("change", "features", "code", "what"),
    [
        ({}, "def build(rows):\n    return rows.filter(rows.load > 1)\n", "RT-TRAIN", "AttributeError"),
        ({}, "import no_such_library\n", "RT-TRAIN", "ModuleNotFoundError"),
        ({"metric": "rmsle"}, None, "RT-CONFIG", "metric"),
        ({"rows_version": 99}, None, "RT-NOTFOUND", "version"),
        ({"memory_mb": 10}, "import time\n\ndef build(rows):\n    time.sleep(60)\n", "RT-TRAIN", "10 MB"),
    ],
)
def test_an_order_that_cannot_be_carried_out_ends_with_a_reason_and_code_10(stage, start, change, features, code, what):
    if features:
        stage.write_features(features)

    exit_code, last = finish(start(), stage.order(**change))

    assert (exit_code, last["type"], last["error"]["code"], last["error"]["retryable"]) == (10, "error", code, False)
    assert what in last["error"]["message"]
    assert stage.named_blobs() == []


def test_a_damaged_candidate_is_refused_before_it_is_parsed(stage, start):
    _, last = finish(start(), stage.order())
    refs = last["outcome"]["refs"]
    (stage.artifacts / refs["judged"][:2] / refs["judged"]).write_bytes(b"\x7b\x4c" * 5_000)

    code, error = finish(start(), stage.evaluation(last["outcome"]["digest"]))

    assert (code, error["error"]["code"]) == (10, "RT-CORRUPT")


def test_a_spare_that_gets_no_order_ends_quietly(start):
    trainer = start()

    assert trainer.finish() == 0
    assert trainer.lines == [{"type": "ready"}]


def test_a_trainer_that_is_told_to_stop_stops_at_once_wherever_it_is(stage, start):
    stage.write_features("import time\n\ndef build(rows):\n    time.sleep(600)\n")
    trainer = start()
    trainer.send(stage.order())
    trainer.read_until("features")

    trainer.process.terminate()

    assert trainer.finish() == 20
    assert stage.named_blobs() == []


def test_a_killed_trainer_leaves_no_half_artifact_and_the_next_one_gives_the_same(stage, start):
    trainer = start()
    trainer.send(
        stage.order(training=stage.order()["training"] | {"rounds": 100_000, "early_stopping_rounds": 100_000})
    )
    trainer.read_until("fit")
    trainer.process.kill()

    assert trainer.finish() == -signal.SIGKILL
    assert [path for path in stage.named_blobs() if hashlib.sha256(path.read_bytes()).hexdigest() != path.name] == []

    outcome = finish(start(), stage.order())[1]["outcome"]
    names = {path.name for path in stage.named_blobs()}
    assert names == {outcome["digest"], *outcome["refs"].values()}


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
def test_a_trainer_dies_with_its_supervisor(start):
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    trainer = psutil.Process(int(supervisor.stdout.readline()))
    supervisor.kill()
    supervisor.wait()

    _, alive = psutil.wait_procs([trainer], timeout=30)  # the test still holds the trainer's standard input open
    supervisor.communicate()
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


def test_a_trainer_whose_supervisor_is_gone_already_does_not_begin(start):
    trainer = start(RATOON_SUPERVISOR_PID="1")

    assert trainer.finish() == 20
    assert trainer.lines == []
