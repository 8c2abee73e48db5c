"""What time it is for a decision, and time as an event: a champion that grew too old while nothing arrived."""

from datetime import datetime

from ratoon.bootstrap import Ratoon
from ratoon.declarations import ModelSpec
from ratoon.identity import derive_id
from ratoon.policy.spec import MaxAge


def decision_time(app: Ratoon, dataset: str) -> datetime:
    """Return the time as of which something is done now: the clock, or in a replay the newest batch's time.

    Args:
        app: The application.
        dataset: Whose batches tell the time.
    """
    newest = app.ledger.batches(dataset, limit=1) if app.settings.clock == "event" else []
    return newest[0].as_of if newest else app.clock()


def note_passed_time(app: Ratoon, spec: ModelSpec, *, now: datetime) -> bool:
    """Record ``clock.passed`` where a champion is older than its policy allows, once per champion and day.

    Other events look at the age as well; this one is for a model whose data has stopped. In a replay time passes
    with the events, so nothing is recorded.

    Args:
        app: The application; only its ledger is read.
        spec: A declared model.
        now: The wall clock.

    Returns:
        Whether the champion is too old now.
    """
    ages = [trigger.age for trigger in spec.policy.triggers if isinstance(trigger, MaxAge)]
    champion = app.ledger.champion(spec.name) if ages and app.settings.clock == "wall" else None
    if champion is None or now - (champion.data_until or champion.promoted_at) < min(ages):
        return False
    event_id = derive_id("event", "clock.passed", spec.name, str(champion.version), f"{now:%Y-%m-%d}")
    data = {"champion": champion.version, "day": f"{now:%Y-%m-%d}"}
    app.ledger.record_event(event_id=event_id, kind="clock.passed", subject=spec.name, as_of=now, data=data)
    return True
