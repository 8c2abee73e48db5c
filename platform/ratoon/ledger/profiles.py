"""Which batches were profiled, in which bins, and what their diagnosis says."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from ratoon.ledger.engine import Database
from ratoon.ledger.records import Batch, ProfileRecord
from ratoon.ledger.states import BatchState
from ratoon.ledger.tables import BATCH, PROFILE

_OF_BATCH = ("rows_in", "rows_kept", "rows_quarantined", "event_time_min", "event_time_max")


class Profiles(Database):
    """The profiled batches of the ledger; the profiles themselves lie in the lake."""

    def record_profile(
        self,
        dataset: str,
        batch_id: str,
        *,
        as_of: datetime,
        binning: str,
        facts: dict[str, Any],
        diagnosis: dict[str, Any] | None,
    ) -> ProfileRecord:
        """Record that a batch was profiled; the first record of a batch stays and is returned.

        Args:
            dataset: The batch's dataset.
            batch_id: The batch.
            as_of: Its as-of time.
            binning: Digest of the bins.
            facts: What later diagnoses look back on, as JSON.
            diagnosis: Whether it looks broken, as JSON; None where there was nothing to compare it with.
        """
        with self.writing() as tx:
            tx.add_once(
                PROFILE,
                batch_id=batch_id,
                dataset=dataset,
                as_of=as_of,
                binning=binning,
                facts=facts,
                diagnosis=diagnosis,
                recorded_at=tx.now,
            )
            return ProfileRecord.of(tx.connection.execute(_profiles().where(PROFILE.c.batch_id == batch_id)).one())

    def profiles(
        self,
        dataset: str,
        *,
        limit: int | None = 100,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[ProfileRecord]:
        """Return a dataset's profiled batches, newest as-of time first.

        Args:
            dataset: The dataset.
            limit: Most records; None for all.
            since: None earlier than this as-of time.
            until: None later than this as-of time.
        """
        query = _profiles().where(PROFILE.c.dataset == dataset)
        if since is not None:
            query = query.where(PROFILE.c.as_of >= since)
        if until is not None:
            query = query.where(PROFILE.c.as_of <= until)
        with self.reading() as tx:
            rows = tx.rows(query.order_by(PROFILE.c.as_of.desc(), PROFILE.c.batch_id.desc()).limit(limit))
            return [ProfileRecord.of(row) for row in rows]

    def diagnosis(self, batch_id: str) -> dict[str, Any] | None:
        """Return what a batch's diagnosis says, or None where it has none."""
        with self.reading() as tx:
            found = tx.first(select(PROFILE.c.diagnosis).where(PROFILE.c.batch_id == batch_id))
            return None if found is None else found.diagnosis

    def unprofiled(self, dataset: str) -> list[Batch]:
        """Return the ingested batches that have no profile yet, oldest as-of time first; also those that kept no row."""
        query = (
            select(BATCH)
            .outerjoin(PROFILE, PROFILE.c.batch_id == BATCH.c.batch_id)
            .where(
                BATCH.c.dataset == dataset,
                BATCH.c.role == "rows",
                BATCH.c.state == BatchState.INGESTED,
                BATCH.c.rows_in > 0,
                PROFILE.c.batch_id.is_(None),
            )
            .order_by(BATCH.c.as_of, BATCH.c.batch_id)
        )
        with self.reading() as tx:
            return [Batch.of(row) for row in tx.rows(query)]


def _profiles() -> Select[Any]:
    return select(PROFILE, *(BATCH.c[name] for name in _OF_BATCH)).join(BATCH, BATCH.c.batch_id == PROFILE.c.batch_id)
