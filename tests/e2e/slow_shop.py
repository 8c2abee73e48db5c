"""A small project whose training is slow, on the real stack: what is done to a training must find it running."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Self

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

# Slow on purpose: the training must still run when something is done to it.
MODEL = """
type: ratoon.RetrainedModel
attributes:
  name: returns
  dataset: orders
  features: shop.features:order_features
  training: {rounds: ROUNDS, early_stopping_rounds: ROUNDS, holdout: 2d, params: {eta: 0.001, max_depth: 7}}
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


TRAINER = "ratoon.training.process"


@dataclass
class SlowShop:
    """The project, its stack while that runs, and both seen through the ledger."""

    root: Path
    port: int
    weeks: int = 0
    up: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @classmethod
    def make(cls, root: Path, *, rounds: int) -> Self:
        """Write the project; on two free cores a training takes about 2 s per thousand rounds."""
        for name, text in (("orders", DATASET), ("returns", MODEL.replace("ROUNDS", str(rounds)))):
            folder = root / "shop" / "defs" / name
            folder.mkdir(parents=True)
            (folder / "defs.yaml").write_text(text)
        (root / "shop" / "__init__.py").touch()
        (root / "shop" / "features.py").write_text(FEATURES)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return cls(root=root, port=free.getsockname()[1])

    @cached_property
    def app(self) -> Ratoon:
        """The application; it is there once the stack has started."""
        return build(load_settings(self.root))

    @property
    def env(self) -> dict[str, str]:
        """The environment of the stack: the project's folder in it tells the stack's processes from all others."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("RATOON_", "DAGSTER_"))}
        return env | {
            "RATOON_WEBSERVER_PORT": str(self.port),
            "RATOON_LEASE_S": "5",
            "RATOON_PROJECT": str(self.root),
        }

    def start(self) -> None:
        """Run ``ratoon up`` until it is ready."""
        log = self.root / "up.log"
        with log.open("wb") as output:
            self.up = subprocess.Popen([ratoon(), "up"], cwd=self.root, env=self.env, stdout=output, stderr=output)
        up = self.up
        eventually(lambda: "Ready:" in log.read_text() or up.poll() is not None, "the stack", within_s=180)
        assert up.poll() is None, log.read_text()

    def stop(self) -> int:
        """Interrupt ``ratoon up`` and return its exit code once it has ended."""
        assert self.up is not None
        self.up.send_signal(signal.SIGINT)
        return self.up.wait(timeout=120)

    def left_behind(self) -> list[str]:
        """Return what a stopped stack must not leave: processes, sockets, and the home's lock."""
        home, runtime = self.app.settings.home, self.app.settings.runtime_dir
        files = [*home.rglob("*"), *(runtime.rglob("*") if runtime != home else ())]
        left = [str(file) for file in files if file.name == "up.lock" or stat.S_ISSOCK(file.lstat().st_mode)]
        return left + [str(process) for process in self.processes()]

    def processes(self, *words: str) -> list[psutil.Process]:
        """Return the stack's processes whose command line holds the words."""
        return [
            process
            for process in psutil.process_iter()
            if _project_of(process) == str(self.root) and all(word in _command_line(process) for word in words)
        ]

    def find(self, *words: str) -> psutil.Process:
        """Return the stack's one process whose command line holds the words and whose parent's does not."""
        found = [p for p in self.processes(*words) if not all(word in _command_line(p.parent()) for word in words)]
        assert len(found) == 1, (words, found)
        return found[0]

    def trainer_of(self, retrain: Retrain) -> psutil.Process:
        """Return the process that trains: the trainer of the pool process that holds the lease, which has no spare now."""
        assert retrain.owner is not None
        pool = psutil.Process(int(retrain.owner.rpartition(":")[2]))
        [trainer] = [child for child in pool.children(recursive=True) if TRAINER in _command_line(child)]
        return trainer

    def command(self, *arguments: str) -> dict[str, Any]:
        """Return the JSON answer of a ``ratoon`` command that succeeds."""
        done = subprocess.run(
            [ratoon(), *arguments, "--json"], cwd=self.root, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the data of a GraphQL answer without errors."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = f"http://127.0.0.1:{self.port}/graphql"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

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
        """Wait until a retrain has ended and Dagster has shown it.

        A daemon that dies between taking a run and launching it leaves that run starting until Dagster's own
        ``start_timeout_seconds`` (300 s); only then another one shows the retrain.
        """

        def look() -> Retrain | None:
            retrain = self.app.ledger.retrain(retrain_id)
            return retrain if retrain.finished_at and retrain.reported_at else None

        return eventually(look, f"the end of {retrain_id}", within_s=420)


def ratoon() -> str:
    """Return the path of the command."""
    return str(Path(sys.executable).with_name("ratoon"))


def eventually(look: Callable[[], Any], what: str, *, within_s: float) -> Any:
    """Return what a look finds, or fail saying what did not come."""
    until = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > until:
            pytest.fail(f"{what} did not come within {within_s:g} s")
        time.sleep(0.2)
    return found


def _project_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("RATOON_PROJECT")
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return None


def _command_line(process: psutil.Process | None) -> str:
    try:
        return " ".join(process.cmdline()) if process is not None else ""
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return ""
