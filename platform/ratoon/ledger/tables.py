"""The ledger's tables. These classes are rows; what leaves the ledger are :mod:`ratoon.ledger.records`."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Index, MetaData, Table, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from ratoon.ledger.columns import CanonicalJson, UtcInstant
from ratoon.ledger.states import ACTIVE

_ACTIVE_SQL = text("state IN (" + ", ".join(f"'{state}'" for state in ACTIVE) + ")")
_OPEN_SQL = text("state = 'open'")


class LedgerTable(SQLModel):
    """Root of the ledger's tables, with a metadata of their own, so that no other library's tables mix in."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def _json(*, nullable: bool = False) -> Any:
    return Field(default=None, sa_type=CanonicalJson, nullable=nullable)


def _instant(*, nullable: bool = False) -> Any:
    return Field(default=None, sa_type=UtcInstant, nullable=nullable)


def _big(*, nullable: bool = False, primary_key: bool = False) -> Any:
    key: dict[str, Any] = {"autoincrement": False} if primary_key else {}
    return Field(default=None, sa_type=BigInteger, nullable=nullable, primary_key=primary_key, sa_column_kwargs=key)


class HeadTable(LedgerTable, table=True):
    """One row: the last sequence number and the last audit hash. Its row lock gives every list its commit order."""

    __tablename__ = "ledger_head"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    seq: int = _big()
    audit_hash: str


class BatchTable(LedgerTable, table=True):
    """A file's content, taken at most once per dataset and role."""

    __tablename__ = "batch"
    __table_args__ = (
        UniqueConstraint("dataset", "role", "digest"),
        CheckConstraint("rows_in IS NULL OR rows_in = rows_kept + rows_quarantined", name="no_row_is_lost"),
        Index(None, "dataset", "role", "lake_version"),
    )

    batch_id: str = Field(primary_key=True)
    dataset: str
    role: str
    digest: str
    source_uri: str
    state: str
    as_of: datetime = _instant()
    owner: str
    fence: int
    lease_until: datetime | None = _instant(nullable=True)
    rows_in: int | None = _big(nullable=True)
    rows_kept: int | None = _big(nullable=True)
    rows_quarantined: int | None = _big(nullable=True)
    lake_version: int | None = _big(nullable=True)
    quarantine_version: int | None = _big(nullable=True)
    event_time_min: datetime | None = _instant(nullable=True)
    event_time_max: datetime | None = _instant(nullable=True)
    bytes: int | None = _big(nullable=True)
    contract_digest: str | None = None
    error: dict[str, Any] | None = _json(nullable=True)
    claimed_at: datetime = _instant()
    finished_at: datetime | None = _instant(nullable=True)


class EventTable(LedgerTable, table=True):
    """A fact, recorded once under its id."""

    __tablename__ = "event"
    __table_args__ = (UniqueConstraint("seq"), Index(None, "kind", "subject", "as_of"))

    event_id: str = Field(primary_key=True)
    seq: int = _big()
    kind: str
    subject: str
    as_of: datetime = _instant()
    data: dict[str, Any] = _json()
    payload_digest: str
    cause: str | None = None
    recorded_at: datetime = _instant()


class ModelTable(LedgerTable, table=True):
    """A model: its champion pointer with the revision that guards it, and its policy's memory."""

    __tablename__ = "model"

    name: str = Field(primary_key=True)
    dataset: str = Field(index=True)
    revision: int
    champion_version: int | None = None
    last_version: int
    decision_count: int
    policy_state: dict[str, Any] = _json()
    created_at: datetime = _instant()


class DecisionTable(LedgerTable, table=True):
    """One decision with everything that it was made of."""

    __tablename__ = "decision"
    __table_args__ = (UniqueConstraint("model", "event_id"), UniqueConstraint("model", "number"))

    decision_id: str = Field(primary_key=True)
    seq: int = _big()
    model: str
    event_id: str = Field(index=True)
    number: int
    outcome: str
    reason: str
    as_of: datetime = _instant()
    policy: dict[str, Any] = _json()
    policy_digest: str
    state_before: dict[str, Any] = _json()
    state_after: dict[str, Any] = _json()
    signals: dict[str, Any] = _json()
    decision: dict[str, Any] = _json()
    evidence: dict[str, Any] = _json()
    recorded_at: datetime = _instant()


class RetrainTable(LedgerTable, table=True):
    """One retrain on its way through the states."""

    __tablename__ = "retrain"
    __table_args__ = (
        UniqueConstraint("seq"),
        Index("uq_retrain_active_model", "model", unique=True, sqlite_where=_ACTIVE_SQL, postgresql_where=_ACTIVE_SQL),
        Index(None, "model", "seq"),
        Index(None, "state"),
        Index(None, "finished_at"),
    )

    retrain_id: str = Field(primary_key=True)
    seq: int = _big()
    decision_id: str = Field(unique=True)
    model: str
    dataset: str
    state: str
    as_of: datetime = _instant()
    queue: str
    spec_digest: str
    order: dict[str, Any] = _json()
    deadline_s: float
    max_attempts: int
    attempt: int
    fence: int
    trained_fence: int | None = None
    owner: str | None = None
    lease_until: datetime | None = _instant(nullable=True)
    deadline_at: datetime | None = _instant(nullable=True)
    base_revision: int | None = None
    verdict: str | None = None
    progress: dict[str, Any] | None = _json(nullable=True)
    error: dict[str, Any] | None = _json(nullable=True)
    dagster_run_id: str | None = None
    reported_at: datetime | None = _instant(nullable=True)
    requested_at: datetime = _instant()
    started_at: datetime | None = _instant(nullable=True)
    updated_at: datetime = _instant()
    finished_at: datetime | None = _instant(nullable=True)


class ArtifactTable(LedgerTable, table=True):
    """The one artifact of a retrain. Equal trainings give equal digests, so the digest is no key."""

    __tablename__ = "artifact"

    retrain_id: str = Field(primary_key=True)
    digest: str = Field(index=True)
    size: int = _big()
    fence: int
    metrics: dict[str, Any] = _json()
    data: dict[str, Any] = _json()
    code: dict[str, Any] = _json()
    params: dict[str, Any] = _json()
    refs: dict[str, Any] = _json()
    rows_version: int | None = _big(nullable=True)
    labels_version: int | None = _big(nullable=True)
    data_until: datetime | None = _instant(nullable=True)
    recorded_at: datetime = _instant()


class EvaluationTable(LedgerTable, table=True):
    """The one evaluation of a retrain."""

    __tablename__ = "evaluation"

    retrain_id: str = Field(primary_key=True)
    fence: int
    verdict: str
    reasons: list[str] = _json()
    report_digest: str
    metrics: dict[str, Any] = _json()
    n_rows: int = _big()
    recorded_at: datetime = _instant()


class VersionTable(LedgerTable, table=True):
    """A promoted artifact under its number in the model, 1, 2, 3 ... without a gap."""

    __tablename__ = "model_version"

    model: str = Field(primary_key=True)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    retrain_id: str = Field(unique=True)
    artifact_digest: str = Field(index=True)
    data_until: datetime | None = _instant(nullable=True)
    created_at: datetime = _instant()
    recorded_at: datetime = _instant()


class PromotionTable(LedgerTable, table=True):
    """One move of the champion pointer: revisions 1, 2, 3 ... without a gap."""

    __tablename__ = "promotion"

    model: str = Field(primary_key=True)
    revision: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    version: int
    previous_version: int | None = None
    kind: str
    actor: str
    reason: str
    retrain_id: str | None = Field(default=None, unique=True)
    at: datetime = _instant()
    recorded_at: datetime = _instant()


class DeploymentTable(LedgerTable, table=True):
    """Which artifact a target serves since a revision."""

    __tablename__ = "deployment"

    model: str = Field(primary_key=True)
    revision: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    target: str = Field(primary_key=True)
    version: int
    artifact_digest: str
    at: datetime = _instant()


class ScoringTable(LedgerTable, table=True):
    """One batch predicted by one version of a model."""

    __tablename__ = "scoring"
    __table_args__ = (Index(None, "model", "version"),)

    model: str = Field(primary_key=True)
    batch_id: str = Field(primary_key=True)
    version: int
    n_rows: int = _big()
    lake_version: int = _big()
    as_of: datetime = _instant()
    recorded_at: datetime = _instant()


class PerformanceTable(LedgerTable, table=True):
    """A metric of one cohort (a batch), as far as its labels are known."""

    __tablename__ = "performance"

    model: str = Field(primary_key=True)
    cohort: str = Field(primary_key=True)
    metric: str = Field(primary_key=True)
    as_of: datetime = _instant()
    value: float | None = None
    n_rows: int = _big()
    n_matured: int = _big()
    version: int
    details: dict[str, Any] = _json()
    recorded_at: datetime = _instant()


class DriftTable(LedgerTable, table=True):
    """The drift report that one decision of a model looked at."""

    __tablename__ = "drift"

    model: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True)
    as_of: datetime = _instant()
    alpha: float | None = None
    report: dict[str, Any] = _json()
    recorded_at: datetime = _instant()


class ProfileTable(LedgerTable, table=True):
    """A batch that was profiled, with its diagnosis; the profile itself lies in the lake."""

    __tablename__ = "profile"
    __table_args__ = (Index(None, "dataset", "as_of"),)

    batch_id: str = Field(primary_key=True)
    dataset: str
    as_of: datetime = _instant()
    binning: str
    facts: dict[str, Any] = _json()
    diagnosis: dict[str, Any] | None = _json(nullable=True)
    recorded_at: datetime = _instant()


class OutboxTable(LedgerTable, table=True):
    """A message that must reach the broker: written with the change that causes it, sent afterwards."""

    __tablename__ = "outbox"
    __table_args__ = (UniqueConstraint("retrain_id", "stage", "attempt"), Index(None, "sent_at", "seq"))

    seq: int = _big(primary_key=True)
    retrain_id: str
    stage: str
    attempt: int
    body: dict[str, Any] = _json()
    sends: int
    created_at: datetime = _instant()
    sent_at: datetime | None = _instant(nullable=True)


class NoticeTable(LedgerTable, table=True):
    """What Dagster is told: append-only, in commit order."""

    __tablename__ = "notice"

    seq: int = _big(primary_key=True)
    kind: str
    model: str
    data: dict[str, Any] = _json()
    recorded_at: datetime = _instant()


class AlertTable(LedgerTable, table=True):
    """Something that a person should know, from its first sighting to its end. A key has one open alert at most.

    ``due_since`` is set while there is something to tell about it: it is new, it grew worse, or it ended.
    ``told`` is the severity that was last told.
    """

    __tablename__ = "alert"
    __table_args__ = (
        Index("uq_alert_open_key", "key", unique=True, sqlite_where=_OPEN_SQL, postgresql_where=_OPEN_SQL),
        Index(None, "state", "opened_at"),
        Index(None, "due_since"),
    )

    alert_id: str = Field(primary_key=True)
    key: str
    kind: str
    severity: str
    model: str | None = None
    dataset: str | None = None
    incident: str
    title: str
    text: str
    evidence: dict[str, Any] = _json()
    state: str
    count: int
    first_seen: datetime = _instant()
    last_seen: datetime = _instant()
    opened_at: datetime = _instant()
    resolved_at: datetime | None = _instant(nullable=True)
    resolved_by: str | None = None
    reason: str | None = None
    told: str | None = None
    due_since: datetime | None = _instant(nullable=True)
    message_id: str | None = None


class AlertCauseTable(LedgerTable, table=True):
    """What has already raised or resolved its alerts: the same cause does so once."""

    __tablename__ = "alert_cause"

    cause: str = Field(primary_key=True)
    recorded_at: datetime = _instant()


class AlertMuteTable(LedgerTable, table=True):
    """Keys that nothing is told about until a time."""

    __tablename__ = "alert_mute"

    pattern: str = Field(primary_key=True)
    until: datetime = _instant()
    actor: str
    reason: str
    created_at: datetime = _instant()


class AlertMessageTable(LedgerTable, table=True):
    """What is told about alerts of one incident, in one message."""

    __tablename__ = "alert_message"

    message_id: str = Field(primary_key=True)
    incident: str
    transition: str
    severity: str
    title: str
    text: str
    alerts: list[dict[str, Any]] = _json()
    created_at: datetime = _instant()


class AlertDeliveryTable(LedgerTable, table=True):
    """A message on its way to one channel. ``due_at`` is null once it was given up."""

    __tablename__ = "alert_delivery"
    __table_args__ = (Index(None, "delivered_at", "due_at"),)

    message_id: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    attempts: int
    due_at: datetime | None = _instant(nullable=True)
    delivered_at: datetime | None = _instant(nullable=True)
    error: str | None = None
    created_at: datetime = _instant()


class WorkerTable(LedgerTable, table=True):
    """When a worker last gave a sign of life."""

    __tablename__ = "worker"

    name: str = Field(primary_key=True)
    seen_at: datetime = _instant()


class AuditTable(LedgerTable, table=True):
    """Who did what: append-only, each row's hash covers the one before."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "subject", "seq"),)

    seq: int = _big(primary_key=True)
    actor: str
    action: str
    subject: str
    detail: dict[str, Any] = _json()
    recorded_at: datetime = _instant()
    previous_hash: str
    hash: str


def table_of(row: type[LedgerTable]) -> Table:
    """Return the SQLAlchemy table of a row class."""
    return LedgerTable.metadata.tables[str(row.__tablename__)]


HEAD = table_of(HeadTable)
BATCH = table_of(BatchTable)
EVENT = table_of(EventTable)
MODEL = table_of(ModelTable)
DECISION = table_of(DecisionTable)
RETRAIN = table_of(RetrainTable)
ARTIFACT = table_of(ArtifactTable)
EVALUATION = table_of(EvaluationTable)
VERSION = table_of(VersionTable)
PROMOTION = table_of(PromotionTable)
DEPLOYMENT = table_of(DeploymentTable)
SCORING = table_of(ScoringTable)
PERFORMANCE = table_of(PerformanceTable)
DRIFT = table_of(DriftTable)
PROFILE = table_of(ProfileTable)
OUTBOX = table_of(OutboxTable)
NOTICE = table_of(NoticeTable)
ALERT = table_of(AlertTable)
ALERT_CAUSE = table_of(AlertCauseTable)
ALERT_MUTE = table_of(AlertMuteTable)
ALERT_MESSAGE = table_of(AlertMessageTable)
ALERT_DELIVERY = table_of(AlertDeliveryTable)
WORKER = table_of(WorkerTable)
AUDIT = table_of(AuditTable)
