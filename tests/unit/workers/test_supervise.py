"""One attempt under supervision: every way in which it can end, with a real process and a fake ledger."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from ratoon.errors import BackendError, FencedError, RatoonError
from ratoon.ledger.records import Claim, Retrain
from ratoon.ledger.states import RetrainState
from ratoon_workers.retrainlog import RetrainLog
from ratoon_workers.spare import Spare
from ratoon_workers.supervise import Ending, supervise
from ratoon_workers.trainer import Trainer

FAKE_TRAINER = str(Path(__file__).with_name("fake_trainer.py"))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_retrain(**fields: Any) -> Retrain:
    values: dict[str, Any] = dict.fromkeys(Retrain.model_fields)
    values |= {
        "retrain_id": "retrain-1", "seq": 1, "decision_id": "d", "model": "m", "dataset": "t", "as_of": NOW,
        "state": RetrainState.RUNNING, "queue": "cpu", "spec_digest": "s", "order": {}, "deadline_s": 60.0,
        "max_attempts": 3, "attempt": 1, "fence": 1, "requested_at": NOW, "updated_at": NOW,
        "deadline_at": NOW + timedelta(minutes=1),
    }  # fmt: skip
    return Retrain.model_validate(values | fields)


class FakeLedger:
    """Renews until it is told to raise, and remembers the progress that it was given."""

    def __init__(self, *, error: RatoonError | None = None, after: int = 0, **found: Any) -> None:
        self.error, self.after = error, after
        self.found = a_retrain(**found)
        self.progress: list[dict[str, Any] | None] = []

    def renew(self, retrain_id: str, fence: int, *, lease_s: float, progress: dict[str, Any] | None) -> None:
        assert (retrain_id, fence) == ("retrain-1", 1)
        self.progress.append(progress)
        if self.error is not None and len(self.progress) > self.after:
            raise self.error

    def retrain(self, retrain_id: str) -> Retrain:
        return self.found


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Callable[..., Ending]]:
    trainers: list[Trainer] = []

    def run(
        doing: str,
        ledger: FakeLedger | None = None,
        *,
        lease_s: float = 30,
        is_stopping: Callable[[], bool] = lambda: False,
        now: Callable[[], datetime] = lambda: NOW,
    ) -> Ending:
        environment = {"PATH": os.environ["PATH"], "RATOON_TRAINER_PLAN": doing}
        trainers.append(Trainer(["-S", FAKE_TRAINER], environment, tmp_path))
        claim = Claim(retrain=a_retrain(), stage="train", fence=1, attempt=1, order={})
        book = ledger or FakeLedger()
        with RetrainLog(tmp_path, "retrain-1", max_bytes=20_000) as log:
            return supervise(claim, "{}", trainers[-1], book, log, lease_s=lease_s, is_stopping=is_stopping, now=now)

    yield run
    assert not any(trainer.is_alive() for trainer in trainers)


def log_of(folder: Path) -> str:
    return (folder / "retrain-1.log").read_text()


def helper_of(folder: Path) -> int:
    return int(log_of(folder).split("helper ")[1].split()[0])


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def after_it_hangs(folder: Path) -> Callable[[], bool]:
    return lambda: "helper" in log_of(folder)


def test_an_answer_ends_the_attempt_with_what_was_answered(attempt: Callable[..., Ending]) -> None:
    ending = attempt("answer")
    assert ending.kind == "outcome"
    assert ending.payload["digest"] == "d" * 64


def test_an_error_keeps_its_code_and_whether_it_is_worth_another_try(attempt: Callable[..., Ending]) -> None:
    ending = attempt("refuse")
    assert ending.kind == "error"
    assert ending.payload == {"code": "RT-EMPTY", "retryable": False, "message": "no rows in the window"}


@pytest.mark.parametrize(("doing", "how"), [("crash", "by signal 11"), ("exit", "with exit code 3")])
def test_a_crash_is_worth_another_try_and_says_how_it_ended(
    attempt: Callable[..., Ending], doing: str, how: str
) -> None:
    ending = attempt(doing)
    assert ending.kind == "crashed"
    assert ending.payload["retryable"] is True
    assert how in ending.payload["message"]


def test_a_dead_trainer_is_noticed_though_its_own_child_holds_its_pipes(
    attempt: Callable[..., Ending], tmp_path: Path
) -> None:
    assert attempt("orphan").kind == "crashed"
    assert is_gone(helper_of(tmp_path))


def test_the_newest_progress_goes_to_the_ledger_with_each_renewal(attempt: Callable[..., Ending]) -> None:
    ledger = FakeLedger()
    attempt("slow", ledger, lease_s=0.9)
    assert len(ledger.progress) >= 3
    assert ledger.progress[-1] == {"phase": "fit", "round": 1, "metric": 0.5}


def test_a_long_lease_is_still_asked_about_every_second(attempt: Callable[..., Ending]) -> None:
    ledger = FakeLedger()
    attempt("slow", ledger, lease_s=3_600)
    assert len(ledger.progress) >= 1


def test_a_cancelled_retrain_is_killed_with_everything_it_started(
    attempt: Callable[..., Ending], tmp_path: Path
) -> None:
    ledger = FakeLedger(error=FencedError("cancelling"), after=1, state=RetrainState.CANCELLING)
    assert attempt("hang-with-helper", ledger, lease_s=1.5).kind == "cancelled"
    assert is_gone(helper_of(tmp_path))


def test_work_that_somebody_else_took_is_killed_and_not_confirmed(
    attempt: Callable[..., Ending], tmp_path: Path
) -> None:
    ledger = FakeLedger(error=FencedError("taken over"), after=1, state=RetrainState.CANCELLING, fence=2)
    assert attempt("hang-with-helper", ledger, lease_s=1.5).kind == "fenced"
    assert is_gone(helper_of(tmp_path))


def test_a_lease_that_is_refused_though_nobody_took_it_is_past_its_deadline(attempt: Callable[..., Ending]) -> None:
    ending = attempt("hang-with-helper", FakeLedger(error=FencedError("late")), lease_s=0.3)
    assert (ending.kind, ending.payload["retryable"]) == ("deadline", False)


def test_the_deadline_kills_a_trainer_that_still_answers_the_lease(
    attempt: Callable[..., Ending], tmp_path: Path
) -> None:
    hangs = after_it_hangs(tmp_path)
    ending = attempt("hang-with-helper", now=lambda: NOW + timedelta(hours=hangs()))
    assert (ending.kind, ending.payload["retryable"]) == ("deadline", False)
    assert is_gone(helper_of(tmp_path))


def test_a_worker_that_stops_gives_the_work_back_for_another_try(
    attempt: Callable[..., Ending], tmp_path: Path
) -> None:
    ending = attempt("hang-with-helper", is_stopping=after_it_hangs(tmp_path))
    assert (ending.kind, ending.payload["retryable"]) == ("stopped", True)
    assert is_gone(helper_of(tmp_path))


def test_a_short_failure_of_the_ledger_is_survived(attempt: Callable[..., Ending], tmp_path: Path) -> None:
    assert attempt("slow", FakeLedger(error=BackendError("down")), lease_s=30).kind == "outcome"
    assert "the lease could not be renewed" in log_of(tmp_path)


def test_a_trainer_is_killed_before_a_lease_ends_that_could_not_be_renewed(attempt: Callable[..., Ending]) -> None:
    begun = time.monotonic()
    assert attempt("hang-with-helper", FakeLedger(error=BackendError("down")), lease_s=2).kind == "silent"
    assert time.monotonic() - begun < 30


def test_noise_goes_to_a_log_that_has_a_limit_and_never_hides_the_answer(
    attempt: Callable[..., Ending], tmp_path: Path
) -> None:
    assert attempt("chatter").kind == "outcome"
    text = log_of(tmp_path)
    assert "not json" in text and "{broken json" in text
    assert len(text) < 21_000
    assert "lines more were left out" in text


def test_a_trainer_that_died_before_its_order_is_a_crash(tmp_path: Path) -> None:
    trainer = Trainer(["-S", "-c", "raise SystemExit(7)"], {"PATH": os.environ["PATH"]}, tmp_path)
    while trainer.is_alive():
        time.sleep(0.01)
    claim = Claim(retrain=a_retrain(), stage="train", fence=1, attempt=1, order={})
    with RetrainLog(tmp_path, "retrain-1") as log:
        ending = supervise(
            claim, "{}", trainer, FakeLedger(), log, lease_s=9, is_stopping=lambda: False, now=lambda: NOW
        )
    assert ending.kind == "crashed" and "exit code 7" in ending.payload["message"]


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[tuple[Callable[[float], Trainer], list[Trainer]]]:
    made: list[Trainer] = []

    def launch(settle_s: float) -> Trainer:
        environment = {"PATH": os.environ["PATH"]}
        made.append(Trainer(["-S", FAKE_TRAINER], environment, tmp_path, settle_s=settle_s))
        return made[-1]

    yield launch, made
    for trainer in made:
        trainer.kill()


Launched = tuple[Callable[[float], Trainer], list[Trainer]]


def test_the_spare_is_taken_once_and_then_replaced(launched: Launched) -> None:
    launch, made = launched
    spare = Spare(launch)
    spare.prepare()
    spare.prepare()
    assert len(made) == 1
    assert spare.take() is made[0]
    assert spare.take() is made[1]
    spare.prepare()
    assert len(made) == 3
    spare.close()
    assert not made[2].is_alive()


def test_a_spare_that_died_is_not_handed_out(launched: Launched) -> None:
    launch, made = launched
    spare = Spare(launch)
    spare.prepare()
    made[0].kill()
    assert spare.take() is made[1]


def test_a_spare_that_leaves_the_processor_to_others_still_takes_an_order_at_once(
    launched: Launched, tmp_path: Path
) -> None:
    launch, _made = launched
    spare = Spare(launch)
    spare.prepare(settle_s=600)
    claim = Claim(retrain=a_retrain(), stage="train", fence=1, attempt=1, order={})
    with RetrainLog(tmp_path, "retrain-1") as log:
        ending = supervise(
            claim, "{}", spare.take(), FakeLedger(), log, lease_s=9, is_stopping=lambda: False, now=lambda: NOW
        )
    assert ending.kind == "outcome"


def test_without_spares_a_trainer_is_started_when_it_is_needed(launched: Launched) -> None:
    launch, made = launched
    spare = Spare(launch, keep=False)
    spare.prepare()
    assert made == []
    assert spare.take() is made[0]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_trainer_has_no_environment_but_what_is_allowed(tmp_path: Path) -> None:
    from ratoon.settings import Settings
    from ratoon_workers.trainer import trainer_environment

    settings = Settings(project=tmp_path, train_threads=3, database_url="postgresql://u:secret@h/d")
    env = trainer_environment(
        settings, {"PATH": "/bin", "SECRET": "x", "RATOON_DATABASE_URL": "secret", "AWS_REGION": "e"}
    )
    assert "secret" not in str(env) and "SECRET" not in env
    assert env["PATH"] == "/bin" and env["AWS_REGION"] == "e"
    assert env["OMP_WAIT_POLICY"] == "PASSIVE"
    assert (env["OMP_NUM_THREADS"], env["POLARS_MAX_THREADS"]) == ("3", "3")
