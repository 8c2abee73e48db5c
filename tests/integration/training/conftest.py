"""A small lake on disk, and the trainer as a real process over it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ratoon.contracts.spec import Column, Contract, Label
from ratoon.lake import Lake

START = datetime(2026, 1, 1, tzinfo=UTC)
N_ROWS = 2_000
CONTRACT = Contract(
    columns={
        "trip": Column(type="int"),
        "at": Column(type="datetime"),
        "load": Column(type="float"),
        "kind": Column(type="category"),
    },
    entity_key=["trip"],
    event_time="at",
    label=Label(column="late", type="bool", delay=timedelta(days=1)),
)
FEATURES = """
import os

print("imported: this line must not reach the protocol")
print("OpenMP waits", os.environ["OMP_WAIT_POLICY"])

def build(rows):
    print("called: nor must this")
    return rows.select("load", "kind")
"""


class Trainer:
    """One trainer process."""

    def __init__(self, *, interpreter: tuple[str, ...] = ("-m", "ratoon.training.process"), **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *interpreter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: text for name, text in os.environ.items() if name != "OMP_WAIT_POLICY"}
            | {"POLARS_MAX_THREADS": "2"}
            | environment,
        )
        self.lines: list[dict[str, Any]] = []

    def send(self, order: dict[str, Any] | str) -> None:
        assert self.process.stdin
        self.process.stdin.write((order if isinstance(order, str) else json.dumps(order)) + "\n")
        self.process.stdin.flush()

    def read_until(self, phase: str) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
            if self.lines[-1].get("phase", self.lines[-1]["type"]) == phase:
                return
        pytest.fail(f"no {phase}: {self.lines} {self.process.stderr.read() if self.process.stderr else ''}")

    def finish(self) -> int:
        out, self.log = self.process.communicate(timeout=120)
        self.lines += [json.loads(line) for line in out.splitlines()]
        return self.process.returncode

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]


class Stage:
    """A home with a lake and an artifact folder, and orders over it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.artifacts = root / "artifacts"
        lake = Lake(str(root / "lake"))
        rows, labels = _trips()
        as_of = START + timedelta(days=30)
        self.rows_version = lake.append_rows("trips", "batch-1", rows.head(1_200), as_of=as_of)
        self.rows_version = lake.append_rows("trips", "batch-2", rows.tail(800), as_of=as_of)
        self.labels_version = lake.append_labels("trips", "labels-1", labels, as_of=as_of)
        self.write_features(FEATURES)

    def write_features(self, text: str) -> None:
        (self.root / "trip_features.py").write_text(text)

    def order(self, **changes: Any) -> dict[str, Any]:
        order = {
            "kind": "train", "retrain_id": "retrain-1", "model": "lateness", "dataset": "trips",
            "project_root": str(self.root), "features": "trip_features:build", "contract": CONTRACT.to_json(), "task": "binary",
            "lake_url": str(self.root / "lake"), "artifacts_url": str(self.artifacts),
            "rows_version": self.rows_version, "labels_version": self.labels_version,
            "as_of": (START + timedelta(days=30)).isoformat(), "threads": 2,
            "training": {"rounds": 10, "early_stopping_rounds": 5, "holdout": "3d", "windows": ["all", "7d"]}, "metric": "auc",
        }  # fmt: skip
        return order | changes

    def evaluation(self, candidate: str, **changes: Any) -> dict[str, Any]:
        order = self.order(kind="evaluate", candidate=candidate, gate={"metric": "auc", "min_rows": 100}, **changes)
        del order["training"], order["metric"]
        return order

    def named_blobs(self) -> list[Path]:
        return [path for path in self.artifacts.rglob("*") if path.is_file() and not path.name.startswith(".")]


def _trips() -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(3)
    load, kind = rng.normal(size=N_ROWS), rng.choice(["bike", "car", "van"], N_ROWS)
    at = pl.Series([START + timedelta(minutes=10 * i) for i in range(N_ROWS)]).dt.cast_time_unit("us")
    rows = pl.DataFrame({"trip": np.arange(N_ROWS), "at": at, "load": load, "kind": kind})
    late = load + (kind == "van") + 0.7 * rng.normal(size=N_ROWS) > 0.5
    labels = pl.DataFrame({"trip": np.arange(N_ROWS), "late": late, "known_at": at.dt.offset_by("1d")})
    return rows, labels


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[Trainer] = []

    def launch(**options: Any) -> Trainer:
        started.append(Trainer(**options))
        return started[-1]

    yield launch
    for trainer in started:
        if trainer.process.poll() is None:
            trainer.process.send_signal(signal.SIGKILL)
        trainer.process.communicate()
