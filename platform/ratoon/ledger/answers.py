"""What the ledger answers to questions: values put together from several tables."""

from typing import Any, Literal

from ratoon.instants import Instant
from ratoon.ledger.records import DecisionRow, EvaluationRecord, Event, Promotion, Record, Retrain


class WhyEntry(Record):
    """One decision, what caused it and what came of it."""

    decision: DecisionRow
    event: Event
    retrain: Retrain | None
    evaluation: EvaluationRecord | None
    promotion: Promotion | None


class LineageBatch(Record):
    """A file whose rows or labels stand behind a version."""

    batch_id: str
    role: Literal["rows", "labels"]
    digest: str
    source_uri: str
    rows_kept: int
    lake_version: int
    as_of: Instant


class LineageScoring(Record):
    """A batch that a version predicted."""

    batch_id: str
    n_rows: int
    lake_version: int
    as_of: Instant


class Lineage(Record):
    """What stands behind a version of a model, and what it predicted.

    ``batches`` are the ingested files up to the lake versions that the training read, oldest first;
    ``data`` says which window of them was used.
    """

    model: str
    version: int
    dataset: str
    is_champion: bool
    retrain_id: str
    artifact_digest: str
    event: dict[str, Any]
    decision: dict[str, Any]
    data: dict[str, Any]
    code: dict[str, Any]
    params: dict[str, Any]
    evaluation: dict[str, Any]
    promotions: list[Promotion]
    batches: list[LineageBatch]
    scorings: list[LineageScoring]


class ModelStatus(Record):
    """Where one model stands."""

    model: str
    dataset: str
    revision: int
    champion_version: int | None
    promoted_at: Instant | None
    data_until: Instant | None
    pending_events: int
    active_retrain: Retrain | None
    last_decision: DecisionRow | None


class DatasetStatus(Record):
    """What a dataset took so far."""

    dataset: str
    n_batches: int
    n_refused: int
    rows_kept: int
    rows_quarantined: int


class Status(Record):
    """Where everything stands. ``unsent`` is the number of messages that did not reach the broker yet."""

    models: list[ModelStatus]
    datasets: list[DatasetStatus]
    unsent: int


class ReconcileReport(Record):
    """What a sweep repaired: ids of retrains."""

    redispatched: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    concluded: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()

    @property
    def is_quiet(self) -> bool:
        """Whether there was nothing to repair."""
        return not (self.redispatched or self.failed or self.concluded or self.cancelled)


class ReplayMismatch(Record):
    """A decision that does not come out again from what the ledger kept."""

    decision_id: str
    model: str
    field: Literal["decision", "state_after", "state_before"]
    stored: str
    recomputed: str


class Violation(Record):
    """A broken invariant: which one, about which object, and what is wrong."""

    invariant: str
    subject: str
    detail: str
