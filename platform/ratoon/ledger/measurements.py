"""The ledger in figures: what a monitoring system asks for every few seconds, one query per family."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, select

from ratoon.ledger.engine import Database, Transaction
from ratoon.ledger.questions import datasets_query
from ratoon.ledger.records import WorkerRow
from ratoon.ledger.states import ACTIVE, TERMINAL
from ratoon.ledger.tables import (
    ALERT,
    ALERT_DELIVERY,
    DECISION,
    DRIFT,
    EVALUATION,
    MODEL,
    OUTBOX,
    PERFORMANCE,
    RETRAIN,
    VERSION,
    WORKER,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChampionFigures:
    """A model's champion. ``version`` is 0 and the others are None while there is none."""

    model: str
    version: int
    data_until: datetime | None
    promoted_metric: float | None
    has_active_retrain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceFigures:
    """A champion's metric over its own cohorts, weighted by matured rows. ``maturity`` is 0..1."""

    model: str
    metric: str
    value: float | None
    n_matured: int
    maturity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFigures:
    """A model's newest drift report."""

    model: str
    n_drifted: int
    worst_score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFigures:
    """What a dataset took so far."""

    dataset: str
    n_batches: int
    n_refused: int
    rows_kept: int
    rows_quarantined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The ledger in figures, at ``now``. Counts are keyed by model and outcome, or by severity."""

    now: datetime
    champions: list[ChampionFigures]
    retrains: dict[tuple[str, str], int]
    decisions: dict[tuple[str, str], int]
    performance: list[PerformanceFigures]
    drift: list[DriftFigures]
    datasets: list[DatasetFigures]
    alerts: dict[str, int]
    undelivered: int
    unsent: int
    workers: list[WorkerRow]


class Measurements(Database):
    """The ledger in figures."""

    def figures(self) -> Figures:
        """Return the figures, read in one transaction; the cost is one query per family."""
        with self.reading() as tx:
            unsent = select(func.count()).select_from(OUTBOX).where(OUTBOX.c.sent_at.is_(None))
            failing = (ALERT_DELIVERY.c.delivered_at.is_(None), ALERT_DELIVERY.c.error.is_not(None))
            severities = select(ALERT.c.severity, func.count()).where(ALERT.c.state == "open")
            return Figures(
                now=tx.now,
                champions=_champions(tx),
                retrains=_counts(tx, RETRAIN.c.state, RETRAIN.c.state.in_(sorted(TERMINAL))),
                decisions=_counts(tx, DECISION.c.outcome),
                performance=_performance(tx),
                drift=_drift(tx),
                datasets=_datasets(tx),
                alerts=dict(map(tuple, tx.rows(severities.group_by(ALERT.c.severity)))),
                undelivered=_scalar(tx, select(func.count()).select_from(ALERT_DELIVERY).where(*failing)),
                unsent=_scalar(tx, unsent),
                workers=[WorkerRow.of(row) for row in tx.rows(select(WORKER).order_by(WORKER.c.name))],
            )


def _scalar(tx: Transaction, query: Any) -> int:
    return int(tx.connection.execute(query).scalar_one())


def _counts(tx: Transaction, outcome: Any, *where: Any) -> dict[tuple[str, str], int]:
    model = outcome.table.c.model
    query = select(model, outcome.label("outcome"), func.count().label("n")).where(*where).group_by(model, outcome)
    return {(row.model, row.outcome): row.n for row in tx.rows(query.order_by(model, outcome))}


def _champions(tx: Transaction) -> list[ChampionFigures]:
    active = and_(RETRAIN.c.model == MODEL.c.name, RETRAIN.c.state.in_(ACTIVE))
    is_champion = and_(VERSION.c.model == MODEL.c.name, VERSION.c.version == MODEL.c.champion_version)
    query = (
        select(MODEL.c.name, MODEL.c.champion_version, VERSION.c.data_until, EVALUATION.c.metrics, RETRAIN.c.retrain_id)
        .outerjoin(VERSION, is_champion)
        .outerjoin(EVALUATION, EVALUATION.c.retrain_id == VERSION.c.retrain_id)
        .outerjoin(RETRAIN, active)
        .order_by(MODEL.c.name)
    )
    return [
        ChampionFigures(
            model=row.name,
            version=row.champion_version or 0,
            data_until=row.data_until,
            promoted_metric=(row.metrics or {}).get("candidate"),
            has_active_retrain=row.retrain_id is not None,
        )
        for row in tx.rows(query)
    ]


def _performance(tx: Transaction) -> list[PerformanceFigures]:
    known = case((PERFORMANCE.c.value.is_not(None), PERFORMANCE.c.n_matured), else_=0)
    query = (
        select(
            PERFORMANCE.c.model,
            PERFORMANCE.c.metric,
            func.sum(PERFORMANCE.c.value * PERFORMANCE.c.n_matured).label("weighted"),
            func.sum(known).label("n_known"),
            func.sum(PERFORMANCE.c.n_matured).label("n_matured"),
            func.sum(PERFORMANCE.c.n_rows).label("n_rows"),
        )
        .join(MODEL, and_(MODEL.c.name == PERFORMANCE.c.model, MODEL.c.champion_version == PERFORMANCE.c.version))
        .group_by(PERFORMANCE.c.model, PERFORMANCE.c.metric)
        .order_by(PERFORMANCE.c.model, PERFORMANCE.c.metric)
    )
    return [
        PerformanceFigures(
            model=row.model,
            metric=row.metric,
            value=float(row.weighted) / int(row.n_known) if row.n_known else None,
            n_matured=int(row.n_matured),
            maturity=int(row.n_matured) / int(row.n_rows) if row.n_rows else 0.0,
        )
        for row in tx.rows(query)
    ]


def _datasets(tx: Transaction) -> list[DatasetFigures]:
    # PostgreSQL sums big integers as decimals.
    return [
        DatasetFigures(
            dataset=row.dataset,
            n_batches=int(row.n_batches),
            n_refused=int(row.n_refused),
            rows_kept=int(row.rows_kept),
            rows_quarantined=int(row.rows_quarantined),
        )
        for row in tx.rows(datasets_query())
    ]


def _drift(tx: Transaction) -> list[DriftFigures]:
    newest = func.row_number().over(partition_by=DRIFT.c.model, order_by=(DRIFT.c.as_of.desc(), DRIFT.c.event_id))
    ranked = select(DRIFT.c.model, DRIFT.c.event_id, newest.label("rank")).subquery()
    mine = and_(ranked.c.model == DRIFT.c.model, ranked.c.event_id == DRIFT.c.event_id, ranked.c.rank == 1)
    query = select(DRIFT.c.model, DRIFT.c.report).join(ranked, mine).order_by(DRIFT.c.model)
    return [
        DriftFigures(model=row.model, n_drifted=len(row.report.get("drifted", [])), worst_score=_worst(row.report))
        for row in tx.rows(query)
        if row.report.get("judged")
    ]


def _worst(report: dict[str, Any]) -> float | None:
    scores = [column["score"] for column in report.get("columns", []) if column.get("score") is not None]
    return max(scores, default=None)
