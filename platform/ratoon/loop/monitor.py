"""Takes a model through every event that it has not decided about: predict, measure, decide."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ratoon.alerts import Decay, raise_alerts
from ratoon.bootstrap import Ratoon
from ratoon.declarations import ModelSpec
from ratoon.drift import DriftReport
from ratoon.ledger.records import Event
from ratoon.loop.decay import change_of, cohorts_of
from ratoon.loop.profiling import profile_pending
from ratoon.loop.references import measure_drift
from ratoon.loop.reports import StepReport
from ratoon.loop.requests import decide_about, send_now
from ratoon.loop.scoring import measure_cohorts, predict_batch, update_performance
from ratoon.performance import ChangeVerdict

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
    seen = _look(app, spec, event, as_of)
    drift = None if seen.drift is None else seen.drift.model_dump(mode="json")
    if seen.drift is not None and drift is not None:
        app.ledger.record_drift(spec.name, event.event_id, as_of=as_of, report=drift, alpha=seen.drift.alpha)
    row = decide_about(app, spec, event, as_of=as_of, drift=seen.drift)
    raise_alerts(
        app.ledger,
        spec.name,
        event_id=event.event_id,
        as_of=as_of,
        drift=drift,
        diagnosis=seen.diagnosis,
        performance=seen.performance or (),
        decision=row.decision,
        decay=seen.decay,
        incident=f"{spec.dataset}/{event.event_id}",
    )
    if not send_now(app) and on_step is not None:
        on_step("the broker does not answer; the outbox keeps the work until a worker's sweep sends it")
    return StepReport(
        event_id=event.event_id,
        kind=event.kind,
        as_of=as_of,
        predictions=seen.predictions,
        performance=seen.performance,
        drift=drift,
        diagnosis=seen.diagnosis,
        decision={"id": row.decision_id, "outcome": row.outcome, "reason": row.reason},
        retrain_id=row.retrain_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    predictions: dict[str, Any] | None = None
    drift: DriftReport | None = None
    diagnosis: dict[str, Any] | None = None
    performance: list[dict[str, Any]] | None = None
    decay: Decay | None = None


def _look(app: Ratoon, spec: ModelSpec, event: Event, as_of: datetime) -> _Seen:
    """Predict and measure what an event brings."""
    if event.kind == "batch.ingested":
        return _look_at_batch(app, spec, event, as_of)
    if event.kind == "labels.arrived":
        performance = update_performance(app, spec, event, as_of=as_of) or None
        change = change_of(spec, cohorts_of(app, spec)) if performance else None
        return _Seen(performance=performance, decay=None if change is None else _decay(change))
    return _Seen()


def _look_at_batch(app: Ratoon, spec: ModelSpec, event: Event, as_of: datetime) -> _Seen:
    profile_pending(app, spec.dataset)
    diagnosis = app.ledger.diagnosis(event.data["batch_id"])
    champion = app.ledger.champion(spec.name)
    if champion is None or not event.data["rows_kept"]:
        return _Seen(diagnosis=diagnosis)
    predictions = predict_batch(app, spec, champion, event, as_of=as_of)
    drift = measure_drift(app, spec, champion, event_id=event.event_id, as_of=as_of)
    # Labels may have come before their rows: nothing would touch this cohort again.
    performance = measure_cohorts(app, spec, [event.data["batch_id"]], as_of=as_of) or None
    return _Seen(predictions=predictions, drift=drift, diagnosis=diagnosis, performance=performance)


def _decay(change: ChangeVerdict) -> Decay:
    return Decay(is_worse=change.alarm, sentence=change.sentence, evidence=change.model_dump(mode="json"))


def _wait_until_idle(app: Ratoon, model: str, on_step: Callable[[str], None] | None) -> None:
    told = None
    while (retrain := app.ledger.active_retrain(model)) is not None:
        if on_step is not None and (retrain.retrain_id, retrain.state) != told:
            told = (retrain.retrain_id, retrain.state)
            on_step(f"waits for {retrain.retrain_id} ({retrain.state})")
        time.sleep(_POLL_S)
