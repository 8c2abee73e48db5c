"""What the use cases tell whoever called them. Values only; the ledger holds the truth."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What became of one file.

    Attributes:
        status: ``duplicate``: this content was ingested before · ``held``: somebody else is ingesting it now.
        reasons: Quarantined rows by reason; a row with two reasons counts twice.
        error: The record of the error that refused the file whole.
    """

    batch_id: str
    name: str
    role: Literal["rows", "labels"]
    status: Literal["accepted", "refused", "duplicate", "held"]
    digest: str
    as_of: datetime
    rows_in: int = 0
    rows_kept: int = 0
    rows_quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    lake_version: int | None = None
    quarantine_version: int | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileReport:
    """One batch's profile in short: per column what :func:`ratoon.profiles.summary` says.

    ``diagnosis`` is the batch's diagnosis as JSON; None while there is nothing to compare it with.
    """

    batch_id: str
    as_of: datetime
    n_rows: int
    columns: list[dict[str, Any]]
    binning_digest: str
    diagnosis: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What the loop did about one event of one model.

    Attributes:
        predictions: ``n_rows``, ``version``, ``batch_id``, ``lake_version``, ``score_mean``; None where nothing was scored.
        performance: One entry per cohort whose labels changed.
        drift: The drift report as JSON; None where there is no champion to compare with.
        diagnosis: Whether the batch looks broken, as JSON; None where it could not be compared with earlier ones.
        decision: ``id``, ``outcome``, ``reason``.
    """

    event_id: str
    kind: str
    as_of: datetime
    predictions: dict[str, Any] | None = None
    performance: list[dict[str, Any]] | None = None
    drift: dict[str, Any] | None = None
    diagnosis: dict[str, Any] | None = None
    decision: dict[str, Any] | None = None
    retrain_id: str | None = None
