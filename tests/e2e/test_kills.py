"""`kill -9` of the trainer, of the Celery worker and of Dagster's daemon while a training runs, on the real stack."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest

from ratoon.bootstrap import Ratoon, build
from ratoon.ledger.records import Retrain
from ratoon.ledger.states import RetrainState
from ratoon.settings import load_settings

START = datetime(2020, 1, 6, tzinfo=UTC)
ROWS = 3_000

DATASET = """
type: ratoon.Dataset
attributes:
  name: orders
  source: {path: orders, settle: 0s}
  labels: {path: outcomes, settle: 0s}
  contract:
    entity_key: [order_id]
    event_time: placed
    label: {column: returned, type: bool, delay: 1d}
    columns:
      order_id: {type: string}
      placed: {type: datetime}
      amount: {type: float}
      items: {type: int}
"""

# Slow on purpose: the training must still run when it is killed.
MODEL = """
type: ratoon.RetrainedModel
attributes:
  name: returns
  dataset: orders
  features: shop.features:order_features
  training: {rounds: 4000, early_stopping_rounds: 4000, holdout: 2d, params: {eta: 0.001, max_depth: 7}}
  gate: {metric: auc, margin: 0.4, min_rows: 100, must_beat_baseline: false}
  policy:
    triggers:
      - {kind: new_rows, rows: 2500}
    guards: {min_labelled_rows: 1000}
"""

FEATURES = """
import polars as pl


def order_features(orders: pl.LazyFrame) -> pl.LazyFrame:
    return orders.select("amount", "items", price=pl.col("amount") / pl.col("items"))
"""


@dataclass
class Running:
    """A stack, seen through its ledger."""

    app: Ratoon
    weeks: int = 0

    def land_week(self) -> None:
        """Let a week of orders and their outcomes land."""
        rng = np.random.default_rng(self.weeks)
        amount = rng.uniform(20, 900, ROWS)
        start = START + timedelta(weeks=self.weeks)
        made = pl.DataFrame(
            {
                "order_id": [f"w{self.weeks}-{i}" for i in range(ROWS)],
                "placed": [start + timedelta(seconds=int(600_000 * i / ROWS)) for i in range(ROWS)],
                "amount": amount,
                "items": rng.integers(1, 10, ROWS),
                "returned": rng.random(ROWS) < 1 / (1 + np.exp(-(amount - 450) / 120)),
            }
        )
        known = made.select("order_id", "returned", known_at=pl.col("placed") + timedelta(days=1))
        for folder, frame in (("orders", made.drop("returned")), ("outcomes", known)):
            place = self.app.settings.inbox / folder
            place.mkdir(parents=True, exist_ok=True)
            frame.write_parquet(place / f".w{self.weeks}.part")
            (place / f".w{self.weeks}.part").rename(place / f"w{self.weeks}.parquet")
        self.weeks += 1

    def retrains(self) -> list[Retrain]:
        """Return the model's retrains, oldest first."""
        known = {row.name for row in self.app.ledger.models()}
        return sorted(self.app.ledger.retrains("returns"), key=lambda one: one.seq) if "returns" in known else []

    def training(self, number: int) -> Retrain:
        """Wait until the n-th retrain (from 1) trains and has said so."""

        def look() -> Retrain | None:
            found = self.retrains()
            if len(found) < number:
                return None
            retrain = found[number - 1]
            return retrain if retrain.state == RetrainState.RUNNING and "round" in (retrain.progress or {}) else None

        return eventually(look, f"training {number}", within_s=150)

    def end_of(self, retrain_id: str) -> Retrain:
        """Wait until a retrain has ended and Dagster has shown it."""

        def look() -> Retrain | None:
            retrain = self.app.ledger.retrain(retrain_id)
            return retrain if retrain.finished_at and retrain.reported_at else None

        return eventually(look, f"the end of {retrain_id}", within_s=240)


def eventually(look: Callable[[], Any], what: str, *, within_s: float) -> Any:
    """Return what a look finds, or fail saying what did not come."""
    until = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > until:
            pytest.fail(f"{what} did not come within {within_s:g} s")
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start ``ratoon up`` on the shop, and have nothing left behind when it is told to stop."""
    root = tmp_path_factory.mktemp("kills") / "shop"
    for name, text in (("orders", DATASET), ("returns", MODEL)):
        folder = root / "shop" / "defs" / name
        folder.mkdir(parents=True)
        (folder / "defs.yaml").write_text(text)
    (root / "shop" / "__init__.py").touch()
    (root / "shop" / "features.py").write_text(FEATURES)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("RATOON_", "DAGSTER_"))}
    env |= {"RATOON_WEBSERVER_PORT": str(port), "RATOON_LEASE_S": "5", "RATOON_PROJECT": str(root)}
    log = root / "up.log"
    with log.open("w") as output:
        command = [str(Path(sys.executable).with_name("ratoon")), "up"]
        up = subprocess.Popen(command, cwd=root, env=env, stdout=output, stderr=output)
    try:
        eventually(lambda: "Ready:" in log.read_text() or up.poll() is not None, "the stack", within_s=180)
        assert up.poll() is None, log.read_text()
        yield Running(build(load_settings(root)))
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(timeout=120)
    assert processes_of(root) == []


def processes_of(root: Path) -> list[psutil.Process]:
    """Return the processes that belong to a project: its folder is in their environment."""
    return [process for process in psutil.process_iter() if _project_of(process) == str(root)]


def _project_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("RATOON_PROJECT")
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return None


def find(running: Running, *words: str) -> psutil.Process:
    """Return the project's process whose command line holds the words; of several the one that worked most."""
    found = [p for p in processes_of(running.app.settings.project) if all(w in " ".join(p.cmdline()) for w in words)]
    assert found, words
    return max(found, key=lambda process: sum(process.cpu_times()[:2]))


VICTIMS = {
    "trainer": ("ratoon.training.process",),
    "worker": ("ratoon_workers", "train.cpu"),
    "daemon": ("dagster._daemon",),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", list(VICTIMS))
def test_a_kill_while_a_training_runs_ends_in_exactly_one_artifact_and_one_promotion(
    running: Running, victim: str
) -> None:
    before = len(running.retrains())
    running.land_week()
    retrain = running.training(before + 1)
    target = find(running, *VICTIMS[victim])
    target.kill()

    ended = running.end_of(retrain.retrain_id)

    assert not target.is_running()
    assert ended.state == RetrainState.PROMOTED
    # The training's own death costs an attempt; the daemon's does not touch it.
    ledger = running.app.ledger
    trail = [entry for entry in ledger.audit_trail(retrain.retrain_id) if entry.action == "retrain.RUNNING"]
    assert len(trail) == (1 if victim == "daemon" else 2)
    assert ledger.artifact(retrain.retrain_id) is not None
    assert len([p for p in ledger.promotions("returns") if p.retrain_id == retrain.retrain_id]) == 1
    assert len(ledger.versions("returns")) == len(ledger.promotions("returns")) == before + 1
    assert len(running.retrains()) == before + 1
    eventually(lambda: not ledger.pending_events("returns"), "decisions about all events", within_s=120)
    assert ledger.check_invariants() == []
    assert ledger.replay_decisions() == []
