"""Takes a model through every event that it has not decided about: predict, measure, decide."""

import time
from collections.abc import Callable, Iterator

from ratoon.bootstrap import Ratoon
from ratoon.declarations import ModelSpec
from ratoon.ledger.records import Event
from ratoon.loop.reports import StepReport
from ratoon.loop.requests import decide_about, send_now
from ratoon.loop.scoring import predict_batch, update_performance
from ratoon.loop.signals import measure_drift

_POLL_S = 0.1


def monitor_model(app: Ratoon, model: str, *, on_step: Callable[[str], None] | None = None) -> Iterator[StepReport]:
    """Decide about every pending event of a model, oldest first, and yield what was seen and decided.

    Live, decisions are made as of now. In a replay they are made as of the event's time, and no event is looked at
    before the model's last retrain has ended, also when an earlier call started it: so the year runs as it would
    have.

    Args:
        app: The application.
        model: A declared model.
        on_step: Is told what the loop waits for.

    Raises:
        NotFoundError: The model is not declared.
        TrainingError: Its feature function fails on a batch; the event stays undecided.
    """
    spec = app.model(model)
    app.ledger.ensure_model(model, spec.dataset)
    while events := app.ledger.pending_events(model):
        for event in events:
            if app.settings.clock == "event":
                _wait_until_idle(app, model, on_step)
            yield _step(app, spec, event, on_step)


def _step(app: Ratoon, spec: ModelSpec, event: Event, on_step: Callable[[str], None] | None) -> StepReport:
    as_of = event.as_of if app.settings.clock == "event" else app.clock()
    champion = app.ledger.champion(spec.name)
    predictions = performance = drift = None
    if event.kind == "batch.ingested" and champion is not None and event.data["rows_kept"]:
        predictions = predict_batch(app, spec, champion, event, as_of=as_of)
        drift = measure_drift(app, spec, champion, as_of=as_of)
    elif event.kind == "labels.arrived":
        performance = update_performance(app, spec, event, as_of=as_of) or None
    if drift is not None:
        app.ledger.record_drift(spec.name, event.event_id, as_of=as_of, report=drift.model_dump(mode="json"))
    row = decide_about(app, spec, event, as_of=as_of, drift=drift)
    if not send_now(app) and on_step is not None:
        on_step("the broker does not answer; the outbox keeps the work until a worker's sweep sends it")
    return StepReport(
        event_id=event.event_id,
        kind=event.kind,
        as_of=as_of,
        predictions=predictions,
        performance=performance,
        drift=None if drift is None else drift.model_dump(mode="json"),
        decision={"id": row.decision_id, "outcome": row.outcome, "reason": row.reason},
        retrain_id=row.retrain_id,
    )


def _wait_until_idle(app: Ratoon, model: str, on_step: Callable[[str], None] | None) -> None:
    told = None
    while (retrain := app.ledger.active_retrain(model)) is not None:
        if on_step is not None and (retrain.retrain_id, retrain.state) != told:
            told = (retrain.retrain_id, retrain.state)
            on_step(f"waits for {retrain.retrain_id} ({retrain.state})")
        time.sleep(_POLL_S)
