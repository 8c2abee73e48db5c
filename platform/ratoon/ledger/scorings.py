"""What was predicted, how well it turned out, and how far the data moved."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from ratoon.ledger.engine import Database
from ratoon.ledger.records import DriftRecord, Performance, Scoring
from ratoon.ledger.tables import DRIFT, PERFORMANCE, SCORING


class Scorings(Database):
    """The scorings, performances and drift reports of the ledger."""

    def record_scoring(
        self, model: str, version: int, batch_id: str, *, n_rows: int, lake_version: int, as_of: datetime
    ) -> Scoring:
        """Record that a version predicted a batch; the first record of a model and batch stays and is returned."""
        key = (SCORING.c.model == model, SCORING.c.batch_id == batch_id)
        with self.writing() as tx:
            tx.add_once(
                SCORING,
                model=model,
                batch_id=batch_id,
                version=version,
                n_rows=n_rows,
                lake_version=lake_version,
                as_of=as_of,
                recorded_at=tx.now,
            )
            return Scoring.of(tx.connection.execute(select(SCORING).where(*key)).one())

    def scorings(self, model: str, *, limit: int | None = None) -> list[Scoring]:
        """Return a model's scorings, newest as-of time first."""
        query = select(SCORING).where(SCORING.c.model == model).order_by(SCORING.c.as_of.desc(), SCORING.c.batch_id)
        with self.reading() as tx:
            return [Scoring.of(row) for row in tx.rows(query.limit(limit))]

    def record_performance(
        self,
        model: str,
        cohort: str,
        *,
        as_of: datetime,
        metric: str,
        value: float | None,
        n_rows: int,
        n_matured: int,
        version: int,
        details: dict[str, Any],
    ) -> None:
        """Record a cohort's metric; a later record of cohort and metric replaces it, since labels keep coming."""
        with self.writing() as tx:
            tx.put(
                PERFORMANCE,
                model=model,
                cohort=cohort,
                metric=metric,
                as_of=as_of,
                value=value,
                n_rows=n_rows,
                n_matured=n_matured,
                version=version,
                details=details,
                recorded_at=tx.now,
            )

    def open_performance(
        self,
        model: str,
        cohort: str,
        *,
        as_of: datetime,
        metric: str,
        n_rows: int,
        version: int,
        details: dict[str, Any],
    ) -> None:
        """Record a cohort of which no label is known yet; what is recorded of it already stays."""
        with self.writing() as tx:
            tx.add_once(
                PERFORMANCE,
                model=model,
                cohort=cohort,
                metric=metric,
                as_of=as_of,
                value=None,
                n_rows=n_rows,
                n_matured=0,
                version=version,
                details=details,
                recorded_at=tx.now,
            )

    def performance(self, model: str, *, limit: int | None = None) -> list[Performance]:
        """Return a model's performance per cohort and metric, in the order of their as-of times.

        Args:
            model: The model.
            limit: Most records, the newest ones; None for all.
        """
        order = (PERFORMANCE.c.as_of, PERFORMANCE.c.cohort, PERFORMANCE.c.metric)
        newest_first = (column.desc() for column in order)
        query = select(PERFORMANCE).where(PERFORMANCE.c.model == model).order_by(*newest_first).limit(limit)
        with self.reading() as tx:
            return [Performance.of(row) for row in tx.rows(query)][::-1]

    def record_drift(
        self, model: str, event_id: str, *, as_of: datetime, report: dict[str, Any], alpha: float | None = None
    ) -> None:
        """Record the drift report that the decision about an event looks at; measuring again replaces it.

        Args:
            model: The model.
            event_id: The event.
            as_of: When it was made.
            report: The report as JSON.
            alpha: What it spent of the budget of false alarms; None where nothing was judged.
        """
        about = {"model": model, "event_id": event_id, "as_of": as_of}
        with self.writing() as tx:
            tx.put(DRIFT, **about, alpha=alpha, report=report, recorded_at=tx.now)

    def drift_alphas(self, model: str, *, since: datetime, except_event: str) -> list[tuple[datetime, float]]:
        """Return when reports were made and what each spent of the budget of false alarms, oldest first.

        Args:
            model: The model.
            since: None earlier than this as-of time.
            except_event: The event that is looked at now: its own report is being made again.
        """
        wanted = (DRIFT.c.model == model, DRIFT.c.as_of >= since, DRIFT.c.event_id != except_event)
        query = select(DRIFT.c.as_of, DRIFT.c.alpha).where(*wanted, DRIFT.c.alpha.is_not(None)).order_by(DRIFT.c.as_of)
        with self.reading() as tx:
            return [(row.as_of, row.alpha) for row in tx.rows(query)]

    def drift(self, model: str, *, limit: int = 100) -> list[DriftRecord]:
        """Return a model's drift reports, newest as-of time first."""
        query = (
            select(DRIFT).where(DRIFT.c.model == model).order_by(DRIFT.c.as_of.desc(), DRIFT.c.event_id).limit(limit)
        )
        with self.reading() as tx:
            return [DriftRecord.of(row) for row in tx.rows(query)]
