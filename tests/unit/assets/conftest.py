"""A ledger, a store and a loop in memory: what the assets see of the application."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from ratoon.declarations import Project
from ratoon.ledger.records import ArtifactRecord, EvaluationRecord, FeedItem, Performance, Promotion, Retrain, Version
from ratoon.ledger.states import RetrainState
from ratoon.project import load_project
from ratoon.templates import write_project

START = datetime(2026, 3, 1, tzinfo=UTC)
MODEL, DATASET = "late", "deliveries"


def retrain_record(state: RetrainState, *, retrain_id: str = "retrain-1", **values: Any) -> Retrain:
    """Return a retrain of the model in some state."""
    record: dict[str, Any] = dict.fromkeys(Retrain.model_fields) | {
        "retrain_id": retrain_id,
        "seq": 10,
        "decision_id": "decision-1",
        "model": MODEL,
        "dataset": DATASET,
        "state": state,
        "as_of": START,
        "queue": "cpu",
        "spec_digest": "spec",
        "order": {
            "dataset": DATASET,
            "rows_version": 12,
            "labels_version": 9,
            "storage_options": {"aws_secret_access_key": "hush"},
        },
        "deadline_s": 60.0,
        "max_attempts": 3,
        "attempt": 1,
        "fence": 1,
        "requested_at": START,
        "updated_at": START,
    }
    return Retrain.model_validate(record | values)


def promotion_record(
    revision: int, version: int, *, kind: str = "promotion", retrain_id: str | None = "retrain-1"
) -> Promotion:
    """Return one move of the champion pointer."""
    return Promotion.model_validate(
        {
            "model": MODEL,
            "revision": revision,
            "version": version,
            "previous_version": version - 1 or None,
            "kind": kind,
            "actor": "ratoon",
            "reason": "",
            "retrain_id": retrain_id,
            "at": START,
            "recorded_at": START,
        }
    )


class FakeLedger:
    """Plays a retrain's states one after the other, one per look; the last one stays."""

    def __init__(self) -> None:
        self.states: list[Retrain] = []
        self.verdict = "promote"
        self.moves: list[Promotion] = []
        self.notices: list[FeedItem] = []
        self.unreported: list[Retrain] = []
        self.taken: list[Any] = []
        self.waiting_events: list[str] = []
        self.runs: list[tuple[str, str]] = []
        self.reported: list[str] = []
        self.cancelled: list[tuple[str, str]] = []
        self.cohorts: list[Performance] = []
        self.drift_records: list[Any] = []
        self.known: dict[str, Retrain] = {}
        self.met: list[str] = []

    def models(self) -> list[Any]:
        return [SimpleNamespace(name=name) for name in self.met]

    def ensure_model(self, name: str, dataset: str) -> None:
        self.met.append(name)

    def retrain(self, retrain_id: str) -> Retrain:
        if retrain_id in self.known:
            return self.known[retrain_id]
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def artifact(self, retrain_id: str) -> ArtifactRecord:
        return ArtifactRecord(
            digest="a" * 64,
            size=1234,
            metrics={"auc": 0.81},
            data={"rows": 5_000, "rows_version": 12, "labels_version": 9},
            code={"features": "f"},
            params={"eta": 0.1},
            refs={},
        )

    def evaluation(self, retrain_id: str) -> EvaluationRecord:
        return EvaluationRecord(
            verdict=self.verdict,
            reasons=["auc 0.81 against 0.80"],
            report_digest="r" * 64,
            metrics={
                "candidate": 0.81,
                "candidate_low": 0.8,
                "candidate_high": 0.82,
                "champion": 0.8,
                "gain": 0.01,
                "baseline": None,
            },
            n_rows=700,
        )

    def versions(self, model: str) -> list[Version]:
        return [
            Version.model_validate(
                {
                    "model": model,
                    "version": number,
                    "retrain_id": f"retrain-{number}",
                    "artifact_digest": str(number) * 64,
                    "refs": {},
                    "data": {},
                    "data_until": START,
                    "created_at": START,
                    "promoted_at": START,
                    "metrics": {"candidate": 0.8 + number / 100},
                    "report_digest": "r" * 64,
                    "is_champion": False,
                }
            )
            for number in (1, 2)
        ]

    def promotions(self, model: str) -> list[Promotion]:
        return self.moves

    def performance(self, model: str, *, limit: int | None = None) -> list[Performance]:
        return self.cohorts

    def drift(self, model: str, *, limit: int) -> list[Any]:
        return self.drift_records[:limit]

    def batches(self, dataset: str, *, role: str | None = None, limit: int | None = None) -> list[Any]:
        return self.taken

    def mark_run(self, retrain_id: str, run_id: str) -> None:
        self.runs.append((retrain_id, run_id))

    def mark_reported(self, retrain_id: str) -> None:
        self.reported.append(retrain_id)
        self.unreported = [retrain for retrain in self.unreported if retrain.retrain_id != retrain_id]

    def request_cancel(self, retrain_id: str, actor: str) -> None:
        self.cancelled.append((retrain_id, actor))

    def feed(self, after_seq: int, limit: int) -> list[FeedItem]:
        return [item for item in self.notices if item.seq > after_seq][:limit]

    def retrains(self, *, states: set[RetrainState], limit: int) -> list[Retrain]:
        return [retrain for retrain in self.known.values() if retrain.state in states][:limit]

    def unreported_retrains(self, *, after_seq: int = 0, limit: int = 100) -> list[Retrain]:
        return [retrain for retrain in self.unreported if retrain.seq > after_seq][:limit]

    def pending_events(self, model: str, *, limit: int = 100) -> list[Any]:
        return [SimpleNamespace(event_id=event_id) for event_id in self.waiting_events[:limit]]

    def end(self, retrain_id: str) -> None:
        """Let a retrain end, not reported by anybody."""
        self.known[retrain_id] = self.known[retrain_id].model_copy(update={"state": RetrainState.PROMOTED})
        self.unreported.append(self.known[retrain_id])

    def request(self, retrain: Retrain, *, event_id: str) -> None:
        """Write what the ledger writes when a retrain is decided."""
        data = {
            "retrain_id": retrain.retrain_id,
            "decision_id": retrain.decision_id,
            "event_id": event_id,
            "reason": "2,000 new rows",
        }
        self.known[retrain.retrain_id] = retrain
        self.notices.append(
            FeedItem(seq=retrain.seq + 2, kind="retrain.requested", model=retrain.model, data=data, recorded_at=START)
        )


class FakeStore:
    """Holds the one report that every evaluation names."""

    def __init__(self) -> None:
        self.checks = [
            {
                "name": "min_rows",
                "passed": True,
                "value": 700.0,
                "threshold": 300.0,
                "sentence": "700 matured rows; 300 are needed",
            }
        ]

    def get_json(self, digest: str) -> dict[str, Any]:
        return {"checks": self.checks}


class FakeApplication:
    """The resource, with everything in memory."""

    def __init__(self, project: Project, inbox: Path) -> None:
        self.ledger, self.artifacts = FakeLedger(), FakeStore()
        self.project, self.settings = project, SimpleNamespace(inbox=inbox)

    @property
    def app(self) -> "FakeApplication":
        return self


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project that ``ratoon init`` writes: one dataset, one model."""
    root = tmp_path_factory.mktemp("projects") / "my-project"
    write_project(root)
    return load_project(root).ensure_sound()


@pytest.fixture
def application(project: Project, tmp_path: Path) -> FakeApplication:
    return FakeApplication(project, tmp_path / "inbox")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Return Dagster's own storage, in memory."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a stand-in of ``ratoon.loop``; a test sets the use cases that it needs."""
    module = ModuleType("ratoon.loop")
    module.ingest_arrivals = lambda app, dataset, *, limit, on_batch: []  # type: ignore[attr-defined]
    module.profile_pending = lambda app, dataset: []  # type: ignore[attr-defined]
    module.monitor_model = lambda app, model, *, on_step: iter(())  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ratoon.loop", module)
    return module


@pytest.fixture
def retrain() -> Callable[..., Retrain]:
    """Return a maker of retrains in a state."""
    return retrain_record


@pytest.fixture
def promotion() -> Callable[..., Promotion]:
    """Return a maker of promotions."""
    return promotion_record


@pytest.fixture
def batch() -> Callable[..., SimpleNamespace]:
    """Return a maker of batch reports."""

    def make(number: int = 1, **values: Any) -> SimpleNamespace:
        report = {
            "batch_id": f"batch-{number}",
            "name": f"rows-{number}.parquet",
            "role": "rows",
            "status": "accepted",
            "rows_in": 100,
            "rows_kept": 100,
            "rows_quarantined": 0,
            "reasons": {},
            "as_of": START + timedelta(days=number),
            "lake_version": number,
            "quarantine_version": None,
            "digest": f"{number}" * 64,
            "error": None,
        }
        return SimpleNamespace(**(report | values))

    return make


@pytest.fixture
def step() -> Callable[..., SimpleNamespace]:
    """Return a maker of monitoring steps."""

    def make(number: int = 1, **values: Any) -> SimpleNamespace:
        report = {
            "event_id": f"event-{number}",
            "kind": "batch.ingested",
            "as_of": START + timedelta(days=number),
            "predictions": {
                "n_rows": 100,
                "version": 1,
                "batch_id": f"batch-{number}",
                "lake_version": number,
                "score_mean": 0.2,
            },
            "performance": [
                {
                    "cohort": f"batch-{number}",
                    "as_of": START + timedelta(days=number),
                    "metric": "auc",
                    "version": 1,
                    "value": 0.7 + number / 100,
                    "reference": 0.8,
                    "n_rows": 100,
                    "n_matured": 90,
                }
            ],
            "drift": drift_report([] if number < 3 else ["carrier"]),
            "decision": {"id": f"decision-{number}", "outcome": "wait", "reason": "nothing fired"},
            "retrain_id": None,
        }
        return SimpleNamespace(**(report | values))

    return make


def drift_report(drifted: list[str]) -> dict[str, Any]:
    """Return a drift report in JSON with two columns."""
    columns = [
        {
            "column": name,
            "score": 0.4 if name in drifted else 0.01,
            "flagged": name in drifted,
            "sentence": f"{name} moved",
        }
        for name in ("carrier", "items")
    ]
    return {
        "judged": True,
        "not_judged_reason": None,
        "n_rows_reference": 900,
        "n_rows_current": 100,
        "settings": {"min_effect": 0.1},
        "drifted": drifted,
        "columns": columns,
    }
