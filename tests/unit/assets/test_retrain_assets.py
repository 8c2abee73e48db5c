from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from ratoon.declarations import Project
from ratoon.errors import BackendError, RefusedError
from ratoon.identity import derive_id
from ratoon.ledger.records import Promotion, Retrain
from ratoon.ledger.states import RetrainState
from ratoon_assets import following, retrain_assets
from ratoon_assets.graph import RETRAIN_STAGES

NAME = "late"
TAGS = {"ratoon/model": NAME, "ratoon/retrain": "retrain-1"}
Make = Callable[..., Retrain]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the fake ledger again at once: its states pass one per look."""
    monkeypatch.setattr(retrain_assets.time, "sleep", lambda seconds: None)


def run(
    project: Project, application: Any, instance: dg.DagsterInstance, tags: dict[str, str] | None = None
) -> dg.ExecuteInProcessResult:
    assets = retrain_assets.retrain_assets(project.models[NAME], project.root)
    return dg.materialize(assets, instance=instance, resources={"ratoon": application}, tags=tags, raise_on_error=False)


def made(result: dg.ExecuteInProcessResult) -> list[str]:
    return [event.asset_key.path[1] for event in result.get_asset_materialization_events()]


def latest(instance: dg.DagsterInstance, stage: str) -> dg.AssetMaterialization:
    event = instance.get_latest_materialization_event(dg.AssetKey([NAME, stage]))
    assert event is not None and event.asset_materialization is not None
    return event.asset_materialization


def test_a_promoted_retrain_materializes_the_whole_chain_and_passes_the_gate(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make, promotion: Callable[..., Promotion]
) -> None:
    states = [
        RetrainState.REQUESTED,
        RetrainState.RUNNING,
        RetrainState.TRAINED,
        RetrainState.EVALUATED,
        RetrainState.PROMOTED,
    ]
    application.ledger.states = [retrain(state) for state in states]
    application.ledger.moves = [promotion(2, 2)]
    result = run(project, application, instance, TAGS)
    assert result.success
    assert made(result) == list(RETRAIN_STAGES)
    [gate] = result.get_asset_check_evaluations()
    assert gate.passed and gate.blocking
    assert "700 matured rows" in gate.metadata["checks"].value
    champion = latest(instance, "champion")
    assert champion.metadata["version"].value == 2
    assert champion.metadata["previous_version"].value == 1
    assert champion.metadata["chart"].value.startswith("![")
    assert champion.tags["dagster/data_version"] == "2" * 64
    assert champion.tags["ratoon/retrain"] == "retrain-1"
    assert application.ledger.reported == ["retrain-1"]
    assert application.ledger.runs == [("retrain-1", result.run_id)]


def test_a_rejected_candidate_blocks_the_champion_and_is_reported(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make
) -> None:
    application.ledger.states, application.ledger.verdict = [retrain(RetrainState.REJECTED)], "reject"
    result = run(project, application, instance, TAGS)
    assert not result.success
    assert made(result) == ["training_set", "candidate", "evaluation"]
    [gate] = result.get_asset_check_evaluations()
    assert not gate.passed and gate.severity == dg.AssetCheckSeverity.ERROR
    assert application.ledger.reported == ["retrain-1"]


def test_the_credentials_in_an_order_are_never_shown(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make, promotion: Callable[..., Promotion]
) -> None:
    application.ledger.states, application.ledger.moves = (
        [retrain(RetrainState.RUNNING), retrain(RetrainState.PROMOTED)],
        [promotion(1, 1)],
    )
    result = run(project, application, instance, TAGS)
    assert result.success
    assert latest(instance, "training_set").metadata["rows_version"].value == 12
    assert "hush" not in str(list(result.all_events))


def test_executing_a_run_again_attaches_to_the_same_retrain_and_asks_for_none(
    project: Project,
    application: Any,
    instance: dg.DagsterInstance,
    loop: ModuleType,
    retrain: Make,
    promotion: Callable[..., Promotion],
) -> None:
    def refuse(*args: Any, **values: Any) -> None:
        raise AssertionError("a run that names its retrain must not ask for another")

    loop.request_retrain = refuse
    application.ledger.states, application.ledger.moves = [retrain(RetrainState.PROMOTED)], [promotion(1, 1)]
    assert run(project, application, instance, TAGS).success
    assert run(project, application, instance, TAGS).success


def test_a_run_from_the_page_asks_once_and_its_tags_say_what_it_started(
    project: Project,
    application: Any,
    instance: dg.DagsterInstance,
    loop: ModuleType,
    retrain: Make,
    promotion: Callable[..., Promotion],
) -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    def request(app: Any, model: str, *, reason: str, actor: str, event_id: str) -> SimpleNamespace:
        [current] = instance.get_runs()
        asked.append((event_id, dict(current.tags)))
        return SimpleNamespace(
            decision_id="decision-1", outcome="retrain", reason="a person asked", retrain_id="retrain-1"
        )

    loop.request_retrain = request
    application.ledger.states, application.ledger.moves = [retrain(RetrainState.PROMOTED)], [promotion(1, 1)]
    result = run(project, application, instance)
    assert result.success
    [(event_id, tags_before)] = asked
    assert event_id == derive_id("event", "manual.requested", result.run_id, NAME)
    assert tags_before["ratoon/event"] == event_id, (
        "the sensor must be able to see whose request this is before it is made"
    )
    tags = instance.get_runs()[0].tags
    assert (tags["ratoon/retrain"], tags["ratoon/decision"]) == ("retrain-1", "decision-1")


def test_a_guard_that_refuses_fails_the_run_with_its_reason(
    project: Project, application: Any, instance: dg.DagsterInstance, loop: ModuleType
) -> None:
    loop.request_retrain = lambda *args, **values: SimpleNamespace(
        outcome="wait", reason="cooldown until noon", retrain_id=None
    )
    result = run(project, application, instance)
    assert made(result) == []
    [failure] = result.get_step_failure_events()
    assert "cooldown until noon" in str(failure.event_specific_data)


def test_a_dataset_without_labels_fails_the_run_with_its_reason(
    project: Project, application: Any, instance: dg.DagsterInstance, loop: ModuleType
) -> None:
    def refuse(*args: Any, **values: Any) -> None:
        raise RefusedError("no labelled row")

    loop.request_retrain = refuse
    [failure] = run(project, application, instance).get_step_failure_events()
    assert "No retrain of late: no labelled row" in str(failure.event_specific_data)


def test_a_candidate_that_passed_the_gate_but_found_another_champion_says_so(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make
) -> None:
    error = {"code": "RT-CONFLICT", "message": "the champion changed while the candidate was judged"}
    application.ledger.states = [retrain(RetrainState.REJECTED, error=error)]
    result = run(project, application, instance, TAGS)
    assert made(result) == ["training_set", "candidate", "evaluation"]
    [failure] = result.get_step_failure_events()
    assert "the champion changed while" in str(failure.event_specific_data)
    assert application.ledger.reported == ["retrain-1"]


def test_a_ledger_that_is_away_for_a_while_does_not_end_the_run(
    application: Any, retrain: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([BackendError("database is locked"), retrain(RetrainState.TRAINED)])

    def look(retrain_id: str) -> Retrain:
        answer = next(answers)
        if isinstance(answer, BackendError):
            raise answer
        return answer

    monkeypatch.setattr(application.ledger, "retrain", look)
    said: list[str] = []
    following.follow(application, "retrain-1", until=lambda seen: True, say=said.append, sleep=lambda seconds: None)
    assert "can't be reached" in said[0]


def test_a_failed_retrain_fails_the_run_with_the_ledgers_reason_and_is_reported(
    project: Project, application: Any, instance: dg.DagsterInstance, retrain: Make
) -> None:
    error = {"code": "RT-EMPTY", "message": "no labelled rows"}
    application.ledger.states = [retrain(RetrainState.RUNNING), retrain(RetrainState.FAILED, error=error, attempt=3)]
    result = run(project, application, instance, TAGS)
    assert made(result) == ["training_set"]
    [failure] = result.get_step_failure_events()
    assert "RT-EMPTY no labelled rows" in str(failure.event_specific_data)
    assert application.ledger.reported == ["retrain-1"]


def test_progress_is_said_once_per_change(application: Any, retrain: Make) -> None:
    boosting = [
        {"phase": "fit", "window": "all", "round": number, "rounds": 300, "metric": "auc", "value": 0.5}
        for number in (10, 10, 20)
    ]
    states = [retrain(RetrainState.RUNNING, progress=progress) for progress in boosting]
    application.ledger.states = [*states, retrain(RetrainState.TRAINED)]
    said: list[str] = []
    following.follow(
        application,
        "retrain-1",
        until=lambda seen: seen.state in following.TRAINED,
        say=said.append,
        sleep=lambda seconds: None,
    )
    assert len(said) == 3
    assert said[0] == "RUNNING (attempt 1) · fit · window all · round 10 of 300 · auc 0.5"
    assert "round 20 of 300" in said[1]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(dg.DagsterRunStatus.CANCELING, [("retrain-1", "dagster")]), (dg.DagsterRunStatus.STARTED, [])],
)
def test_only_a_person_who_terminates_the_run_cancels_the_retrain(
    application: Any, instance: dg.DagsterInstance, status: dg.DagsterRunStatus, expected: list[tuple[str, str]]
) -> None:
    current = instance.create_run_for_job(_empty_job(), status=status)
    context = SimpleNamespace(instance=instance, run=current)
    with (
        pytest.raises(following.DagsterExecutionInterruptedError),
        following.cancelled_with_its_run(context, application, "retrain-1"),
    ):
        raise following.DagsterExecutionInterruptedError
    assert application.ledger.cancelled == expected


def _empty_job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def empty() -> None:
        nothing()

    return empty
