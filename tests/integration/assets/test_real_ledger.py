"""The sensor and the assets against a real ledger and store: only the workers and the lake are played."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from ratoon.declarations import Project
from ratoon.ledger import Ledger
from ratoon.ledger.records import ArtifactRecord, Claim, EvaluationRecord, RetrainSpec
from ratoon.policy.values import ChampionSignal, Signals
from ratoon.project import load_project
from ratoon.registry.store import ArtifactStore
from ratoon.templates import write_project
from ratoon_assets.definitions import load_project_defs
from ratoon_assets.retrain_assets import retrain_assets
from ratoon_assets.sensors import retrains_sensor

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAME = "late"


class Playing:
    """An application whose workers a test plays."""

    def __init__(self, folder: Path) -> None:
        write_project(folder / "my-project")
        self.project: Project = load_project(folder / "my-project").ensure_sound()
        self.ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
        self.ledger.migrate()
        self.ledger.ensure_model(NAME, "deliveries")
        self.artifacts = ArtifactStore(str(folder / "artifacts"))
        self.instance = dg.DagsterInstance.ephemeral()
        self.resource = SimpleNamespace(app=self)

    def request(self, number: int) -> str:
        """Decide on a retrain, as a person's request does."""
        event = self.ledger.record_event(
            event_id=f"event-{number}", kind="manual.requested", subject=NAME, as_of=NOW, data={"number": number}
        )
        champion = self.ledger.champion(NAME)
        seen = ChampionSignal(version=champion.version, data_until=NOW, promoted_at=NOW) if champion else None
        row = self.ledger.decide(
            NAME,
            event.event_id,
            policy=self.project.models[NAME].policy,
            signals=Signals(champion=seen, manual="please", labelled_rows=5_000, new_labelled_rows=5_000),
            now=NOW,
            evidence={},
            retrain=RetrainSpec(spec_digest="s", order={"rows_version": 1, "labels_version": 1}),
        )
        assert row.retrain_id is not None, row.reason
        return row.retrain_id

    def work(self, retrain_id: str, verdict: Any) -> None:
        """Train and evaluate, as the workers do."""
        claim = self.claim(retrain_id, "train")
        data = {"rows_version": 1, "labels_version": 1, "data_until": "2026-02-01T00:00:00Z", "n_rows": 100}
        artifact = ArtifactRecord(
            digest=self.artifacts.put(retrain_id.encode()), size=9, metrics={}, data=data, code={}, params={}, refs={}
        )
        self.ledger.report_trained(retrain_id, claim.fence, artifact=artifact)
        claim = self.claim(retrain_id, "evaluate")
        check = {
            "name": "min_rows",
            "passed": verdict == "promote",
            "value": 7.0,
            "threshold": 3.0,
            "sentence": "7 rows",
        }
        report = self.artifacts.put_json({"checks": [check], "retrain": retrain_id})
        metrics = {"candidate": 0.8, "candidate_low": 0.7, "candidate_high": 0.9, "baseline": 0.5}
        evaluation = EvaluationRecord(
            verdict=verdict, reasons=["7 rows"], report_digest=report, metrics=metrics, n_rows=7
        )
        self.ledger.report_evaluated(retrain_id, claim.fence, evaluation=evaluation)
        self.ledger.conclude(retrain_id)

    def claim(self, retrain_id: str, stage: Any) -> Claim:
        claim = self.ledger.claim(retrain_id, stage, owner="test", lease_s=60)
        assert isinstance(claim, Claim), claim
        return claim

    def tick(self, cursor: str | None = None) -> Any:
        """Let the sensor look once."""
        definitions = load_project_defs(self.project.root)
        context = dg.build_sensor_context(
            instance=self.instance, cursor=cursor, resources={"ratoon": self.resource}, definitions=definitions
        )
        return retrains_sensor(self.project, wait_s=0).evaluate_tick(context)

    def show(self, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
        """Run what the sensor asked for."""
        assets = retrain_assets(self.project.models[NAME], self.project.root)
        return dg.materialize(
            assets, instance=self.instance, resources={"ratoon": self.resource}, tags=tags, raise_on_error=False
        )


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Playing]:
    made = Playing(tmp_path)
    yield made
    made.ledger.close()


def test_a_retrain_is_asked_for_shown_and_reported_once(playing: Playing) -> None:
    retrain_id = playing.request(1)
    asked = playing.tick()
    [request] = asked.run_requests
    assert request.tags["ratoon/retrain"] == retrain_id
    assert request.tags["ratoon/event"] == "event-1"
    playing.work(retrain_id, "promote")
    result = playing.show(request.tags)
    assert result.success
    assert playing.ledger.retrain(retrain_id).dagster_run_id == result.run_id
    assert playing.ledger.unreported_retrains() == []
    assert playing.tick(asked.cursor).run_requests == []


def test_what_ended_while_dagster_was_down_is_shown_when_it_is_back(playing: Playing) -> None:
    first, seen = playing.request(1), playing.tick().cursor
    playing.work(first, "reject")
    second = playing.request(2)
    playing.work(second, "promote")
    requests = playing.tick(seen).run_requests
    assert sorted(request.tags["ratoon/retrain"] for request in requests) == sorted([first, second])
    ended = {request.tags["ratoon/retrain"]: playing.show(request.tags).success for request in requests}
    assert ended == {first: False, second: True}
    assert playing.ledger.unreported_retrains() == []


def test_a_rollback_by_command_is_the_next_materialization_of_the_champion(playing: Playing) -> None:
    for number in (1, 2):
        retrain_id = playing.request(number)
        playing.work(retrain_id, "promote")
        assert playing.show({"ratoon/model": NAME, "ratoon/retrain": retrain_id}).success
    playing.ledger.rollback(NAME, actor="ada", reason="looks wrong")
    result = playing.tick()
    [event] = result.asset_events
    assert event.metadata["version"].value == 1
    assert event.metadata["previous_version"].value == 2
    assert event.metadata["actor"].value == "ada"
    playing.instance.report_runless_asset_event(event)
    assert playing.tick(result.cursor).asset_events == []


def test_a_cancelled_retrain_ends_its_run_and_gets_no_other(playing: Playing) -> None:
    retrain_id = playing.request(1)
    asked = playing.tick()
    playing.ledger.request_cancel(retrain_id, actor="ada")
    playing.ledger.confirm_cancelled(retrain_id, None)
    result = playing.show(asked.run_requests[0].tags)
    assert not result.success
    assert "was cancelled" in str(result.get_step_failure_events()[0].event_specific_data)
    assert playing.tick(asked.cursor).run_requests == []
