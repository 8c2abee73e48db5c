"""Attach a run to a retrain in the ledger and follow it: what the ledger does is only watched, never done here."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError

from ratoon.errors import BackendError, RefusedError
from ratoon.identity import derive_id
from ratoon.ledger.states import RetrainState

if TYPE_CHECKING:
    from ratoon.bootstrap import Ratoon
    from ratoon.ledger.records import Retrain

MODEL_TAG, RETRAIN_TAG, DECISION_TAG, EVENT_TAG, CAUSE_TAG = (
    "ratoon/model",
    "ratoon/retrain",
    "ratoon/decision",
    "ratoon/event",
    "ratoon/cause",
)

CLAIMED = frozenset(
    {RetrainState.RUNNING, RetrainState.TRAINED, RetrainState.EVALUATED, RetrainState.PROMOTED, RetrainState.REJECTED}
)
"""States in which a worker has taken the work up."""

TRAINED = CLAIMED - {RetrainState.RUNNING}
EVALUATED = TRAINED - {RetrainState.TRAINED}
CONCLUDED = EVALUATED - {RetrainState.EVALUATED}
_LOST = frozenset({RetrainState.FAILED, RetrainState.CANCELLED})


def attach(context: dg.AssetExecutionContext, app: "Ratoon", model: str) -> str:
    """Return the retrain that this run shows: the one in its tags, else a new one that a person asked for.

    A run started from the page carries no tag. It is tagged with its event before it asks, so that the sensor
    starts no second run for the same retrain, and with the retrain afterwards, so that a re-execution attaches
    to it again.

    Raises:
        dagster.Failure: A guard refuses the request; the reason is in the message.
    """
    tags = _current_tags(context)
    if tags.get(MODEL_TAG) == model and RETRAIN_TAG in tags:
        return tags[RETRAIN_TAG]
    from ratoon.loop import request_retrain  # loads polars: a listing of assets must not

    event_id = derive_id("event", "manual.requested", context.run.run_id, model)
    tagged = tags.get(MODEL_TAG, model) == model
    if tagged:
        context.instance.add_run_tags(
            context.run.run_id, {EVENT_TAG: event_id, MODEL_TAG: model, CAUSE_TAG: "materialized in Dagster"}
        )
    try:
        decision = request_retrain(app, model, reason="materialized in Dagster", actor="dagster", event_id=event_id)
    except RefusedError as exc:
        raise dg.Failure(f"No retrain of {model}: {exc.message}. Nothing was changed.", allow_retries=False) from exc
    if decision.retrain_id is None:
        raise dg.Failure(f"No retrain of {model}: {decision.reason}. Nothing was changed.", allow_retries=False)
    app.ledger.mark_run(decision.retrain_id, context.run.run_id)
    if tagged:
        context.instance.add_run_tags(
            context.run.run_id, {RETRAIN_TAG: decision.retrain_id, DECISION_TAG: decision.decision_id}
        )
    return decision.retrain_id


def follow(
    app: "Ratoon",
    retrain_id: str,
    *,
    until: Callable[["Retrain"], bool],
    say: Callable[[str], None],
    sleep: Callable[[float], None],
    poll_s: float = 0.3,
) -> "Retrain":
    """Wait until a retrain is where it should be, saying each new progress once.

    Args:
        app: The application.
        retrain_id: The retrain.
        until: Whether the wait is over.
        say: Takes one line of progress.
        sleep: Waits this many seconds.
        poll_s: Seconds between two looks at the ledger.

    Raises:
        dagster.Failure: The retrain failed or was cancelled; it is marked as reported first.
    """
    said = None
    while True:
        retrain = _seen(app, retrain_id)
        line = progress_line(retrain) if retrain is not None else "the ledger can't be reached; looking again"
        if line != said:
            say(line)
            said = line
        if retrain is not None and until(retrain):
            return retrain
        if retrain is not None and retrain.state in _LOST:
            app.ledger.mark_reported(retrain_id)
            raise dg.Failure(lost_text(retrain), allow_retries=False)
        sleep(poll_s)


@contextmanager
def cancelled_with_its_run(context: dg.AssetExecutionContext, app: "Ratoon", retrain_id: str) -> Iterator[None]:
    """Cancel the retrain when a person terminates the run; leave it alone when only the process is stopped."""
    try:
        yield
    except DagsterExecutionInterruptedError:
        run = context.instance.get_run_by_id(context.run.run_id)
        if run is not None and run.status == dg.DagsterRunStatus.CANCELING:
            app.ledger.request_cancel(retrain_id, actor="dagster")
            app.ledger.mark_reported(retrain_id)
        raise


def progress_line(retrain: "Retrain") -> str:
    """Return where a retrain is, in one line: equal lines mean that nothing moved."""
    parts, seen = [f"{retrain.state} (attempt {retrain.attempt})"], retrain.progress or {}
    if "phase" in seen:
        parts.append(str(seen["phase"]))
    if "window" in seen:
        parts.append(f"window {seen['window']}")
    if "round" in seen:
        parts.append(f"round {seen['round']}" + (f" of {seen['rounds']}" if "rounds" in seen else ""))
    if "n_rows" in seen:
        parts.append(f"{seen['n_rows']:,} rows")
    if seen.get("value") is not None:
        parts.append(f"{seen.get('metric', 'metric')} {seen['value']:.5g}")
    return " · ".join(parts)


def lost_text(retrain: "Retrain") -> str:
    """Return why a retrain came to nothing, and what to do."""
    if retrain.state == RetrainState.CANCELLED:
        return f"Retrain {retrain.retrain_id} of {retrain.model} was cancelled. Materialize again to ask for a new one."
    error = retrain.error or {}
    return f"Retrain {retrain.retrain_id} of {retrain.model} failed after {retrain.attempt} attempt(s): {error.get('code', '')} {error.get('message', 'no reason was recorded')}"


def _current_tags(context: dg.AssetExecutionContext) -> Mapping[str, str]:
    """Return the run's tags with those that an earlier step has set: a step's own copy is from the run's start."""
    run = context.instance.get_run_by_id(context.run.run_id)
    return run.tags if run is not None else context.run.tags


def _seen(app: "Ratoon", retrain_id: str) -> "Retrain | None":
    """Return the retrain, or None while the ledger can't be reached: its work goes on, so the run waits."""
    try:
        return app.ledger.retrain(retrain_id)
    except BackendError:
        return None
