"""Batches: each file's content is taken at most once."""

from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import and_, exists, or_, select

from ratoon.errors import ConflictError, FencedError, LedgerError, NotFoundError
from ratoon.identity import derive_id
from ratoon.instants import as_utc, format_instant
from ratoon.ledger.engine import Database, Transaction
from ratoon.ledger.events import append_event
from ratoon.ledger.records import Batch, BatchClaim, Event
from ratoon.ledger.states import BatchState
from ratoon.ledger.tables import BATCH

_EVENT_KINDS = {"rows": "batch.ingested", "labels": "labels.arrived"}


class Batches(Database):
    """The batches of the ledger."""

    def claim_batch(
        self,
        *,
        batch_id: str,
        dataset: str,
        role: Literal["rows", "labels"],
        digest: str,
        source_uri: str,
        as_of: datetime,
        owner: str,
        lease_s: float,
    ) -> BatchClaim:
        """Ask for the right to ingest a file's content.

        A claim whose lease ended may be taken over, and a refused batch may be tried again, each under a
        new fence.

        Returns:
            ``claimed`` with a fence; ``done`` when the content was ingested before; ``held`` while
            another owner ingests it.

        Raises:
            ConflictError: The same content of this dataset and role carries another batch id.
        """
        same = (
            BATCH.c.batch_id == batch_id,
            BATCH.c.dataset == dataset,
            BATCH.c.role == role,
            BATCH.c.digest == digest,
        )
        with self.writing() as tx:
            held = {
                "state": BatchState.CLAIMED,
                "owner": owner,
                "lease_until": tx.now + timedelta(seconds=lease_s),
                "source_uri": source_uri,
                "as_of": as_of,
                "claimed_at": tx.now,
            }
            if tx.add_once(BATCH, batch_id=batch_id, dataset=dataset, role=role, digest=digest, fence=1, **held):
                return BatchClaim(status="claimed", fence=1)
            free = or_(
                BATCH.c.state == BatchState.REFUSED,
                and_(BATCH.c.state == BatchState.CLAIMED, BATCH.c.lease_until <= tx.now),
            )
            renewed = {"fence": BATCH.c.fence + 1, "error": None, "finished_at": None}
            row = tx.change(BATCH, *same, free, **held, **renewed)
            if row is not None:
                return BatchClaim(status="claimed", fence=row.fence)
            row = tx.first(select(BATCH.c.state).where(*same))
        if row is None:
            raise ConflictError(
                f"batch {batch_id} of {dataset} can't be claimed: its content {digest[:12]} or its id is already taken "
                "by another batch; expected one batch id per dataset, role and content digest"
            )
        return BatchClaim(status="done" if row.state == BatchState.INGESTED else "held")

    def finish_batch(
        self,
        batch_id: str,
        fence: int,
        *,
        as_of: datetime,
        rows_in: int,
        rows_kept: int,
        rows_quarantined: int,
        lake_version: int | None,
        quarantine_version: int | None,
        event_time_min: datetime | None,
        event_time_max: datetime | None,
        bytes: int,  # noqa: A002 - the column's name
        contract_digest: str,
    ) -> Event:
        """Mark a batch ingested and record its event, in one transaction; the same holder may say so twice.

        Raises:
            FencedError: Another owner took the batch over, or it was refused.
            LedgerError: Rows in are not rows kept plus rows quarantined.
        """
        if rows_in != rows_kept + rows_quarantined:
            raise LedgerError(
                f"batch {batch_id} lost rows: {rows_in} in, {rows_kept} kept, {rows_quarantined} quarantined; "
                "expected kept + quarantined = in"
            )
        counts: dict[str, Any] = {
            "rows_in": rows_in,
            "rows_kept": rows_kept,
            "rows_quarantined": rows_quarantined,
            "lake_version": lake_version,
            "quarantine_version": quarantine_version,
            "bytes": bytes,
            "contract_digest": contract_digest,
        }
        times = {"event_time_min": event_time_min, "event_time_max": event_time_max}
        with self.writing() as tx:
            row = self._end(tx, batch_id, fence, BatchState.INGESTED, as_of=as_of, **counts, **times)
            kind = _EVENT_KINDS[row.role]
            texts = {name: None if at is None else format_instant(as_utc(at)) for name, at in times.items()}
            data = {"batch_id": batch_id, "digest": row.digest, "source_uri": row.source_uri, **counts, **texts}
            event_id = derive_id("event", kind, batch_id)
            return append_event(
                tx, event_id=event_id, kind=kind, subject=row.dataset, as_of=row.as_of, data=data, cause=batch_id
            )

    def refuse_batch(self, batch_id: str, fence: int, *, error: dict[str, Any]) -> Event:
        """Set a batch aside whole and record ``batch.refused``, which asks for no decision.

        Raises:
            FencedError: Another owner took the batch over, or it was ingested.
        """
        with self.writing() as tx:
            row = self._end(tx, batch_id, fence, BatchState.REFUSED, error=error)
            data = {"batch_id": batch_id, "digest": row.digest, "source_uri": row.source_uri, "error": error}
            event_id = derive_id("event", "batch.refused", batch_id, str(fence))
            return append_event(
                tx,
                event_id=event_id,
                kind="batch.refused",
                subject=row.dataset,
                as_of=row.as_of,
                data=data,
                cause=batch_id,
            )

    def note_duplicate(self, batch_id: str, source_uri: str) -> None:
        """Audit that a file came whose content was ingested before; nothing else changes."""
        with self.writing() as tx:
            tx.audit("batch.duplicate", batch_id, source_uri=source_uri)

    def batch(self, batch_id: str) -> Batch | None:
        """Return a batch, or None."""
        with self.reading() as tx:
            row = tx.first(select(BATCH).where(BATCH.c.batch_id == batch_id))
        return None if row is None else Batch.of(row)

    def batches(self, dataset: str, *, role: str | None = None, limit: int | None = None) -> list[Batch]:
        """Return a dataset's batches, newest as-of time first."""
        query = (
            select(BATCH)
            .where(BATCH.c.dataset == dataset)
            .order_by(BATCH.c.as_of.desc(), BATCH.c.batch_id)
            .limit(limit)
        )
        with self.reading() as tx:
            return [Batch.of(row) for row in tx.rows(query if role is None else query.where(BATCH.c.role == role))]

    def pending_batches_exist(self, dataset: str) -> bool:
        """Return whether a batch of the dataset is claimed and not finished."""
        query = select(exists().where(BATCH.c.dataset == dataset, BATCH.c.state == BatchState.CLAIMED))
        with self.reading() as tx:
            return bool(tx.connection.execute(query).scalar_one())

    def _end(self, tx: Transaction, batch_id: str, fence: int, state: BatchState, **values: Any) -> Any:
        mine = (BATCH.c.batch_id == batch_id, BATCH.c.fence == fence)
        ended = {"state": state, "lease_until": None, "finished_at": tx.now}
        row = tx.change(BATCH, *mine, BATCH.c.state == BatchState.CLAIMED, **ended, **values)
        if row is not None:
            tx.audit(f"batch.{state}", batch_id, actor=row.owner, fence=fence)
            return row
        row = tx.first(select(BATCH).where(BATCH.c.batch_id == batch_id))
        if row is None:
            raise NotFoundError(f"batch {batch_id} is not in the ledger; claim it first")
        if row.state == state and row.fence == fence:
            return row
        raise FencedError(
            f"batch {batch_id} is {row.state} under fence {row.fence}; this holder has fence {fence}: stop at once"
        )
