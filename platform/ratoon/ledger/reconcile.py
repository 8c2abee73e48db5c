"""The sweep: whatever is not terminal and does not move is put back on its way."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, or_, select

from ratoon.errors import BackendError
from ratoon.ledger.answers import ReconcileReport
from ratoon.ledger.engine import Transaction
from ratoon.ledger.outbox import asks_for_next_attempt, post, resend
from ratoon.ledger.promotions import Promotions
from ratoon.ledger.retrains import cancel_unheld, end_attempt
from ratoon.ledger.states import ACTIVE, RetrainState
from ratoon.ledger.tables import OUTBOX, RETRAIN

_LONGEST_RESEND = timedelta(hours=1)

Repair = Literal["redispatched", "failed", "concluded", "cancelled"]


class Reconciler(Promotions):
    """Repairs what a crash, a lost message or a dead worker left."""

    def reconcile(self, *, now: datetime | None = None, resend_after_s: float = 60.0) -> ReconcileReport:
        """Look at every retrain that has not ended, and move those that nobody moves.

        A lease that ended gives the attempt back (or FAILED at the cap or the deadline); a message that
        was sent but led to no claim is sent again, after ``resend_after_s``, then twice as long each
        time, up to an hour; EVALUATED is concluded; CANCELLING without a holder is CANCELLED. Each
        repair is a guarded transaction of its own: any number of sweeps may run at once.
        """
        done: dict[str, list[str]] = {}
        for row in self._unended():
            repair = self._repair(row, now, timedelta(seconds=resend_after_s))
            if repair is not None:
                done.setdefault(repair, []).append(row.retrain_id)
        return ReconcileReport.model_validate(done)

    def _unended(self) -> list[Row[Any]]:
        query = (
            select(RETRAIN, OUTBOX.c.seq.label("message"), OUTBOX.c.sent_at, OUTBOX.c.sends)
            .outerjoin(OUTBOX, asks_for_next_attempt())
            .where(RETRAIN.c.state.in_(ACTIVE))
            .order_by(RETRAIN.c.seq)
        )
        with self.reading() as tx:
            return tx.rows(query)

    def _repair(self, row: Row[Any], now: datetime | None, resend_after: timedelta) -> Repair | None:
        if row.state == RetrainState.EVALUATED:
            self.conclude(row.retrain_id)
            return "concluded"
        with self.writing() as opened:
            tx = opened if now is None else replace(opened, now=now)
            if row.state == RetrainState.CANCELLING:
                return _cancel(tx, row)
            if row.lease_until is not None:
                return _expire(tx, row)
            return _push(tx, row, resend_after)


def _cancel(tx: Transaction, row: Row[Any]) -> Repair | None:
    nobody = or_(RETRAIN.c.lease_until.is_(None), RETRAIN.c.lease_until <= tx.now)
    return None if cancel_unheld(tx, row.retrain_id, nobody) is None else "cancelled"


def _expire(tx: Transaction, row: Row[Any]) -> Repair | None:
    expired = (*_as_seen(row), RETRAIN.c.lease_until <= tx.now)
    message = f"{row.owner} did not renew its lease, which ended {row.lease_until}"
    return _ended(end_attempt(tx, expired, error=BackendError(message).to_record(), retryable=True))


def _push(tx: Transaction, row: Row[Any], resend_after: timedelta) -> Repair | None:
    """Move a retrain that waits for a claim: fail it past its deadline, send its message again when it got stuck."""
    if row.deadline_at is not None and row.deadline_at <= tx.now:
        message = f"the deadline {row.deadline_at} passed while it waited for a worker"
        waiting = (*_as_seen(row), RETRAIN.c.lease_until.is_(None))
        return _ended(end_attempt(tx, waiting, error=BackendError(message).to_record(), retryable=False))
    if row.message is None:
        post(tx, row, "evaluate" if row.state == RetrainState.TRAINED else "train")
        return "redispatched"
    if row.sent_at is None:
        return None
    patience = min(resend_after * 2 ** min(row.sends - 1, 16), max(resend_after, _LONGEST_RESEND))
    stuck = row.sent_at + patience <= tx.now
    return "redispatched" if stuck and resend(tx, row.message, row.sent_at) else None


def _as_seen(row: Row[Any]) -> tuple[Any, ...]:
    return (RETRAIN.c.retrain_id == row.retrain_id, RETRAIN.c.fence == row.fence, RETRAIN.c.state == row.state)


def _ended(row: Row[Any] | None) -> Repair | None:
    if row is None:
        return None
    return "failed" if row.state == RetrainState.FAILED else "redispatched"
