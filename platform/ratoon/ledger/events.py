"""Facts, recorded once, and which of them a model has not decided about yet."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.sql import ColumnElement

from ratoon.errors import ConflictError
from ratoon.identity import digest_json
from ratoon.ledger.engine import Database, Transaction
from ratoon.ledger.records import Event
from ratoon.ledger.tables import DECISION, EVENT, MODEL

OF_THE_DATASET = ("batch.ingested", "labels.arrived")
OF_THE_MODEL = ("manual.requested", "clock.passed")


def append_event(
    tx: Transaction,
    *,
    event_id: str,
    kind: str,
    subject: str,
    as_of: datetime,
    data: Mapping[str, Any],
    cause: str | None = None,
) -> Event:
    """Record a fact under its id and return it; the first one stays when it is recorded again.

    Raises:
        ConflictError: The id already names another fact.
    """
    payload = {"kind": kind, "subject": subject, "data": dict(data)}
    digest = digest_json(payload)
    tx.add_once(
        EVENT,
        event_id=event_id,
        seq=tx.next_seq(),
        as_of=as_of,
        payload_digest=digest,
        cause=cause,
        recorded_at=tx.now,
        **payload,
    )
    row = tx.connection.execute(select(EVENT).where(EVENT.c.event_id == event_id)).one()
    if row.payload_digest != digest:
        raise ConflictError(
            f"event {event_id} is already recorded as {row.kind} of {row.subject} with other data; "
            "expected the same payload under the same id: give the new fact an id of its own"
        )
    return Event.of(row)


def concerns_model() -> ColumnElement[bool]:
    """Return the condition that joins an event to the models that must decide about it."""
    return or_(
        and_(EVENT.c.kind.in_(OF_THE_DATASET), EVENT.c.subject == MODEL.c.dataset),
        and_(EVENT.c.kind.in_(OF_THE_MODEL), EVENT.c.subject == MODEL.c.name),
    )


def is_undecided() -> ColumnElement[bool]:
    """Return the condition that a model has no decision about an event."""
    return ~exists().where(DECISION.c.model == MODEL.c.name, DECISION.c.event_id == EVENT.c.event_id)


class Events(Database):
    """The events of the ledger."""

    def record_event(
        self,
        *,
        event_id: str,
        kind: str,
        subject: str,
        as_of: datetime,
        data: Mapping[str, Any],
        cause: str | None = None,
    ) -> Event:
        """Record a fact under its id; doing it again returns the first one.

        Args:
            event_id: The fact's identity: a webhook's id, a derived id, or one made by the caller.
            kind: Past tense, for example ``manual.requested``.
            subject: Name of the dataset or model that it is about.
            as_of: When it happened. Not part of the identity: a repeated report may carry a later time.
            data: What else is known; JSON.
            cause: Id of what brought it about.

        Raises:
            ConflictError: The id already names a fact of another kind, subject or data.
        """
        with self.writing() as tx:
            return append_event(tx, event_id=event_id, kind=kind, subject=subject, as_of=as_of, data=data, cause=cause)

    def event(self, event_id: str) -> Event | None:
        """Return an event, or None."""
        with self.reading() as tx:
            row = tx.first(select(EVENT).where(EVENT.c.event_id == event_id))
        return None if row is None else Event.of(row)

    def pending_events(self, model: str, *, limit: int = 100) -> list[Event]:
        """Return the events that a model must still decide about, oldest as-of time first.

        These are ``batch.ingested`` and ``labels.arrived`` of its dataset, and ``manual.requested`` and
        ``clock.passed`` of its own.
        """
        query = (
            select(EVENT)
            .join(MODEL, concerns_model())
            .where(MODEL.c.name == model, is_undecided())
            .order_by(EVENT.c.as_of, EVENT.c.seq)
            .limit(limit)
        )
        with self.reading() as tx:
            return [Event.of(row) for row in tx.rows(query)]
