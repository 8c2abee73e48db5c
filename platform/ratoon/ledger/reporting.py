"""What Dagster reads and marks: notices, and the retrains that it has not shown yet."""

from sqlalchemy import select

from ratoon.errors import NotFoundError
from ratoon.ledger.engine import Database
from ratoon.ledger.records import FeedItem, Retrain
from ratoon.ledger.states import TERMINAL
from ratoon.ledger.tables import NOTICE, RETRAIN


class Reporting(Database):
    """The ledger as Dagster sees it. Sequence numbers follow the order of commits, so that a cursor misses nothing."""

    def feed(self, after_seq: int = 0, limit: int = 100) -> list[FeedItem]:
        """Return the notices after a sequence number, oldest first."""
        query = select(NOTICE).where(NOTICE.c.seq > after_seq).order_by(NOTICE.c.seq).limit(limit)
        with self.reading() as tx:
            return [FeedItem.of(row) for row in tx.rows(query)]

    def unreported_retrains(self, *, after_seq: int = 0, limit: int = 100) -> list[Retrain]:
        """Return the retrains that have ended and were not reported, oldest first."""
        unreported = (RETRAIN.c.seq > after_seq, RETRAIN.c.reported_at.is_(None), RETRAIN.c.state.in_(sorted(TERMINAL)))
        with self.reading() as tx:
            return [
                Retrain.of(row)
                for row in tx.rows(select(RETRAIN).where(*unreported).order_by(RETRAIN.c.seq).limit(limit))
            ]

    def mark_run(self, retrain_id: str, dagster_run_id: str) -> None:
        """Note which Dagster run shows a retrain; a later run replaces an earlier one. Raises NotFoundError."""
        self._mark(retrain_id, dagster_run_id=dagster_run_id)

    def mark_reported(self, retrain_id: str) -> None:
        """Note that Dagster has shown how a retrain ended. Raises NotFoundError."""
        self._mark(retrain_id)

    def _mark(self, retrain_id: str, *, dagster_run_id: str | None = None) -> None:
        with self.writing() as tx:
            values = {"reported_at": tx.now} if dagster_run_id is None else {"dagster_run_id": dagster_run_id}
            if tx.change(RETRAIN, RETRAIN.c.retrain_id == retrain_id, **values) is None:
                raise NotFoundError(f"retrain {retrain_id!r} is not in the ledger, so Dagster can't have shown it")
