import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from ratoon.declarations import Project
from ratoon.ledger.records import FeedItem, Promotion, Retrain
from ratoon.ledger.states import RetrainState
from ratoon_assets.definitions import load_project_defs
from ratoon_assets.sensors import arrivals_sensor, retrains_sensor, wait_for

NAME, DATASET = "late", "deliveries"
Make = Callable[..., Retrain]


@pytest.fixture
def inbox(application: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the landing folder; the source lists what lies in it."""

    class Folder:
        def __init__(self, spec: Any, root: Path) -> None:
            self.pattern, self.folder = spec.pattern, root / spec.path

        def pending(self, now: datetime, limit: int) -> list[Any]:
            files = sorted(self.folder.glob(self.pattern))[:limit]
            return [
                SimpleNamespace(
                    uri=str(file),
                    name=file.name,
                    size=file.stat().st_size,
                    modified_at=datetime.fromtimestamp(file.stat().st_mtime, UTC),
                )
                for file in files
            ]

    module = ModuleType("ratoon.arrivals")
    module.FolderSourceAdapter = Folder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ratoon.arrivals", module)
    folder: Path = application.settings.inbox / DATASET
    folder.mkdir(parents=True)
    return folder


def tick(sensor: dg.SensorDefinition, application: Any, instance: dg.DagsterInstance, cursor: str | None = None) -> Any:
    """Evaluate a sensor as the daemon does, against the project's own definitions."""
    definitions = load_project_defs(application.project.root)
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"ratoon": application}, definitions=definitions
    )
    return sensor.evaluate_tick(context)


def start(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, tags: dict[str, str]) -> dg.DagsterRun:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def ratoon() -> None:
        nothing()

    return instance.create_run_for_job(ratoon, status=status, tags=tags)


def test_a_backlog_of_files_is_one_run_over_the_dataset_and_its_models(
    project: Project, application: Any, instance: dg.DagsterInstance, inbox: Path
) -> None:
    for number in range(3):
        (inbox / f"deliveries-{number}.parquet").write_bytes(b"x")
    result = tick(arrivals_sensor(project, wait_s=0), application, instance)
    [request] = result.run_requests
    assert {"/".join(key.path) for key in request.asset_selection} == {
        "deliveries/batches",
        "deliveries/dataset",
        "deliveries/profile",
        "late/predictions",
        "late/performance",
        "late/drift",
    }
    assert request.tags["ratoon/dataset"] == DATASET
    assert int(request.tags["dagster/priority"]) > 0


def test_nothing_that_waits_starts_nothing(
    project: Project, application: Any, instance: dg.DagsterInstance, inbox: Path
) -> None:
    assert tick(arrivals_sensor(project, wait_s=0), application, instance).skip_message


def test_an_event_without_a_decision_starts_a_run_although_no_file_waits(
    project: Project, application: Any, instance: dg.DagsterInstance, inbox: Path
) -> None:
    application.ledger.waiting_events = ["event-1"]
    assert len(tick(arrivals_sensor(project, wait_s=0), application, instance).run_requests) == 1


def test_a_model_that_was_declared_since_becomes_known_so_that_past_events_wait_for_it(
    project: Project, application: Any, instance: dg.DagsterInstance, inbox: Path
) -> None:
    tick(arrivals_sensor(project, wait_s=0), application, instance)
    tick(arrivals_sensor(project, wait_s=0), application, instance)
    assert application.ledger.met == [NAME]


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
)
def test_a_dataset_has_one_run_at_a_time(
    project: Project, application: Any, instance: dg.DagsterInstance, inbox: Path, status: dg.DagsterRunStatus
) -> None:
    (inbox / "deliveries-1.parquet").write_bytes(b"x")
    start(instance, status, {"ratoon/dataset": "another"})
    assert len(tick(arrivals_sensor(project, wait_s=0), application, instance).run_requests) == 1
    start(instance, status, {"ratoon/dataset": DATASET})
    assert tick(arrivals_sensor(project, wait_s=0), application, instance).skip_message


def test_a_second_tick_asks_for_new_files_at_once_and_for_the_same_ones_not_yet(
    project: Project, application: Any, instance: dg.DagsterInstance, inbox: Path
) -> None:
    sensor = arrivals_sensor(project, wait_s=0)
    (inbox / "deliveries-1.parquet").write_bytes(b"x")
    first = tick(sensor, application, instance)
    assert tick(sensor, application, instance, first.cursor).skip_message
    (inbox / "deliveries-2.parquet").write_bytes(b"x")
    second = tick(sensor, application, instance, first.cursor)
    assert first.run_requests[0].run_key != second.run_requests[0].run_key


def test_five_ticks_of_the_retrains_sensor(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make
) -> None:
    sensor, ledger = retrains_sensor(project, wait_s=0), application.ledger
    assert tick(sensor, application, instance).skip_message

    ledger.request(retrain(RetrainState.REQUESTED), event_id="event-1")
    requested = tick(sensor, application, instance)
    [request] = requested.run_requests
    assert request.run_key == "retrain-1:0"
    assert {"/".join(key.path) for key in request.asset_selection} == {
        "late/training_set",
        "late/candidate",
        "late/evaluation",
        "late/champion",
    }
    assert {key: value for key, value in request.tags.items() if key.startswith("ratoon/")} == {
        "ratoon/model": NAME,
        "ratoon/retrain": "retrain-1",
        "ratoon/decision": "decision-1",
        "ratoon/event": "event-1",
        "ratoon/cause": "2,000 new rows",
    }

    run = start(instance, dg.DagsterRunStatus.STARTED, dict(request.tags))
    ledger.end("retrain-1")
    assert tick(sensor, application, instance, requested.cursor).skip_message, "its run is about to report it"

    instance.delete_run(run.run_id)
    start(instance, dg.DagsterRunStatus.FAILURE, dict(request.tags))
    [again] = tick(sensor, application, instance, requested.cursor).run_requests
    assert again.run_key == "retrain-1:1", "its run died without a report: a used run key would block for ever"

    ledger.mark_reported("retrain-1")
    assert tick(sensor, application, instance, requested.cursor).skip_message


def test_a_retrain_that_ended_while_dagster_was_down_gets_its_run_once(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make
) -> None:
    application.ledger.request(retrain(RetrainState.REQUESTED), event_id="event-1")
    application.ledger.end("retrain-1")
    [request] = tick(retrains_sensor(project, wait_s=0), application, instance).run_requests
    assert request.run_key == "retrain-1:0"


def test_a_retrain_that_was_reported_before_its_notice_was_read_gets_no_run(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make
) -> None:
    application.ledger.request(retrain(RetrainState.PROMOTED, reported_at=datetime.now(UTC)), event_id="event-1")
    assert tick(retrains_sensor(project, wait_s=0), application, instance).run_requests == []


def test_a_retrain_that_a_run_from_the_page_asked_for_gets_no_second_run(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make
) -> None:
    start(instance, dg.DagsterRunStatus.STARTED, {"ratoon/model": NAME, "ratoon/event": "event-of-the-page"})
    application.ledger.request(retrain(RetrainState.REQUESTED), event_id="event-of-the-page")
    assert tick(retrains_sensor(project, wait_s=0), application, instance).run_requests == []


def test_one_event_that_retrains_two_models_gives_each_its_run(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make
) -> None:
    other = project.models[NAME].model_copy(update={"name": "later"})
    both = project.model_copy(update={"models": {**project.models, "later": other}})
    application.ledger.request(retrain(RetrainState.REQUESTED), event_id="event-1")
    application.ledger.request(
        retrain(RetrainState.REQUESTED, retrain_id="retrain-2", model="later", seq=20), event_id="event-1"
    )
    start(instance, dg.DagsterRunStatus.STARTED, {"ratoon/model": NAME, "ratoon/event": "event-1"})
    [request] = tick(retrains_sensor(both, wait_s=0), application, instance).run_requests
    assert request.tags["ratoon/retrain"] == "retrain-2"


def test_a_run_that_only_the_ledger_knows_of_counts_too(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make
) -> None:
    run = start(instance, dg.DagsterRunStatus.STARTED, {})
    application.ledger.request(retrain(RetrainState.RUNNING, dagster_run_id=run.run_id), event_id="event-1")
    assert tick(retrains_sensor(project, wait_s=0), application, instance).run_requests == []


@pytest.mark.parametrize("state", [RetrainState.REQUESTED, RetrainState.DISPATCHED, RetrainState.RUNNING])
def test_a_run_that_is_terminated_before_it_starts_cancels_its_retrain(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make, state: RetrainState
) -> None:
    application.ledger.request(retrain(state), event_id="event-1")
    start(instance, dg.DagsterRunStatus.CANCELED, {"ratoon/model": NAME, "ratoon/event": "event-1"})
    tick(retrains_sensor(project, wait_s=0), application, instance, "1000")
    assert application.ledger.cancelled == [("retrain-1", "dagster")]
    assert application.ledger.reported == ["retrain-1"], "the page shows the terminated run; it needs no other"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (RetrainState.RUNNING, dg.DagsterRunStatus.FAILURE),
        (RetrainState.RUNNING, dg.DagsterRunStatus.STARTED),
        (RetrainState.CANCELLING, dg.DagsterRunStatus.CANCELED),
        (RetrainState.PROMOTED, dg.DagsterRunStatus.CANCELED),
    ],
)
def test_a_retrain_goes_on_when_its_run_only_failed_and_is_cancelled_once(
    project: Project,
    application: Any,
    instance: dg.DagsterInstance,
    retrain: Make,
    state: RetrainState,
    status: dg.DagsterRunStatus,
) -> None:
    application.ledger.request(retrain(state), event_id="event-1")
    start(instance, status, {"ratoon/model": NAME, "ratoon/event": "event-1"})
    tick(retrains_sensor(project, wait_s=0), application, instance, "1000")
    assert application.ledger.cancelled == []


def test_a_retrain_whose_runs_always_die_is_given_up_and_leaves_the_others_alone(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make
) -> None:
    application.ledger.request(retrain(RetrainState.REQUESTED), event_id="event-1")
    for _ in range(5):
        start(instance, dg.DagsterRunStatus.FAILURE, {"ratoon/model": NAME, "ratoon/event": "event-1"})
    assert tick(retrains_sensor(project, wait_s=0), application, instance).run_requests == []
    assert application.ledger.reported == ["retrain-1"]


def test_a_rollback_made_by_command_appears_once_on_the_champion(
    project: Project, application: Any, instance: dg.DagsterInstance, promotion: Callable[..., Promotion]
) -> None:
    sensor, ledger = retrains_sensor(project, wait_s=0), application.ledger
    ledger.moves = [promotion(1, 1), promotion(2, 2), promotion(3, 1, kind="rollback", retrain_id=None)]
    ledger.notices = [
        FeedItem(seq=40, kind="promotion.made", model=NAME, data={"revision": 3}, recorded_at=ledger.moves[0].at)
    ]
    result = tick(sensor, application, instance)
    [event] = result.asset_events
    assert event.asset_key == dg.AssetKey([NAME, "champion"])
    assert event.metadata["promotion"].value == "rollback"
    assert event.metadata["version"].value == 1
    instance.report_runless_asset_event(event)
    assert tick(sensor, application, instance).asset_events == [], "a tick that is repeated shows it once"
    assert tick(sensor, application, instance, result.cursor).skip_message


def test_a_retrain_of_a_model_that_is_no_longer_declared_is_left_alone(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make
) -> None:
    application.ledger.request(retrain(RetrainState.REQUESTED, model="gone"), event_id="event-1")
    result = tick(retrains_sensor(project, wait_s=0), application, instance)
    assert result.run_requests == []


def test_waiting_ends_with_what_was_found() -> None:
    looks = iter([[], [], ["here"]])
    assert wait_for(lambda: next(looks), wait_s=60, poll_s=0) == ["here"]


def test_waiting_looks_once_even_without_any_time() -> None:
    assert wait_for(lambda: ["here"], wait_s=0) == ["here"]
    assert wait_for(list, wait_s=0) is None
