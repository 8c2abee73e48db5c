"""The two sensors: files and events that wait become runs, and so does every retrain of the ledger.

Both long-poll: Dagster asks a sensor at most every five seconds, so that a tick with nothing to do waits for
something instead of ending. A tick reads bounded lists and computes nothing that grows with data.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import dagster as dg

from ratoon.declarations import DatasetSpec, ModelSpec, Project
from ratoon.errors import RefusedError
from ratoon.ledger.states import ACTIVE, RetrainState
from ratoon_assets.following import CAUSE_TAG, DECISION_TAG, EVENT_TAG, MODEL_TAG, RETRAIN_TAG
from ratoon_assets.graph import JOB, dataset_keys, monitor_keys, retrain_keys
from ratoon_assets.pending import Cursor, next_request, reporting_attempt, work_digest
from ratoon_assets.resources import RESOURCE, app_of
from ratoon_assets.retrain_assets import promotion_report, promotion_tags

if TYPE_CHECKING:
    from ratoon.bootstrap import Ratoon
    from ratoon.ledger.records import FeedItem, Retrain

DATASET_TAG = "ratoon/dataset"
PRIORITY_TAG = "dagster/priority"

WAIT_S = 4.3
"""How long a tick waits for something to do.

The daemon looks at its sensors every 5 s: so little is left between two ticks. Longer ticks would also keep the
daemon and the code server from stopping, since both wait for the one under way.
"""

_POLL_S = 0.5
_MOST = 100
_MOST_FILES = 500
_LONGEST_CAUSE = 200
_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_CANCELLABLE = set(ACTIVE) - {RetrainState.CANCELLING}

Found = TypeVar("Found")


def arrivals_sensor(project: Project, *, wait_s: float = WAIT_S) -> dg.SensorDefinition:
    """Return the sensor that asks for one run per dataset whose files or events wait.

    Args:
        project: What is declared.
        wait_s: Seconds that a tick with nothing to do waits.
    """

    @dg.sensor(
        name="arrivals",
        job_name=JOB,
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={RESOURCE},
        description="Files that landed and events without a decision: one run per dataset takes all that waits.",
    )
    def arrivals(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        app, cursor = app_of(context), Cursor.read(context.cursor)
        _meet_models(app, project)
        requests, cursor = wait_for(lambda: _work_requests(app, context.instance, project, cursor), wait_s=wait_s) or (
            [],
            cursor,
        )
        if not requests:
            return dg.SkipReason("nothing waits")
        return dg.SensorResult(run_requests=requests, cursor=cursor.model_dump_json())

    return arrivals


def retrains_sensor(project: Project, *, wait_s: float = WAIT_S) -> dg.SensorDefinition:
    """Return the sensor that shows what the ledger did: a run per retrain, and promotions that no retrain made.

    Args:
        project: What is declared.
        wait_s: Seconds that a tick with nothing to do waits.
    """

    @dg.sensor(
        name="retrains",
        job_name=JOB,
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={RESOURCE},
        description="Every retrain that the ledger decided gets a run that shows it; rollbacks appear on the champion.",
    )
    def retrains(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        app, after = app_of(context), int(context.cursor or 0)
        _cancel_with_their_runs(app, context.instance, project)
        overdue = _requests(app, context.instance, project, app.ledger.unreported_retrains(limit=_MOST))
        feed = (
            app.ledger.feed(after, _MOST)
            if overdue
            else wait_for(lambda: app.ledger.feed(after, _MOST), wait_s=wait_s) or []
        )
        requested = [app.ledger.retrain(item.data["retrain_id"]) for item in feed if item.kind == "retrain.requested"]
        requests = {
            request.run_key: request for request in [*overdue, *_requests(app, context.instance, project, requested)]
        }
        events = list(_promotion_events(app, context.instance, project, feed))
        if not requests and not feed:
            return dg.SkipReason("no retrain waits for its run")
        return dg.SensorResult(
            run_requests=list(requests.values())[:_MOST],
            asset_events=events,
            cursor=str(feed[-1].seq if feed else after),
        )

    return retrains


def wait_for(look: Callable[[], Found | None], *, wait_s: float, poll_s: float = _POLL_S) -> Found | None:
    """Look until something is found or the time is over; look at least once.

    Args:
        look: Returns what was found, or an empty or false value.
        wait_s: Seconds after which the wait ends.
        poll_s: Seconds between two looks.
    """
    until = time.monotonic() + wait_s
    while not (found := look()):
        if time.monotonic() + poll_s > until:
            return None
        time.sleep(poll_s)
    return found


def _work_requests(
    app: "Ratoon", instance: dg.DagsterInstance, project: Project, cursor: Cursor
) -> tuple[list[dg.RunRequest], Cursor] | None:
    requests, asked = [], dict(cursor.asked)
    for spec in list(project.datasets.values())[:_MOST]:
        models = project.models_of(spec.name)
        request = next_request(asked.get(spec.name), _pending_work(app, spec, models), now=datetime.now(UTC))
        if request is None or _is_running(instance, spec.name):
            continue
        asked[spec.name] = request
        keys = [*dataset_keys(spec.name), *(key for model in models for key in monitor_keys(model.name))]
        # New data goes before the runs that only show retrains.
        tags = {DATASET_TAG: spec.name, CAUSE_TAG: "arrivals", PRIORITY_TAG: "1"}
        requests.append(dg.RunRequest(run_key=request.run_key(spec.name), asset_selection=keys, tags=tags))
    return (requests, Cursor(asked=asked)) if requests else None


def _meet_models(app: "Ratoon", project: Project) -> None:
    """Make models that were declared since known, so that past events wait for them, and note champions that grew too old."""
    from ratoon.loop import note_passed_time

    known = {row.name for row in app.ledger.models()}
    for model in project.models.values():
        if model.name not in known:
            app.ledger.ensure_model(model.name, model.dataset)
        note_passed_time(app, model, now=datetime.now(UTC))


def _pending_work(app: "Ratoon", spec: DatasetSpec, models: Sequence[ModelSpec]) -> str | None:
    from ratoon.arrivals import FolderSourceAdapter  # the port: a bucket comes beside it

    now = datetime.now(UTC)
    sources = [
        FolderSourceAdapter(source, app.settings.inbox) for source in (spec.source, spec.labels) if source is not None
    ]
    arrivals = [arrival for source in sources for arrival in source.pending(now, _MOST_FILES)]
    events = [
        f"{model.name}/{event.event_id}"
        for model in models
        for event in app.ledger.pending_events(model.name, limit=_MOST)
    ]
    return work_digest(arrivals, events)


def _is_running(instance: dg.DagsterInstance, dataset: str) -> bool:
    return bool(instance.get_run_ids(dg.RunsFilter(statuses=_not_ended(), tags={DATASET_TAG: dataset}), limit=1))


def _requests(
    app: "Ratoon", instance: dg.DagsterInstance, project: Project, retrains: Sequence["Retrain"]
) -> list[dg.RunRequest]:
    """Ask for a run of each retrain that has none under way and was not reported: a new one, or one whose run was lost."""
    requests = []
    for retrain in retrains:
        if retrain.model not in project.models or retrain.reported_at is not None:
            continue
        cause = _cause_of(app, retrain)
        runs = _runs_of(instance, retrain, cause["event_id"])
        attempt = reporting_attempt(["ended" if run.status in _ENDED else "active" for run in runs])
        if attempt == "give up":
            app.ledger.mark_reported(retrain.retrain_id)
        elif attempt is not None:
            requests.append(_reporting_request(retrain, cause, attempt))
    return requests


def _cancel_with_their_runs(app: "Ratoon", instance: dg.DagsterInstance, project: Project) -> None:
    """Cancel the retrains whose run a person terminated in the queue, or before its process could say so itself."""
    for retrain in app.ledger.retrains(states=_CANCELLABLE, limit=_MOST):
        if retrain.model not in project.models:
            continue
        runs = _runs_of(instance, retrain, _cause_of(app, retrain)["event_id"])
        if any(run.status == dg.DagsterRunStatus.CANCELED for run in runs):
            with suppress(RefusedError):  # it ended in between
                app.ledger.request_cancel(retrain.retrain_id, actor="dagster")
                app.ledger.mark_reported(retrain.retrain_id)


def _cause_of(app: "Ratoon", retrain: "Retrain") -> dict[str, Any]:
    """Return the notice of a retrain: the first one after its own place, since both are written at once."""
    notices = app.ledger.feed(retrain.seq, 1)
    return next(notice.data for notice in notices if notice.data.get("retrain_id") == retrain.retrain_id)


def _reporting_request(retrain: "Retrain", cause: Mapping[str, Any], attempt: int) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{retrain.retrain_id}:{attempt}",
        asset_selection=retrain_keys(retrain.model),
        tags={
            MODEL_TAG: retrain.model,
            RETRAIN_TAG: retrain.retrain_id,
            DECISION_TAG: retrain.decision_id,
            EVENT_TAG: cause["event_id"],
            CAUSE_TAG: str(cause["reason"])[:_LONGEST_CAUSE],
        },
    )


def _runs_of(instance: dg.DagsterInstance, retrain: "Retrain", event_id: str) -> list[dg.DagsterRun]:
    """Return the retrain's runs; a run from the page carries the event before the retrain exists."""
    runs = instance.get_runs(dg.RunsFilter(tags={MODEL_TAG: retrain.model, EVENT_TAG: event_id}), limit=_MOST)
    by_id = {run.run_id: run for run in runs}
    marked = instance.get_run_by_id(retrain.dagster_run_id) if retrain.dagster_run_id else None
    if marked is not None:
        by_id[marked.run_id] = marked
    return list(by_id.values())


def _promotion_events(
    app: "Ratoon", instance: dg.DagsterInstance, project: Project, feed: Sequence["FeedItem"]
) -> Iterator[dg.AssetMaterialization]:
    made = [item for item in feed if item.kind == "promotion.made" and item.model in project.models]
    for item in made:
        key = dg.AssetKey([item.model, "champion"])
        shown = _shown_revision(instance, key)
        for promotion in app.ledger.promotions(item.model):
            if promotion.revision != item.data["revision"] or promotion.revision <= shown:
                continue
            metadata, digest = promotion_report(app, promotion, project.models[item.model].gate.metric)
            tags = promotion_tags(promotion) | {
                "dagster/data_version": digest,
                "dagster/data_version_is_user_provided": "true",
            }
            yield dg.AssetMaterialization(key, metadata=metadata, tags=tags)


def _shown_revision(instance: dg.DagsterInstance, key: dg.AssetKey) -> int:
    """Return the revision that the champion's page shows: a tick that is repeated must not show one twice."""
    event = instance.get_latest_materialization_event(key)
    shown: Mapping[str, Any] = (event.asset_materialization.tags or {}) if event and event.asset_materialization else {}
    return int(shown.get("ratoon/promotion", 0))


def _not_ended() -> list[dg.DagsterRunStatus]:
    return [status for status in dg.DagsterRunStatus if status not in _ENDED]
