"""A real broker, real workers and a real ledger in a folder of the test's own; only the trainer is a fake."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from ratoon.ledger import Ledger
from ratoon.ledger.records import Retrain, RetrainSpec
from ratoon.policy.spec import Policy
from ratoon.policy.values import Signals
from ratoon.settings import Settings
from ratoon.stack import broker
from ratoon.stack.home import prepare_home

HERE = Path(__file__).parent
FAKE_TRAINER = HERE.parents[1] / "unit" / "workers" / "fake_trainer.py"
PATIENCE_S = 60
LEASE_S = 3.0
POLICY = Policy.model_validate({"triggers": [{"kind": "max_age", "age": "1d"}], "guards": {"min_labelled_rows": 1}})


def until(condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
    """Return the condition's value once it is true, or fail."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)
    return found


def is_gone(process: psutil.Process) -> bool:
    """Say whether a process has ended (a zombie has)."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Bench:
    """One home with a broker, and workers that come and go."""

    until = staticmethod(until)

    def __init__(self, folder: Path, **fields: Any) -> None:
        self.folder = folder
        self.plan = folder / "plan"
        values = {"project": folder, "home": folder / "home", "lease_s": LEASE_S, "sweep_s": 0.2}
        self.settings = Settings.model_validate(values | fields)
        prepare_home(self.settings)
        self.ledger = Ledger(self.settings.ledger_url)
        self.ledger.migrate()
        self.broker: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self.seen: dict[int, psutil.Process] = {}

    def start_broker(self) -> None:
        """Start the embedded broker, unless the settings name another one."""
        if self.settings.broker_url:
            return
        command = broker.server_command(broker.find_server(), self.settings)
        broker.clear_socket(self.settings)
        with (self.settings.logs / "broker.log").open("ab") as log:
            self.broker = subprocess.Popen(command, stdout=log, stderr=log)
        until(lambda: broker.answers(self.settings.broker_socket), "the broker answers")

    def start_worker(self, queues: str = "train.cpu,evaluate") -> subprocess.Popen[bytes]:
        """Start a worker and return when it takes messages."""
        ready = self.folder / f"ready-{len(self.workers)}"
        options = ["--queues", queues, "--name", f"w{len(self.workers)}", "--ready-file", str(ready)]
        env = {name: text for name, text in os.environ.items() if not name.startswith("RATOON_")}
        env |= self.settings.to_env() | {"RATOON_TRAINER_PLAN": str(self.plan)}
        with (self.settings.logs / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-P", str(HERE / "worker_entry.py"), str(FAKE_TRAINER), *options],
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.workers.append(worker)
        until(lambda: ready.is_file() or worker.poll() is not None, "the worker is ready")
        assert worker.poll() is None, self.worker_log()
        return worker

    def request(self, model: str, **spec: Any) -> str:
        """Decide a retrain of a model of its own and return its id."""
        now = datetime.now(UTC)
        self.ledger.ensure_model(model, "flights")
        event = self.ledger.record_event(
            event_id=f"event-{model}", kind="manual.requested", subject=model, as_of=now, data={"reason": "a test"}
        )
        values = {"spec_digest": "s", "order": {"model": model}, "deadline_s": 120.0} | spec
        signals = Signals(manual="a test", labelled_rows=10, new_labelled_rows=10)
        decision = self.ledger.decide(
            model, event.event_id, policy=POLICY, signals=signals, now=now, evidence={}, retrain=RetrainSpec(**values)
        )
        assert decision.retrain_id is not None
        return decision.retrain_id

    def state(self, retrain_id: str) -> str:
        """Return a retrain's state."""
        return str(self.ledger.retrain(retrain_id).state)

    def wait(self, retrain_id: str, *states: str) -> Retrain:
        """Return a retrain once it is in one of some states."""
        until(lambda: self.state(retrain_id) in states, f"{retrain_id} is {states}: {self.worker_log()}")
        return self.ledger.retrain(retrain_id)

    def wait_for_trainer(self, retrain_id: str) -> psutil.Process:
        """Return the trainer of a retrain that hangs, once it does."""

        def trainer() -> psutil.Process | None:
            words = self.retrain_log(retrain_id).split("trainer ")
            pid = int(words[-1].split()[0]) if len(words) > 1 else 0
            return psutil.Process(pid) if pid and psutil.pid_exists(pid) else None

        found: psutil.Process = until(trainer, "the trainer has its order")
        self.look()
        return found

    def pool_child(self, worker: subprocess.Popen[bytes]) -> psutil.Process:
        """Return the process of the pool that supervises trainers."""
        children = psutil.Process(worker.pid).children()
        return next(child for child in children if "spawn_main" in " ".join(child.cmdline()))

    def retrain_log(self, retrain_id: str) -> str:
        """Return the log of a retrain, empty while there is none."""
        path = self.settings.logs / "retrains" / f"{retrain_id}.log"
        return path.read_text() if path.is_file() else ""

    def worker_log(self) -> str:
        """Return the workers' log."""
        path = self.settings.logs / "worker.log"
        return path.read_text()[-3_000:] if path.is_file() else ""

    def look(self) -> None:
        """Remember every process that the workers have now, for :meth:`nothing_is_left`."""
        for worker in self.workers:
            if worker.poll() is None:
                for process in psutil.Process(worker.pid).children(recursive=True):
                    self.seen[process.pid] = process

    def nothing_is_left(self) -> bool:
        """Say whether no process lives that a worker started."""
        return all(is_gone(process) for process in self.seen.values())

    def stop(self) -> None:
        """End everything."""
        self.look()
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        if self.broker is not None:
            self.broker.terminate()
            self.broker.wait(10)
        self.ledger.close()
        until(self.nothing_is_left, f"no process is left of {self.seen}", 10)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.plan.write_text("answer")
    made.start_broker()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("bench"))
    made.plan.write_text("answer")
    made.start_broker()
    made.start_worker()
    yield made
    made.stop()


@pytest.fixture
def bench_type() -> type[Bench]:
    return Bench
