"""Takes what has landed into the lake, each content exactly once."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import polars as pl

from ratoon.arrivals import Arrival, FolderSourceAdapter, Source
from ratoon.bootstrap import Ratoon
from ratoon.contracts import Limits, Validation, label_contract, read_batch, replayable, validate
from ratoon.contracts.spec import Contract
from ratoon.declarations import DatasetSpec, FolderSource
from ratoon.diagnosis import diagnosis_of_refusal
from ratoon.errors import ConfigError, ConflictError, DataError, UnreadableFileError
from ratoon.identity import derive_id, digest_file, digest_json
from ratoon.ledger.records import Batch
from ratoon.ledger.states import BatchState
from ratoon.loop.clock import decision_time
from ratoon.loop.faults import alert_about
from ratoon.loop.reports import BatchReport

_LEASE_S = 120
"""After a crash its file waits so long. A file that takes longer may be begun twice, and is taken once."""

_QUARANTINE = "quarantine"
Role = Literal["rows", "labels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inlet:
    """One landing folder of a dataset with the contract of its files."""

    role: Role
    source: Source
    contract: Contract
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claimed:
    """A file that this process may ingest."""

    batch_id: str
    fence: int
    digest: str
    as_of: datetime


def ingest_arrivals(
    app: Ratoon, dataset: str, *, limit: int = 500, on_batch: Callable[[BatchReport], None] | None = None
) -> list[BatchReport]:
    """Take every waiting file of a dataset: kept rows to its table, bad rows to quarantine, or the file aside whole.

    Files are taken in the order of their modification time. A crash at any point and a second call leave every
    row exactly once: appends compare the batch id, and the ledger's row is written last.

    Args:
        app: The application.
        dataset: A declared dataset.
        limit: Most files per folder; the rest waits for the next call.
        on_batch: Is told of each file as it is done.

    Returns:
        One report per file.

    Raises:
        NotFoundError: The dataset is not declared.
        BackendError: The ledger or the lake can't be reached; the files stay where they are.
    """
    reports = []
    for inlet, arrival in _waiting(app, app.dataset(dataset), limit):
        report = _take(app, dataset, inlet, arrival)
        if report is None:
            continue
        reports.append(report)
        if on_batch is not None:
            on_batch(report)
    return reports


def replay_quarantine(app: Ratoon, dataset: str) -> BatchReport | None:
    """Validate a dataset's quarantined rows again under the present contract and take those that now hold.

    They become a batch of their own, named by its rows' keys. Rows that still fail stay in quarantine, and so do rows
    whose key is in the dataset already: what was a duplicate then is one now. A replay that a crash cut short is ended
    first, by a batch with the rows that it had stored.

    Args:
        app: The application.
        dataset: A declared dataset.

    Returns:
        The report of the new batch, or None when no row of the quarantine holds, or another process takes them now.
    """
    spec = app.dataset(dataset)
    rows = app.lake.scan_rows(dataset, contract=spec.contract)
    batches = app.ledger.batches(dataset, role="rows")
    begun = next((batch for batch in batches if _is_begun_replay(batch)), None)
    stored = None if begun is None else rows.filter(pl.col("_batch") == begun.batch_id).collect()
    if begun is not None and stored is not None and not stored.is_empty():
        # A crash came between lake and ledger: these rows are this batch, whatever else would hold now.
        kept, digest, as_of = stored, begun.digest, begun.as_of
    else:
        waiting = app.lake.scan_quarantine(dataset).filter(pl.col("_batch").is_in([one.batch_id for one in batches]))
        key = spec.contract.entity_key
        kept = (
            replayable(waiting.collect(), spec.contract)
            .kept.lazy()
            .join(rows.select(key), on=key, how="anti")
            .collect()
        )
        digest, as_of = digest_json(kept.select(key).cast(pl.String).rows()), decision_time(app, dataset)
    claimed = None if kept.is_empty() else _claim(app, dataset, "rows", digest, _QUARANTINE, as_of)
    if claimed is None:
        return None
    version = app.lake.append_rows(dataset, claimed.batch_id, kept.drop("_batch", "_as_of", strict=False), as_of=as_of)
    return _finish(app, spec.contract, claimed, _QUARANTINE, "rows", kept, 0, {}, version, None, size=0)


def _is_begun_replay(batch: Batch) -> bool:
    return batch.state == BatchState.CLAIMED and batch.source_uri == _QUARANTINE


def _waiting(app: Ratoon, spec: DatasetSpec, limit: int) -> list[tuple[_Inlet, Arrival]]:
    now = app.clock()
    found = [(inlet, arrival) for inlet in _inlets(app, spec) for arrival in inlet.source.pending(now, limit)]
    return sorted(found, key=lambda pair: (pair[1].modified_at, pair[0].role, pair[1].name))


def _inlets(app: Ratoon, spec: DatasetSpec) -> list[_Inlet]:
    inlets = [_inlet(app, "rows", spec.source, spec.contract)]
    if spec.labels is not None:
        inlets.append(_inlet(app, "labels", spec.labels, label_contract(spec.contract)))
    return inlets


def _inlet(app: Ratoon, role: Role, source: FolderSource, contract: Contract) -> _Inlet:
    adapter = FolderSourceAdapter(source, app.settings.inbox)
    adapter.prepare()
    limits = Limits(max_bytes=source.max_bytes, max_rows=source.max_rows)
    return _Inlet(role=role, source=adapter, contract=contract, limits=limits)


def _take(app: Ratoon, dataset: str, inlet: _Inlet, arrival: Arrival) -> BatchReport | None:
    as_of = arrival.modified_at if app.settings.clock == "event" else app.clock()
    try:
        path = inlet.source.open(arrival)
    except ConflictError:
        return None  # it changed since it was listed: the next call lists it again
    except UnreadableFileError as exc:
        return _refuse_unopened(dataset, inlet, arrival, as_of, exc)
    digest = digest_file(path)
    claimed = _claim(app, dataset, inlet.role, digest, arrival.uri, as_of)
    if claimed is None:
        return _settle_known(app, dataset, inlet, arrival, digest, as_of)
    try:
        validation = validate(read_batch(path, inlet.contract, inlet.limits), inlet.contract)
    except (DataError, ConfigError) as exc:
        alert_about(app, dataset, diagnosis_of_refusal(claimed.batch_id, exc), as_of=claimed.as_of)
        app.ledger.refuse_batch(claimed.batch_id, claimed.fence, error=exc.to_record())
        inlet.source.refuse(arrival, digest, exc.to_record())
        return _report(claimed, arrival.name, inlet.role, "refused", error=exc.to_record())
    report = _store(app, dataset, inlet, arrival, claimed, validation)
    inlet.source.accept(arrival, digest)
    return report


def _refuse_unopened(
    dataset: str, inlet: _Inlet, arrival: Arrival, as_of: datetime, exc: UnreadableFileError
) -> BatchReport:
    """Set aside what is no plain file (a link, say): it has no content that the ledger could know."""
    inlet.source.refuse(arrival, None, exc.to_record())
    batch_id = derive_id("batch", dataset, inlet.role, arrival.uri)
    return BatchReport(
        batch_id=batch_id,
        name=arrival.name,
        role=inlet.role,
        status="refused",
        digest="",
        as_of=as_of,
        error=exc.to_record(),
    )


def _claim(app: Ratoon, dataset: str, role: Role, digest: str, uri: str, as_of: datetime) -> _Claimed | None:
    batch_id = derive_id("batch", dataset, role, digest)
    claim = app.ledger.claim_batch(
        batch_id=batch_id,
        dataset=dataset,
        role=role,
        digest=digest,
        source_uri=uri,
        as_of=as_of,
        owner=f"{socket.gethostname()}:{os.getpid()}",
        lease_s=_LEASE_S,
    )
    if claim.status != "claimed":
        return None
    return _Claimed(batch_id=batch_id, fence=claim.fence, digest=digest, as_of=as_of)


def _settle_known(
    app: Ratoon, dataset: str, inlet: _Inlet, arrival: Arrival, digest: str, as_of: datetime
) -> BatchReport:
    """Set a file aside whose content is in the lake already; one that another process holds stays."""
    batch_id = derive_id("batch", dataset, inlet.role, digest)
    known = app.ledger.batch(batch_id)
    done = known is not None and known.state == BatchState.INGESTED
    if done:
        app.ledger.note_duplicate(batch_id, arrival.uri)
        inlet.source.accept(arrival, digest)
    return BatchReport(
        batch_id=batch_id,
        name=arrival.name,
        role=inlet.role,
        status="duplicate" if done else "held",
        digest=digest,
        as_of=as_of,
    )


def _store(
    app: Ratoon, dataset: str, inlet: _Inlet, arrival: Arrival, claimed: _Claimed, validation: Validation
) -> BatchReport:
    append = app.lake.append_rows if inlet.role == "rows" else app.lake.append_labels
    version = append(dataset, claimed.batch_id, validation.kept, as_of=claimed.as_of)
    quarantine = app.lake.append_quarantine(dataset, claimed.batch_id, validation.quarantined, as_of=claimed.as_of)
    return _finish(
        app,
        inlet.contract,
        claimed,
        arrival.name,
        inlet.role,
        validation.kept,
        validation.quarantined.height,
        validation.counts,
        version,
        quarantine,
        size=arrival.size,
    )


def _finish(
    app: Ratoon,
    contract: Contract,
    claimed: _Claimed,
    name: str,
    role: Role,
    kept: pl.DataFrame,
    n_quarantined: int,
    reasons: dict[str, int],
    version: int,
    quarantine: int | None,
    *,
    size: int,
) -> BatchReport:
    times = kept.select(low=pl.col(contract.event_time).min(), high=pl.col(contract.event_time).max()).row(0)
    app.ledger.finish_batch(
        claimed.batch_id,
        claimed.fence,
        as_of=claimed.as_of,
        rows_in=kept.height + n_quarantined,
        rows_kept=kept.height,
        rows_quarantined=n_quarantined,
        lake_version=version,
        quarantine_version=quarantine,
        event_time_min=times[0],
        event_time_max=times[1],
        bytes=size,
        contract_digest=digest_json(contract.to_json()),
    )
    return _report(
        claimed,
        name,
        role,
        "accepted",
        rows_in=kept.height + n_quarantined,
        rows_kept=kept.height,
        rows_quarantined=n_quarantined,
        reasons=reasons,
        lake_version=version,
        quarantine_version=quarantine,
    )


def _report(
    claimed: _Claimed, name: str, role: Role, status: Literal["accepted", "refused"], **found: object
) -> BatchReport:
    return BatchReport(
        batch_id=claimed.batch_id,
        name=name,
        role=role,
        status=status,
        digest=claimed.digest,
        as_of=claimed.as_of,
        **found,  # type: ignore[arg-type]
    )
