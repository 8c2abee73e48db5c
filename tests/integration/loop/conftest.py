"""A small project with made data, and a worker that does its work at once in the trainer's own process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratoon.bootstrap import Ratoon, build
from ratoon.ledger.records import ArtifactRecord, Claim, EvaluationRecord, OutboxMessage
from ratoon.settings import load_settings
from ratoon_workers.orders import order_line

START = datetime(2026, 1, 5, tzinfo=UTC)

DATASET = """
type: ratoon.Dataset
attributes:
  name: orders
  source: {path: orders}
  labels: {path: outcomes}
  contract:
    entity_key: [order_id]
    event_time: placed
    label: {column: returned, type: bool, delay: 1d}
    columns:
      order_id: {type: string}
      placed: {type: datetime}
      amount: {type: float, min: 0, max: 1000}
      items: {type: int, min: 1}
      shop: {type: category, allowed: [north, south]}
    rules:
      - {name: worth_an_item, check: amount >= items}
"""

MODEL = """
type: ratoon.RetrainedModel
attributes:
  name: returns
  dataset: orders
  features: shop.features:order_features
  training: {rounds: 20, early_stopping_rounds: 5, holdout: 7d}
  gate: {metric: auc, margin: 0.1, min_rows: 100}
  policy:
    triggers:
      - {kind: new_rows, rows: 900}
    guards: {min_labelled_rows: 200}
"""

FEATURES = """
import polars as pl


def order_features(orders: pl.LazyFrame) -> pl.LazyFrame:
    return orders.select("amount", "items", "shop", price=pl.col("amount") / pl.col("items"))
"""


def orders(week: int, rows: int = 500, seed: int = 0) -> pl.DataFrame:
    """Return a week of orders with what will become of them."""
    rng = np.random.default_rng([seed, week])
    amount = rng.uniform(20, 900, rows)
    items = rng.integers(1, 10, rows)
    returned = rng.random(rows) < 1 / (1 + np.exp(-(amount - 450) / 120))
    return pl.DataFrame(
        {
            "order_id": [f"w{week:02d}-{i:04d}" for i in range(rows)],
            "placed": [START + timedelta(weeks=week, seconds=int(600_000 * i / rows)) for i in range(rows)],
            "amount": amount,
            "items": items,
            "shop": rng.choice(["north", "south"], rows),
            "returned": returned,
        }
    )


@dataclass
class Shop:
    """The project, its application, and where its files land."""

    root: Path
    app: Ratoon
    now: list[datetime]
    work: Callable[[OutboxMessage], None]

    @property
    def inbox(self) -> Path:
        return self.app.settings.inbox

    def land(self, name: str, content: bytes | pl.DataFrame, *, at: datetime, folder: str = "orders") -> Path:
        """Let a file land at a time."""
        path = self.inbox / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content.write_parquet(path)
        os.utime(path, (at.timestamp(), at.timestamp()))
        return path

    def land_week(self, week: int) -> None:
        """Let the orders of a week land at its end, and their outcomes a day and a minute later."""
        self.land_orders(week, orders(week))
        self.land_outcomes(week, orders(week), after=timedelta(days=1, minutes=1))

    def land_orders(self, week: int, made: pl.DataFrame) -> None:
        """Let orders land at the end of a week."""
        self.land(f"w{week:02d}.parquet", made.drop("returned"), at=START + timedelta(weeks=week + 1))

    def land_outcomes(self, week: int, made: pl.DataFrame, *, after: timedelta) -> None:
        """Let the outcomes of orders land some time after the end of a week; each is known a day after its order."""
        known = made.select("order_id", "returned", known_at=pl.col("placed") + timedelta(days=1))
        at = START + timedelta(weeks=week + 1) + after
        self.land(f"w{week:02d}.parquet", known, at=at, folder="outcomes")


@pytest.fixture
def make_shop(tmp_path: Path) -> Callable[..., Shop]:
    """Return a function that makes the project, or opens it again with other declarations or a later clock."""

    def make(
        *, dataset: str = DATASET, model: str = MODEL, publish: Callable[[OutboxMessage], None] | None = None
    ) -> Shop:
        root = tmp_path / "shop-project"
        for name, text in (("orders", dataset), ("returns", model)):
            folder = root / "shop" / "defs" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "defs.yaml").write_text(text)
        (root / "shop" / "__init__.py").touch()
        (root / "shop" / "features.py").write_text(FEATURES)
        settings = load_settings(root, clock="event", train_threads=1)
        settings.home.mkdir(exist_ok=True)
        now = [datetime(2026, 11, 1, tzinfo=UTC)]
        held: list[Ratoon] = []
        worker = _worker(held)
        app = build(settings, publish=publish or worker, clock=lambda: now[0])
        held.append(app)
        app.ledger.migrate()
        return Shop(root=root, app=app, now=now, work=worker)

    return make


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    """Return the project as declared above, with a worker."""
    return make_shop()


def _worker(held: list[Ratoon]) -> Callable[[OutboxMessage], None]:
    def work(message: OutboxMessage) -> None:
        app = held[0]
        claim = app.ledger.claim(message.retrain_id, message.task, owner="test", lease_s=60)
        if not isinstance(claim, Claim):
            return
        artifact = app.ledger.artifact(message.retrain_id)
        outcome = _run_trainer(order_line(claim, app.settings, candidate=artifact.digest if artifact else None))
        if message.task == "train":
            app.ledger.report_trained(message.retrain_id, claim.fence, artifact=_record(ArtifactRecord, outcome))
            app.ledger.relay(work)
        else:
            app.ledger.report_evaluated(message.retrain_id, claim.fence, evaluation=_record(EvaluationRecord, outcome))
            app.ledger.conclude(message.retrain_id)

    return work


def _record(kind: type, outcome: dict) -> object:
    return kind(**{name: outcome[name] for name in kind.model_fields})


def _run_trainer(order: str) -> dict:
    env = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ratoon.training.process"]
    done = subprocess.run(command, input=order + "\n", capture_output=True, text=True, env=env, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{lines[-1:]} {done.stderr[-2000:]}"
    return lines[-1]["outcome"]
