"""A small world of bikes: rows, labels a day later, and feature modules on disk."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ratoon.contracts.spec import Column, Contract, Label
from ratoon.declarations import Gate, Training
from ratoon.registry.store import ArtifactStore
from ratoon.training.orders import EvaluateOrder, TrainOrder

START = datetime(2026, 1, 1, tzinfo=UTC)

FEATURES = """
import polars as pl

def build(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.select("_row", "load", "kind", hour=pl.col("at").dt.hour(), heavy=pl.col("load") > 1)
"""


class World:
    """Rows of ``n`` trips, one each ten minutes, and orders over them."""

    def __init__(self, root: Path, n: int = 3_000, task: str = "binary", seed: int = 7) -> None:
        self.root, self.task = root, task
        self.store = ArtifactStore(str(root / "artifacts"))
        self.frame = _trips(n, task, seed)
        self.write_features(FEATURES)

    def write_features(self, text: str) -> None:
        (self.root / "trip_features.py").write_text(text)

    def source(self, order: TrainOrder | EvaluateOrder) -> pl.LazyFrame:
        return self.frame.lazy()

    @property
    def contract(self) -> Contract:
        columns = {
            "trip": Column(type="int"),
            "at": Column(type="datetime"),
            "load": Column(type="float", nullable=True),
            "kind": Column(type="category", nullable=True),
        }
        kinds: dict[str, Any] = {"binary": "bool", "multiclass": "category", "regression": "float"}
        label = Label(column="late", type=kinds[self.task], delay=timedelta(days=1))
        return Contract(columns=columns, entity_key=["trip"], event_time="at", label=label)

    def order(self, **changes: Any) -> TrainOrder:
        training = Training(
            rounds=20, early_stopping_rounds=5, holdout=timedelta(days=3), **changes.pop("training", {})
        )
        metrics: dict[str, Any] = {"binary": "auc", "multiclass": "logloss", "regression": "rmse"}
        return TrainOrder(**({**self._common(), "training": training, "metric": metrics[self.task]} | changes))

    def evaluation(self, candidate: str, **changes: Any) -> EvaluateOrder:
        metrics: dict[str, Any] = {"binary": "auc", "multiclass": "logloss", "regression": "rmse"}
        gate = Gate(**({"metric": metrics[self.task], "min_rows": 100} | changes.pop("gate", {})))
        return EvaluateOrder(**({**self._common(), "candidate": candidate, "gate": gate} | changes))

    def _common(self) -> dict[str, Any]:
        return {
            "retrain_id": "retrain-1", "model": "lateness", "dataset": "trips", "project_root": str(self.root),
            "features": "trip_features:build", "contract": self.contract, "task": self.task,
            "lake_url": "unused", "artifacts_url": str(self.root / "artifacts"), "rows_version": 3, "labels_version": 2,
            "as_of": START + timedelta(days=365),
        }  # fmt: skip


def _trips(n: int, task: str, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    load, kind = rng.normal(size=n), rng.choice(["bike", "car", "van"], n)
    signal = load + (kind == "van") + rng.normal(size=n) * 0.7
    label: dict[str, Any] = {
        "binary": signal > 0.5,
        "multiclass": np.where(signal > 1, "late", np.where(signal > 0, "near", "on_time")),
        "regression": signal,
    }
    return pl.DataFrame(
        {
            "trip": np.arange(n),
            "at": [START + timedelta(minutes=10 * i) for i in range(n)],
            "load": load,
            "kind": kind,
            "late": label[task],
            "_batch": [f"batch-{i // 1000}" for i in range(n)],
        }
    ).with_columns(pl.col("at").dt.cast_time_unit("us"))


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., World]:
    return lambda **options: World(tmp_path, **options)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
