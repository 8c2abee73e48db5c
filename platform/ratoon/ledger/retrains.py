"""Retrains: leases, fences and the arrows that their holders take."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Row, and_, case, or_, select
from sqlalchemy.sql import ColumnElement

from ratoon.errors import FencedError, NotFoundError, RefusedError
from ratoon.ledger.engine import Database, Transaction
from ratoon.ledger.outbox import post
from ratoon.ledger.records import Claim, Refusal, Retrain, Stage
from ratoon.ledger.states import ACTIVE, RetrainState
from ratoon.ledger.tables import MODEL, RETRAIN
from ratoon.ledger.versions import find_champion

_CANCELLABLE = tuple(state for state in ACTIVE if state is not RetrainState.CANCELLING)
_WORKED_ON = (RetrainState.RUNNING, RetrainState.TRAINED)
_FREE = {"owner": None, "lease_until": None}


def held_by(retrain_id: str, fence: int) -> tuple[ColumnElement[bool], ...]:
    """Return the guard that a holder with this fence still holds a retrain that is worked on."""
    holds = and_(RETRAIN.c.fence == fence, RETRAIN.c.lease_until.is_not(None))
    return (RETRAIN.c.retrain_id == retrain_id, holds, RETRAIN.c.state.in_(_WORKED_ON))


def get_retrain(tx: Transaction, retrain_id: str) -> Retrain:
    """Return a retrain, or raise NotFoundError."""
    row = tx.first(select(RETRAIN).where(RETRAIN.c.retrain_id == retrain_id))
    if row is None:
        raise NotFoundError(f"retrain {retrain_id!r} is not in the ledger; `ratoon why MODEL` lists the known ones")
    return Retrain.of(row)


def fenced(tx: Transaction, retrain_id: str, fence: int) -> FencedError:
    """Return the error for a holder whose guard no longer holds."""
    row = get_retrain(tx, retrain_id)
    return FencedError(
        f"retrain {retrain_id} is {row.state} under fence {row.fence}, and this holder has fence {fence}: "
        "it was taken over, cancelled, ended, or is past its deadline; stop at once and write nothing"
    )


def end_attempt(
    tx: Transaction, guard: tuple[ColumnElement[bool], ...], *, error: dict[str, Any], retryable: bool
) -> Row[Any] | None:
    """End an attempt: back to its queue, or FAILED where no attempt or time is left; None when the guard fails."""
    row = None
    freed = {**_FREE, "error": error, "updated_at": tx.now}
    if retryable:
        row = tx.change(RETRAIN, *guard, *_may_go_on(tx), state=_QUEUED_AGAIN, **freed)
    if row is not None:
        return _queue_again(tx, row, error)
    row = tx.change(RETRAIN, *guard, state=RetrainState.FAILED, finished_at=tx.now, **freed)
    if row is not None:
        tx.audit("retrain.FAILED", row.retrain_id, attempt=row.attempt, fence=row.fence, error=error)
    return row


_QUEUED_AGAIN = case((RETRAIN.c.state == RetrainState.RUNNING, RetrainState.DISPATCHED), else_=RETRAIN.c.state)


def _queue_again(tx: Transaction, row: Row[Any], error: dict[str, Any]) -> Row[Any]:
    post(tx, row, "evaluate" if row.state == RetrainState.TRAINED else "train")
    tx.audit(f"retrain.{row.state}", row.retrain_id, attempt=row.attempt, fence=row.fence, error=error)
    return row


def cancel_unheld(tx: Transaction, retrain_id: str, *guard: ColumnElement[bool]) -> Row[Any] | None:
    """Take the arrow CANCELLING -> CANCELLED under a further guard; None when it fails."""
    cancelling = (RETRAIN.c.retrain_id == retrain_id, RETRAIN.c.state == RetrainState.CANCELLING, *guard)
    ended = {**_FREE, "finished_at": tx.now, "updated_at": tx.now}
    row = tx.change(RETRAIN, *cancelling, state=RetrainState.CANCELLED, **ended)
    if row is not None:
        tx.audit("retrain.CANCELLED", retrain_id, fence=row.fence)
    return row


def _in_time(tx: Transaction) -> ColumnElement[bool]:
    return or_(RETRAIN.c.deadline_at.is_(None), RETRAIN.c.deadline_at > tx.now)


def _may_go_on(tx: Transaction) -> tuple[ColumnElement[bool], ...]:
    return (RETRAIN.c.attempt < RETRAIN.c.max_attempts, _in_time(tx))


def _complete(tx: Transaction, row: Row[Any], stage: Stage) -> Claim:
    """Start the deadline at the first claim, and fix the champion that an evaluation is about."""
    mine = RETRAIN.c.retrain_id == row.retrain_id
    more: dict[str, Any] = {}
    if row.deadline_at is None:
        more |= {"deadline_at": tx.now + timedelta(seconds=row.deadline_s), "started_at": tx.now}
    if stage == "evaluate":
        more["base_revision"] = select(MODEL.c.revision).where(MODEL.c.name == row.model).scalar_subquery()
    row = (tx.change(RETRAIN, mine, **more) if more else None) or row
    champion = find_champion(tx, row.model) if stage == "evaluate" else None
    retrain = Retrain.of(row)
    return Claim(
        retrain=retrain, stage=stage, fence=row.fence, attempt=row.attempt, order=retrain.order, champion=champion
    )


def _refusal(tx: Transaction, retrain_id: str, stage: Stage) -> str:
    row = tx.first(select(RETRAIN).where(RETRAIN.c.retrain_id == retrain_id))
    if row is None:
        return f"{retrain_id} is not in this ledger"
    if row.lease_until is not None:
        return f"{retrain_id} is {row.state}: {row.owner} holds it until {row.lease_until}"
    attempts = f"{row.attempt} of {row.max_attempts} attempts"
    return f"{retrain_id} is {row.state} after {attempts}: stage {stage} is not to be done"


class Retrains(Database):
    """The retrains of the ledger, as their workers, Dagster and people see them."""

    def claim(self, retrain_id: str, stage: Stage, *, owner: str, lease_s: float) -> Claim | Refusal:
        """Ask for the right to do one stage of a retrain.

        The first claim starts the deadline. An ``evaluate`` claim fixes the champion that the candidate
        is judged against: if it changes before the conclusion, the candidate is rejected.

        Returns:
            The claim with its fence and lease, or why there is none; then the message can be dropped.
        """
        waiting = {
            "train": (RETRAIN.c.state.in_((RetrainState.REQUESTED, RetrainState.DISPATCHED)),),
            "evaluate": (RETRAIN.c.state == RetrainState.TRAINED, RETRAIN.c.lease_until.is_(None)),
        }[stage]
        with self.writing() as tx:
            row = tx.change(
                RETRAIN,
                RETRAIN.c.retrain_id == retrain_id,
                *waiting,
                *_may_go_on(tx),
                state=RetrainState.RUNNING if stage == "train" else RetrainState.TRAINED,
                attempt=RETRAIN.c.attempt + 1,
                fence=RETRAIN.c.fence + 1,
                owner=owner,
                lease_until=tx.now + timedelta(seconds=lease_s),
                progress=None,
                updated_at=tx.now,
            )
            if row is None:
                return Refusal(reason=_refusal(tx, retrain_id, stage))
            tx.audit(f"retrain.{row.state}", retrain_id, actor=owner, stage=stage, attempt=row.attempt, fence=row.fence)
            return _complete(tx, row, stage)

    def renew(self, retrain_id: str, fence: int, *, lease_s: float, progress: dict[str, Any] | None = None) -> None:
        """Prolong a lease and note how far the work is.

        Raises:
            FencedError: The work was taken over, is being cancelled, has ended or is past its deadline.
        """
        noted = {} if progress is None else {"progress": progress}
        with self.writing() as tx:
            lease = tx.now + timedelta(seconds=lease_s)
            held = (*held_by(retrain_id, fence), _in_time(tx))
            if tx.change(RETRAIN, *held, lease_until=lease, updated_at=tx.now, **noted) is None:
                raise fenced(tx, retrain_id, fence)

    def release(self, retrain_id: str, fence: int, *, error: dict[str, Any], retryable: bool) -> Retrain:
        """Give an attempt back with what went wrong: to its queue again, or FAILED.

        It fails when the error is not retryable, or no attempt or time is left.

        Raises:
            FencedError: This holder no longer holds it.
        """
        with self.writing() as tx:
            row = end_attempt(tx, held_by(retrain_id, fence), error=error, retryable=retryable)
            if row is None:
                raise fenced(tx, retrain_id, fence)
            return Retrain.of(row)

    def hand_back(self, retrain_id: str, fence: int, *, error: dict[str, Any]) -> Retrain:
        """Give work back that was not at fault: its worker was stopped.

        The attempt does not count, and the deadline starts again with the next claim: a stack that is down for
        a night fails nothing.

        Raises:
            FencedError: This holder no longer holds it.
        """
        with self.writing() as tx:
            freed = {**_FREE, "error": error, "updated_at": tx.now, "deadline_at": None}
            more = RETRAIN.c.max_attempts + 1
            row = tx.change(RETRAIN, *held_by(retrain_id, fence), state=_QUEUED_AGAIN, max_attempts=more, **freed)
            if row is None:
                raise fenced(tx, retrain_id, fence)
            return Retrain.of(_queue_again(tx, row, error))

    def request_cancel(self, retrain_id: str, actor: str) -> Retrain:
        """Ask for the end of a retrain; without a holder it is CANCELLED at once.

        The holder learns it at its next renewal, kills the work, and confirms.

        Raises:
            RefusedError: It has already ended otherwise.
        """
        with self.writing() as tx:
            asked = (RETRAIN.c.retrain_id == retrain_id, RETRAIN.c.state.in_(_CANCELLABLE))
            row = tx.change(RETRAIN, *asked, state=RetrainState.CANCELLING, updated_at=tx.now)
            if row is not None:
                tx.audit("retrain.CANCELLING", retrain_id, actor=actor, fence=row.fence)
                cancel_unheld(tx, retrain_id, RETRAIN.c.lease_until.is_(None))
            found = get_retrain(tx, retrain_id)
        if found.state not in (RetrainState.CANCELLING, RetrainState.CANCELLED):
            raise RefusedError(f"retrain {retrain_id} is already {found.state}; nothing is left to cancel")
        return found

    def confirm_cancelled(self, retrain_id: str, fence: int | None) -> Retrain:
        """Say that the work is dead. ``fence`` None means that nobody holds it any more.

        Raises:
            FencedError: It is not being cancelled, or somebody else holds it.
        """
        with self.writing() as tx:
            nobody = or_(RETRAIN.c.lease_until.is_(None), RETRAIN.c.lease_until <= tx.now)
            cancel_unheld(tx, retrain_id, nobody if fence is None else RETRAIN.c.fence == fence)
            found = get_retrain(tx, retrain_id)
            if found.state != RetrainState.CANCELLED:
                raise fenced(tx, retrain_id, -1 if fence is None else fence)
            return found

    def retrain(self, retrain_id: str) -> Retrain:
        """Return a retrain; raises NotFoundError."""
        with self.reading() as tx:
            return get_retrain(tx, retrain_id)

    def retrains(
        self, model: str | None = None, states: set[RetrainState] | None = None, *, limit: int = 100
    ) -> list[Retrain]:
        """Return retrains, newest first."""
        query = select(RETRAIN).order_by(RETRAIN.c.seq.desc()).limit(limit)
        if model is not None:
            query = query.where(RETRAIN.c.model == model)
        if states is not None:
            query = query.where(RETRAIN.c.state.in_(sorted(states)))
        with self.reading() as tx:
            return [Retrain.of(row) for row in tx.rows(query)]

    def active_retrain(self, model: str) -> Retrain | None:
        """Return the model's retrain that has not ended, or None. There is at most one."""
        found = self.retrains(model, set(ACTIVE), limit=1)
        return found[0] if found else None
