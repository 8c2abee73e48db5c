"""What must always hold, checked over the whole ledger."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, func, or_, select

from ratoon.ledger.answers import Violation
from ratoon.ledger.engine import Database, Transaction, audit_hash
from ratoon.ledger.outbox import asks_for_next_attempt
from ratoon.ledger.records import AuditEntry
from ratoon.ledger.states import TERMINAL, BatchState, RetrainState
from ratoon.ledger.tables import (
    ARTIFACT,
    AUDIT,
    BATCH,
    DECISION,
    EVALUATION,
    HEAD,
    MODEL,
    OUTBOX,
    PROMOTION,
    RETRAIN,
    VERSION,
)

_HAS_ARTIFACT = (RetrainState.TRAINED, RetrainState.EVALUATED, RetrainState.PROMOTED, RetrainState.REJECTED)
_HAS_EVALUATION = (RetrainState.EVALUATED, RetrainState.PROMOTED, RetrainState.REJECTED)


class Invariants(Database):
    """The ledger's own check-up."""

    def check_invariants(self, *, now: datetime | None = None, grace_s: float = 120.0) -> list[Violation]:
        """Return every broken invariant, I1 to I8, I10 and the audit's chain; empty when all is well.

        Whether an artifact's bytes hash to its digest (the other half of I3) is the artifact store's to say.

        Args:
            now: What time it is; None takes the ledger's clock.
            grace_s: How long a retrain may stand still before I7 counts it as lost (lease + sweep).
        """
        with self.reading() as tx:
            overdue = (now or tx.now) - timedelta(seconds=grace_s)
            return [
                *_uniqueness(tx),
                *_fences(tx),
                *_pointers(tx),
                *_liveness(tx, overdue),
                *_history(tx),
                *_rows(tx),
                *_chain(tx),
            ]

    def audit_trail(self, subject: str | None = None, *, limit: int = 100) -> list[AuditEntry]:
        """Return audit entries, newest first."""
        query = select(AUDIT).order_by(AUDIT.c.seq.desc()).limit(limit)
        with self.reading() as tx:
            return [
                AuditEntry.of(row)
                for row in tx.rows(query if subject is None else query.where(AUDIT.c.subject == subject))
            ]


def _found(tx: Transaction, invariant: str, query: Select[Any], detail: str) -> Iterator[Violation]:
    for row in tx.rows(query):
        yield Violation(invariant=invariant, subject=str(row[0]), detail=detail)


def _uniqueness(tx: Transaction) -> Iterator[Violation]:
    twice = select(DECISION.c.event_id).group_by(DECISION.c.model, DECISION.c.event_id).having(func.count() > 1)
    yield from _found(tx, "I1", twice, "a model decided more than once about this event")
    doubled = select(RETRAIN.c.decision_id).group_by(RETRAIN.c.decision_id).having(func.count() > 1)
    yield from _found(tx, "I2", doubled, "this decision started more than one retrain")
    joined = select(DECISION.c.decision_id).outerjoin(RETRAIN, RETRAIN.c.decision_id == DECISION.c.decision_id)
    started = RETRAIN.c.retrain_id.is_not(None)
    wrong = or_(and_(DECISION.c.outcome == "retrain", ~started), and_(DECISION.c.outcome == "wait", started))
    yield from _found(tx, "I2", joined.where(wrong), "a decision to retrain has no retrain, or one to wait has")


def _fences(tx: Transaction) -> Iterator[Violation]:
    trained = select(RETRAIN.c.retrain_id).outerjoin(ARTIFACT, ARTIFACT.c.retrain_id == RETRAIN.c.retrain_id)
    other = trained.where(ARTIFACT.c.fence != func.coalesce(RETRAIN.c.trained_fence, -1))
    yield from _found(tx, "I3", other, "its artifact carries another fence than the one that trained it")
    lacking = trained.where(RETRAIN.c.state.in_(_HAS_ARTIFACT), ARTIFACT.c.retrain_id.is_(None))
    yield from _found(tx, "I4", lacking, "it is trained and has no artifact")
    judged = select(RETRAIN.c.retrain_id).outerjoin(EVALUATION, EVALUATION.c.retrain_id == RETRAIN.c.retrain_id)
    unjudged = judged.where(RETRAIN.c.state.in_(_HAS_EVALUATION), EVALUATION.c.retrain_id.is_(None))
    yield from _found(tx, "I4", unjudged, "it is evaluated and has no evaluation")
    promoted = select(RETRAIN.c.retrain_id).outerjoin(PROMOTION, PROMOTION.c.retrain_id == RETRAIN.c.retrain_id)
    has = PROMOTION.c.retrain_id.is_not(None)
    wrong = or_(
        and_(RETRAIN.c.state == RetrainState.PROMOTED, ~has), and_(RETRAIN.c.state != RetrainState.PROMOTED, has)
    )
    yield from _found(
        tx, "I4", promoted.where(wrong), "it is promoted without a promotion, or has one without being so"
    )
    old = or_(ARTIFACT.c.fence > RETRAIN.c.fence, EVALUATION.c.fence != RETRAIN.c.fence)
    late = trained.outerjoin(EVALUATION, EVALUATION.c.retrain_id == RETRAIN.c.retrain_id).where(old)
    yield from _found(tx, "I6", late, "something was written under a fence that was not the holder's")


def _pointers(tx: Transaction) -> Iterator[Violation]:
    for model in tx.rows(select(MODEL)):
        moves = tx.rows(select(PROMOTION).where(PROMOTION.c.model == model.name).order_by(PROMOTION.c.revision))
        numbers = tx.rows(select(VERSION.c.version).where(VERSION.c.model == model.name).order_by(VERSION.c.version))
        if [move.revision for move in moves] != list(range(1, model.revision + 1)):
            yield Violation(invariant="I5", subject=model.name, detail=f"its promotions are not 1 to {model.revision}")
        if (moves[-1].version if moves else None) != model.champion_version:
            yield Violation(
                invariant="I5", subject=model.name, detail="its champion is not its last promotion's version"
            )
        if [row.version for row in numbers] != list(range(1, model.last_version + 1)):
            yield Violation(
                invariant="I5", subject=model.name, detail=f"its versions are not 1 to {model.last_version}"
            )


def _liveness(tx: Transaction, overdue: datetime) -> Iterator[Violation]:
    waiting = (RetrainState.REQUESTED, RetrainState.DISPATCHED, RetrainState.TRAINED)
    unheld = select(RETRAIN.c.retrain_id).where(RETRAIN.c.lease_until.is_(None))
    silent = unheld.outerjoin(OUTBOX, asks_for_next_attempt()).where(
        RETRAIN.c.state.in_(waiting), OUTBOX.c.seq.is_(None)
    )
    yield from _found(tx, "I7", silent, "it waits for a worker, and no message asks for one")
    running = unheld.where(RETRAIN.c.state == RetrainState.RUNNING)
    yield from _found(tx, "I7", running, "it is running without a lease")
    swept = (RetrainState.EVALUATED, RetrainState.CANCELLING)
    stuck = or_(
        and_(RETRAIN.c.lease_until < overdue, RETRAIN.c.state.not_in(sorted(TERMINAL))),
        and_(RETRAIN.c.lease_until.is_(None), RETRAIN.c.state.in_(swept), RETRAIN.c.updated_at < overdue),
    )
    yield from _found(tx, "I7", select(RETRAIN.c.retrain_id).where(stuck), "nobody moved it in time: does a sweep run?")


def _history(tx: Transaction) -> Iterator[Violation]:
    """Compare each retrain's state with its audit: the last arrow leads there, and nothing follows a terminal state."""
    actions = select(AUDIT.c.subject, AUDIT.c.action).where(AUDIT.c.action.like("retrain.%")).order_by(AUDIT.c.seq)
    last: dict[str, str] = {}
    for row in tx.rows(actions):
        if last.get(row.subject) in TERMINAL:
            yield Violation(
                invariant="I8", subject=row.subject, detail=f"{row.action} after it was {last[row.subject]}"
            )
        last[row.subject] = row.action.removeprefix("retrain.")
    for row in tx.rows(select(RETRAIN.c.retrain_id, RETRAIN.c.state)):
        if last.get(row.retrain_id) != row.state:
            told = last.get(row.retrain_id)
            yield Violation(
                invariant="I8", subject=row.retrain_id, detail=f"it is {row.state}, its audit ends with {told}"
            )


def _rows(tx: Transaction) -> Iterator[Violation]:
    lost = BATCH.c.rows_in != BATCH.c.rows_kept + BATCH.c.rows_quarantined
    uncounted = and_(BATCH.c.state == BatchState.INGESTED, BATCH.c.rows_in.is_(None))
    yield from _found(
        tx, "I10", select(BATCH.c.batch_id).where(or_(lost, uncounted)), "rows in are not kept + quarantined"
    )


def _chain(tx: Transaction) -> Iterator[Violation]:
    head: Row[Any] = tx.connection.execute(select(HEAD)).one()
    entries: Iterable[Row[Any]] = tx.connection.execute(select(AUDIT).order_by(AUDIT.c.seq))
    previous = ""
    for row in entries:
        told = {"seq": row.seq, "actor": row.actor, "action": row.action, "subject": row.subject, "detail": row.detail}
        if row.previous_hash != previous or row.hash != audit_hash(previous, recorded_at=row.recorded_at, **told):
            yield Violation(
                invariant="audit",
                subject=str(row.seq),
                detail="its hash does not follow from its content and the entry before",
            )
        previous = row.hash
    if head.audit_hash != previous:
        yield Violation(invariant="audit", subject="head", detail="the newest entries are missing")
