"""The workers' signs of life."""

from datetime import timedelta

from sqlalchemy import delete, select

from ratoon.ledger.engine import Database
from ratoon.ledger.records import WorkerRow
from ratoon.ledger.tables import WORKER


class Workers(Database):
    """The workers of the ledger, as far as they told of themselves."""

    def beat(self, name: str) -> None:
        """Note that a worker lives."""
        with self.writing() as tx:
            tx.put(WORKER, name=name, seen_at=tx.now)

    def retire_worker(self, name: str) -> None:
        """Forget a worker that stops on purpose."""
        with self.writing() as tx:
            tx.connection.execute(delete(WORKER).where(WORKER.c.name == name))

    def workers(self) -> list[WorkerRow]:
        """Return the workers by name."""
        with self.reading() as tx:
            return [WorkerRow.of(row) for row in tx.rows(select(WORKER).order_by(WORKER.c.name))]

    def silent_workers(self, *, after_s: float) -> list[WorkerRow]:
        """Return the workers that gave no sign of life for so long, by name."""
        with self.reading() as tx:
            silent = WORKER.c.seen_at < tx.now - timedelta(seconds=after_s)
            return [WorkerRow.of(row) for row in tx.rows(select(WORKER).where(silent).order_by(WORKER.c.name))]
