"""Questions that people ask: why, and where everything stands."""

from typing import Any

from sqlalchemy import Row, Table, and_, case, func, select

from ratoon.ledger.answers import DatasetStatus, ModelStatus, Status, WhyEntry
from ratoon.ledger.decisions import decisions_query
from ratoon.ledger.engine import Database, Transaction
from ratoon.ledger.events import concerns_model, is_undecided
from ratoon.ledger.records import DecisionRow, EvaluationRecord, Event, Promotion, Retrain
from ratoon.ledger.states import ACTIVE, BatchState
from ratoon.ledger.tables import (
    BATCH,
    DECISION,
    EVALUATION,
    EVENT,
    MODEL,
    OUTBOX,
    PROMOTION,
    RETRAIN,
)
from ratoon.ledger.versions import find_champion


class Questions(Database):
    """Why, and where everything stands."""

    def why(self, model: str, limit: int = 10) -> list[WhyEntry]:
        """Return a model's last decisions, newest first, with what caused each and what came of it."""
        tables = (DECISION, EVENT, RETRAIN, EVALUATION, PROMOTION)
        query = (
            select(*(column.label(f"{table.name}__{column.name}") for table in tables for column in table.c))
            .select_from(DECISION)
            .join(EVENT, EVENT.c.event_id == DECISION.c.event_id)
            .outerjoin(RETRAIN, RETRAIN.c.decision_id == DECISION.c.decision_id)
            .outerjoin(EVALUATION, EVALUATION.c.retrain_id == RETRAIN.c.retrain_id)
            .outerjoin(PROMOTION, PROMOTION.c.retrain_id == RETRAIN.c.retrain_id)
            .where(DECISION.c.model == model)
            .order_by(DECISION.c.number.desc())
            .limit(limit)
        )
        with self.reading() as tx:
            return [_entry(row) for row in tx.rows(query)]

    def status(self) -> Status:
        """Return where every model and dataset stands."""
        with self.reading() as tx:
            unsent = select(func.count()).select_from(OUTBOX).where(OUTBOX.c.sent_at.is_(None))
            return Status(
                models=[_model_status(tx, row) for row in tx.rows(select(MODEL).order_by(MODEL.c.name))],
                datasets=[DatasetStatus.of(row) for row in tx.rows(datasets_query())],
                unsent=tx.connection.execute(unsent).scalar_one(),
            )


def _entry(row: Row[Any]) -> WhyEntry:
    decision, event = _part(row, DECISION), _part(row, EVENT)
    retrain, evaluation, promotion = _part(row, RETRAIN), _part(row, EVALUATION), _part(row, PROMOTION)
    judged = None
    if evaluation["retrain_id"] is not None:
        judged = EvaluationRecord.model_validate({name: evaluation[name] for name in EvaluationRecord.model_fields})
    return WhyEntry(
        decision=DecisionRow.model_validate({**decision, "retrain_id": retrain["retrain_id"]}),
        event=Event.model_validate(event),
        retrain=None if retrain["retrain_id"] is None else Retrain.model_validate(retrain),
        evaluation=judged,
        promotion=None if promotion["model"] is None else Promotion.model_validate(promotion),
    )


def _part(row: Row[Any], table: Table) -> dict[str, Any]:
    found = row._asdict()
    return {column.name: found[f"{table.name}__{column.name}"] for column in table.c}


def _model_status(tx: Transaction, model: Row[Any]) -> ModelStatus:
    pending = select(func.count()).select_from(EVENT).join(MODEL, concerns_model())
    last = decisions_query().where(DECISION.c.model == model.name).order_by(DECISION.c.number.desc())
    active = tx.first(select(RETRAIN).where(RETRAIN.c.model == model.name, RETRAIN.c.state.in_(ACTIVE)))
    decision, champion = tx.first(last.limit(1)), find_champion(tx, model.name)
    return ModelStatus(
        model=model.name,
        dataset=model.dataset,
        revision=model.revision,
        champion_version=model.champion_version,
        promoted_at=None if champion is None else champion.promoted_at,
        data_until=None if champion is None else champion.data_until,
        pending_events=tx.connection.execute(pending.where(MODEL.c.name == model.name, is_undecided())).scalar_one(),
        active_retrain=None if active is None else Retrain.of(active),
        last_decision=None if decision is None else DecisionRow.of(decision),
    )


def datasets_query() -> Any:
    """Return the query for what each dataset took so far, by name."""

    def count(state: BatchState) -> Any:
        return func.sum(case((BATCH.c.state == state, 1), else_=0))

    of_rows = and_(BATCH.c.role == "rows", BATCH.c.state == BatchState.INGESTED)
    return (
        select(
            BATCH.c.dataset,
            count(BatchState.INGESTED).label("n_batches"),
            count(BatchState.REFUSED).label("n_refused"),
            func.sum(case((of_rows, BATCH.c.rows_kept), else_=0)).label("rows_kept"),
            func.sum(case((of_rows, BATCH.c.rows_quarantined), else_=0)).label("rows_quarantined"),
        )
        .group_by(BATCH.c.dataset)
        .order_by(BATCH.c.dataset)
    )
