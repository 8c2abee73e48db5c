"""Commands that change something: trigger, promote, rollback, cancel."""

import uuid
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ratoon.cli.failure import OK, REFUSED
from ratoon.cli.options import DEFAULTS, Options
from ratoon.cli.output import answer
from ratoon.cli.session import actor, open_ratoon

if TYPE_CHECKING:
    from datetime import datetime

    from ratoon.bootstrap import Ratoon


def trigger(model: str, *, reason: str, event_id: str | None = None, options: Options = DEFAULTS) -> int:
    """Ask for a retrain; guards still apply.

    Ends with exit code 3 where a guard holds the retrain back. The request and the decision are recorded either way.

    Args:
        model: The model.
        reason: Why; the decision shows it.
        event_id: Your own id of the request: sending the same id twice decides once.
        options: How to answer, and about which project.
    """
    from ratoon.errors import BackendError
    from ratoon.loop import request_retrain

    request = event_id or f"event-manual-{uuid.uuid4().hex}"
    ratoon = open_ratoon(options)
    lines = []
    try:
        decision = request_retrain(ratoon, model, reason=reason, actor=actor(), event_id=request)
    except BackendError as exc:
        # The decision stands before the broker is told: what failed may be the telling alone.
        recorded = ratoon.ledger.decision(model, request)
        if recorded is None:
            raise
        decision, lines = recorded, [f"decided, but {exc.message}"]
    answer(decision, [f"{model}: {decision.outcome}: {decision.reason}", *lines], as_json=options.json)
    return OK if decision.outcome == "retrain" else REFUSED


def promote(model: str, version: int, *, reason: str, options: Options = DEFAULTS) -> int:
    """Make a version the champion.

    Args:
        model: The model.
        version: One of the model's versions; see `ratoon lineage MODEL`.
        reason: Why; the audit keeps it.
        options: How to answer, and about which project.
    """
    ratoon = open_ratoon(options)
    promotion = ratoon.ledger.promote(model, version, actor=actor(), reason=reason, as_of=_as_of(ratoon, model))
    answer(
        promotion,
        [f"{model}: version {promotion.version} is the champion (revision {promotion.revision})"],
        as_json=options.json,
    )
    return OK


def rollback(
    model: str, *, to: Annotated[int | None, Parameter(name="--to")] = None, reason: str, options: Options = DEFAULTS
) -> int:
    """Go back to an earlier champion; itself a promotion.

    Args:
        model: The model.
        to: The version to go back to; otherwise the champion before this one.
        reason: Why; the audit keeps it.
        options: How to answer, and about which project.
    """
    ratoon = open_ratoon(options)
    promotion = ratoon.ledger.rollback(model, to_version=to, actor=actor(), reason=reason, as_of=_as_of(ratoon, model))
    way = f"from version {promotion.previous_version} to {promotion.version}"
    line = f"{model}: rolled back {way} (revision {promotion.revision})"
    answer(promotion, [line], as_json=options.json)
    return OK


def cancel(target: str, *, options: Options = DEFAULTS) -> int:
    """Stop a model's active retrain, or one by its id.

    Args:
        target: A model, or a retrain's id.
        options: How to answer, and about which project.
    """
    from ratoon.errors import NotFoundError

    ledger = open_ratoon(options).ledger
    if target.startswith("retrain-"):
        retrain_id = target
    else:
        active = ledger.active_retrain(target)
        if active is None:
            raise NotFoundError(f"model {target!r} has no active retrain; there is nothing to cancel")
        retrain_id = active.retrain_id
    retrain = ledger.request_cancel(retrain_id, actor())
    answer(retrain, [f"{retrain.model}: {retrain.retrain_id} is {retrain.state}"], as_json=options.json)
    return OK


def _as_of(ratoon: "Ratoon", model: str) -> "datetime | None":
    """Return the time as of which a person acts: in a replay that of the newest batch, else None for the clock."""
    if ratoon.settings.clock == "wall":
        return None
    newest = ratoon.ledger.batches(ratoon.ledger.model(model).dataset, limit=1)
    return newest[0].as_of if newest else None
