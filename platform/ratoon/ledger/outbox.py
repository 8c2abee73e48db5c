"""The outbox: messages are written with the change that causes them, and sent afterwards."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, case, select
from sqlalchemy.sql import ColumnElement

from ratoon.ledger.engine import Database, Transaction
from ratoon.ledger.records import OutboxMessage, Stage
from ratoon.ledger.states import RetrainState
from ratoon.ledger.tables import OUTBOX, RETRAIN


def post(tx: Transaction, retrain: Row[Any], stage: Stage) -> None:
    """Ask for the next attempt of a stage: there is one message per retrain, stage and attempt."""
    key = {"retrain_id": retrain.retrain_id, "stage": stage, "attempt": retrain.attempt + 1}
    queue = "evaluate" if stage == "evaluate" else f"train.{retrain.queue}"
    body = {"retrain_id": retrain.retrain_id, "queue": queue}
    tx.add(OUTBOX, seq=tx.next_seq(), **key, body=body, sends=0, created_at=tx.now)


def asks_for_next_attempt() -> ColumnElement[bool]:
    """Return the condition that joins a waiting retrain to the message that asks for its next attempt."""
    stage = case((RETRAIN.c.state == RetrainState.TRAINED, "evaluate"), else_="train")
    return and_(
        OUTBOX.c.retrain_id == RETRAIN.c.retrain_id,
        OUTBOX.c.stage == stage,
        OUTBOX.c.attempt == RETRAIN.c.attempt + 1,
    )


class Outbox(Database):
    """The ledger's messages to the broker."""

    def relay(self, publish: Callable[[OutboxMessage], None], *, limit: int = 100) -> int:
        """Publish the messages that were not sent, oldest first, and return how many.

        Each is marked after its publishing: a crash between the two, or two relays at once, send it
        twice, and the claim drops the copy. What ``publish`` raises ends the relay and is passed on; what
        it did not publish stays unsent.
        """
        messages = self.unsent(limit=limit)
        for message in messages:
            publish(message)
            self._mark_sent(message)
        return len(messages)

    def unsent(self, *, limit: int = 100) -> list[OutboxMessage]:
        """Return the messages that wait to be sent, oldest first."""
        query = (
            select(OUTBOX, OUTBOX.c.stage.label("task"))
            .where(OUTBOX.c.sent_at.is_(None))
            .order_by(OUTBOX.c.seq)
            .limit(limit)
        )
        with self.reading() as tx:
            return [OutboxMessage.of(row) for row in tx.rows(query)]

    def _mark_sent(self, message: OutboxMessage) -> None:
        with self.writing() as tx:
            tx.change(OUTBOX, OUTBOX.c.seq == message.seq, sent_at=tx.now, sends=OUTBOX.c.sends + 1)
            row = tx.change(
                RETRAIN,
                RETRAIN.c.retrain_id == message.retrain_id,
                RETRAIN.c.state == RetrainState.REQUESTED,
                state=RetrainState.DISPATCHED,
                updated_at=tx.now,
            )
            if row is not None:
                tx.audit("retrain.DISPATCHED", message.retrain_id)


def resend(tx: Transaction, seq: int, sent_at: datetime) -> bool:
    """Make a sent message unsent again, unless somebody else did; return whether this call did it."""
    return tx.change(OUTBOX, OUTBOX.c.seq == seq, OUTBOX.c.sent_at == sent_at, sent_at=None) is not None
