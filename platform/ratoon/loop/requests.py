"""How a retrain is decided, what it is told, and how a person asks for one."""

from datetime import datetime
from functools import cache
from importlib.metadata import distributions
from typing import Any

from ratoon.bootstrap import Ratoon
from ratoon.declarations import ModelSpec
from ratoon.drift import DriftReport
from ratoon.errors import BackendError, ConflictError, RefusedError
from ratoon.identity import digest_bytes, digest_json
from ratoon.ledger.records import DecisionRow, Event, RetrainSpec, Version
from ratoon.loop.clock import decision_time
from ratoon.loop.signals import gather_signals


def request_retrain(app: Ratoon, model: str, *, reason: str, actor: str, event_id: str) -> DecisionRow:
    """Record that a person wants a retrain, decide about it, and start it unless a guard holds it back.

    Args:
        app: The application.
        model: A declared model.
        reason: Why, in the person's words.
        actor: Who.
        event_id: Identity of the request: the same id is one request, however often it is sent.

    Returns:
        The decision; ``outcome`` is ``wait`` where single flight holds it back.

    Raises:
        NotFoundError: The model is not declared.
        RefusedError: The dataset has no labelled row to learn from.
    """
    spec = app.model(model)
    app.ledger.ensure_model(model, spec.dataset)
    known = app.ledger.decision(model, event_id)
    if known is not None:
        return known
    now = decision_time(app, spec.dataset)
    # Looked at before the request is recorded: what is refused must not be decided about later.
    if not gather_signals(app, spec, as_of=now).labelled_rows:
        raise RefusedError(
            f"model {model} can't be trained: dataset {spec.dataset} has no labelled row as of {now:%Y-%m-%d %H:%M}; wait for labels"
        )
    event = app.ledger.record_event(
        event_id=event_id,
        kind="manual.requested",
        subject=model,
        as_of=now,
        data={"reason": reason, "actor": actor},
        cause=actor,
    )
    row = decide_about(app, spec, event, as_of=now)
    send_now(app)
    return row


def decide_about(
    app: Ratoon, spec: ModelSpec, event: Event, *, as_of: datetime, drift: DriftReport | None = None
) -> DecisionRow:
    """Measure a model's signals and decide about an event; both again where a promotion came in between.

    Args:
        app: The application.
        spec: The model.
        event: One of its pending events.
        as_of: The decision's time.
        drift: The drift report that was made as of this time, where one was.
    """
    manual = event.data["reason"] if event.kind == "manual.requested" else None
    while True:
        signals = gather_signals(app, spec, as_of=as_of, drift=drift).model_copy(update={"manual": manual})
        order = retrain_spec(app, spec, as_of=as_of)
        try:
            return app.ledger.decide(
                spec.name,
                event.event_id,
                policy=spec.policy,
                signals=signals,
                now=as_of,
                evidence={"event": event.data},
                retrain=order,
            )
        except ConflictError:
            continue


def send_now(app: Ratoon) -> bool:
    """Send what the outbox holds; say whether the broker took it.

    Where it does not, nothing is lost: the outbox keeps the messages, and every worker's sweep sends them.
    """
    try:
        app.ledger.relay(app.publish)
    except BackendError:
        return False
    return True


def retrain_spec(app: Ratoon, spec: ModelSpec, *, as_of: datetime) -> RetrainSpec:
    """Return what a retrain of a model would do as of a time; the versions of its tables are pinned now.

    Args:
        app: The application.
        spec: The model.
        as_of: Nothing that became known later is read.
    """
    dataset = app.dataset(spec.dataset)
    digest = digest_json(spec.model_dump(mode="json"))
    order: dict[str, Any] = {
        "model": spec.name,
        "dataset": spec.dataset,
        "project_root": str(app.settings.project),
        "features": spec.features,
        "contract": dataset.contract.to_json(),
        "task": spec.task,
        "training": spec.training.model_dump(mode="json"),
        "gate": spec.gate.model_dump(mode="json"),
        "metric": spec.gate.metric,
        "lake_url": app.settings.lake_url,
        "artifacts_url": app.settings.artifacts_url,
        "rows_version": app.lake.rows_version(spec.dataset),
        "labels_version": app.lake.labels_version(spec.dataset),
        "as_of": as_of.isoformat(),
        "champion": champion_ref(app.ledger.champion(spec.name)),
        "seed": spec.training.seed,
        "spec_digest": digest,
        "environment": environment_digest(),
    }
    return RetrainSpec(
        spec_digest=digest,
        order=order,
        queue=spec.training.queue,
        deadline_s=spec.training.timeout.total_seconds(),
        max_attempts=app.settings.max_attempts,
    )


def champion_ref(champion: Version | None) -> dict[str, Any] | None:
    """Return how an order names the champion."""
    if champion is None or champion.data_until is None:
        return None
    return {
        "artifact": champion.artifact_digest,
        "version": champion.version,
        "data_until": champion.data_until.isoformat(),
    }


@cache
def environment_digest() -> str:
    """Return the digest of the installed distributions and their versions: what ``uv.lock`` became on this machine."""
    installed = sorted({f"{found.name}=={found.version}".lower() for found in distributions()})
    return digest_bytes("\n".join(installed).encode())
