"""What goes into the ledger and comes out of it: frozen values, never rows of a session."""

import math
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy import Row

from ratoon.contracts.spec import Strict
from ratoon.instants import Instant
from ratoon.ledger.states import BatchState, RetrainState
from ratoon.policy.values import Decision, PolicyState, Signals

Stage = Literal["train", "evaluate"]
"""The two pieces of work of a retrain that a worker claims."""

PromotionKind = Literal["promotion", "rollback", "manual"]
"""promotion: by a retrain's verdict · rollback: a person, to an older version · manual: a person, to any version."""

AlertKind = Literal[
    "data_broken",
    "drift",
    "performance",
    "stale_champion",
    "retrain_failed",
    "candidate_rejected",
    "worker_silent",
]
"""What an alert is about."""

Severity = Literal["info", "warning", "critical"]
"""info: good to know · warning: look at it in the next days · critical: look at it now."""

Transition = Literal["raised", "resolved"]
"""What a message tells about its alerts; one that grew worse is raised again."""


class Record(BaseModel):
    """Root of what the ledger returns."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """Return the record of a row whose columns carry the record's field names; further columns are left out."""
        return cls.model_validate(row._asdict())


class Batch(Record):
    """A file's content, taken at most once per dataset and role."""

    batch_id: str
    dataset: str
    role: Literal["rows", "labels"]
    digest: str
    source_uri: str
    state: BatchState
    as_of: Instant
    fence: int
    rows_in: int | None
    rows_kept: int | None
    rows_quarantined: int | None
    lake_version: int | None
    quarantine_version: int | None
    event_time_min: Instant | None
    event_time_max: Instant | None
    bytes: int | None
    contract_digest: str | None
    error: dict[str, Any] | None
    claimed_at: Instant
    finished_at: Instant | None


class BatchClaim(Record):
    """Whether this caller may take a batch. ``fence`` names the claim; it is 0 unless ``status`` is ``claimed``."""

    status: Literal["claimed", "done", "held"]
    fence: int = 0


class Event(Record):
    """A fact, recorded once under its id."""

    event_id: str
    seq: int
    kind: str
    subject: str
    as_of: Instant
    data: dict[str, Any]
    cause: str | None
    recorded_at: Instant


class ModelRow(Record):
    """A model: its champion pointer with the revision that guards it, and its policy's memory."""

    name: str
    dataset: str
    revision: int
    champion_version: int | None
    last_version: int
    decision_count: int
    policy_state: PolicyState
    created_at: Instant


class DecisionRow(Record):
    """One decision with everything that it was made of."""

    decision_id: str
    seq: int
    model: str
    event_id: str
    number: int
    outcome: Literal["retrain", "wait"]
    reason: str
    as_of: Instant
    policy_digest: str
    state_before: PolicyState
    state_after: PolicyState
    signals: Signals
    decision: Decision
    evidence: dict[str, Any]
    retrain_id: str | None = None


class RetrainSpec(Strict):
    """What a decision to retrain starts.

    Attributes:
        spec_digest: Digest of the model's declaration.
        order: What the workers need, as JSON.
        queue: Kind of worker that trains.
        deadline_s: Seconds from the first claim to the end of the evaluation.
        max_attempts: Most claims per stage.
    """

    spec_digest: str
    order: dict[str, Any]
    queue: Literal["cpu", "gpu"] = "cpu"
    deadline_s: float = Field(7_200, gt=0)
    max_attempts: int = Field(3, ge=1)


class Retrain(Record):
    """One retrain on its way through the states."""

    retrain_id: str
    seq: int
    decision_id: str
    model: str
    dataset: str
    state: RetrainState
    as_of: Instant
    queue: Literal["cpu", "gpu"]
    spec_digest: str
    order: dict[str, Any]
    deadline_s: float
    max_attempts: int
    attempt: int
    fence: int
    owner: str | None
    lease_until: Instant | None
    deadline_at: Instant | None
    base_revision: int | None
    verdict: Literal["promote", "reject"] | None
    progress: dict[str, Any] | None
    error: dict[str, Any] | None
    dagster_run_id: str | None
    reported_at: Instant | None
    requested_at: Instant
    started_at: Instant | None
    updated_at: Instant
    finished_at: Instant | None


class ArtifactRecord(Strict):
    """What a training made.

    ``data`` may carry ``rows_version`` and ``labels_version`` (the lake's versions that were read) and
    ``data_until`` (ISO 8601 with a zone: the newest event time in the training data). Lineage and the
    champion's age are answered from these three.
    """

    digest: str
    size: int
    metrics: dict[str, Any]
    data: dict[str, Any]
    code: dict[str, Any]
    params: dict[str, Any]
    refs: dict[str, str]


class EvaluationRecord(Strict):
    """What an evaluation found."""

    verdict: Literal["promote", "reject"]
    reasons: list[str]
    report_digest: str
    metrics: dict[str, Any]
    n_rows: int


class Version(Record):
    """A promoted artifact under its number in the model.

    ``promoted_at`` is the time of its newest promotion; ``metrics`` are those of its evaluation.
    """

    model: str
    version: int
    retrain_id: str
    artifact_digest: str
    refs: dict[str, str]
    data: dict[str, Any]
    data_until: Instant | None
    created_at: Instant
    promoted_at: Instant
    metrics: dict[str, Any]
    report_digest: str
    is_champion: bool


class Claim(Record):
    """A worker's right to do one stage of a retrain until its lease ends.

    ``champion`` is what the candidate is judged against (None in stage ``train`` or without one).
    """

    retrain: Retrain
    stage: Stage
    fence: int
    attempt: int
    order: dict[str, Any]
    champion: Version | None = None


class Refusal(Record):
    """Why a claim was not given. The message that asked for it can be dropped."""

    reason: str


class Promotion(Record):
    """One move of the champion pointer. ``at`` is as-of time, ``recorded_at`` the ledger's clock."""

    model: str
    revision: int
    version: int
    previous_version: int | None
    kind: PromotionKind
    actor: str
    reason: str
    retrain_id: str | None
    at: Instant
    recorded_at: Instant


class Scoring(Record):
    """One batch predicted by one version of a model."""

    model: str
    batch_id: str
    version: int
    n_rows: int
    lake_version: int
    as_of: Instant


class Performance(Record):
    """A metric of one cohort (a batch), as far as its labels are known; ``value`` is None while none is."""

    model: str
    cohort: str
    metric: str
    as_of: Instant
    value: float | None
    n_rows: int
    n_matured: int
    version: int
    details: dict[str, Any]


class DriftRecord(Record):
    """The drift report that one decision of a model looked at."""

    model: str
    event_id: str
    as_of: Instant
    report: dict[str, Any]


class ProfileRecord(Record):
    """A batch that was profiled, with what its ingest said of it.

    ``binning`` is a digest; ``facts`` are what later diagnoses look back on; ``diagnosis`` is None where nothing was
    there to compare with.
    """

    batch_id: str
    dataset: str
    as_of: Instant
    binning: str
    facts: dict[str, Any]
    diagnosis: dict[str, Any] | None
    rows_in: int
    rows_kept: int
    rows_quarantined: int
    event_time_min: Instant | None
    event_time_max: Instant | None


class OutboxMessage(Record):
    """A message to the broker. ``body`` is ``{"retrain_id": ..., "queue": "train.cpu" | "train.gpu" | "evaluate"}``."""

    seq: int
    task: Stage
    retrain_id: str
    attempt: int
    body: dict[str, Any]


class FeedItem(Record):
    """One notice for Dagster: ``retrain.requested``, or ``promotion.made`` for one outside a retrain."""

    seq: int
    kind: Literal["retrain.requested", "promotion.made"]
    model: str
    data: dict[str, Any]
    recorded_at: Instant


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value


class AlertRaised(Strict):
    """Something that a person should know.

    Attributes:
        key: What it is about, as ``<model, dataset or worker>/<kind>``; a key has one open alert at most.
        incident: Alerts of one incident are told in one message.
        title: One line.
        text: What was seen, and what to do; Markdown.
        evidence: Digests, ids and figures behind it; JSON. NaN and infinity become None: an alert about odd
            figures must not fail for them.
    """

    key: str
    kind: AlertKind
    severity: Severity
    model: str | None = None
    dataset: str | None = None
    incident: str
    title: str
    text: str
    evidence: Annotated[dict[str, Any], AfterValidator(_finite)] = {}


class AlertResolved(Strict):
    """An alert's cause is gone. ``reason`` says how that is known."""

    key: str
    reason: str


class Alert(Record):
    """An alert as it stands: ``first_seen`` and ``last_seen`` are as-of times, the others the ledger's clock.

    Attributes:
        count: How many causes raised it.
        resolved_by: ``ratoon``, or the person.
        told: The severity that was last told; None where nothing was told yet.
        due_since: Since when there is something to tell; None where there is nothing.
        message_id: The last message about it.
    """

    alert_id: str
    key: str
    kind: AlertKind
    severity: Severity
    model: str | None
    dataset: str | None
    incident: str
    title: str
    text: str
    evidence: dict[str, Any]
    state: Literal["open", "resolved"]
    count: int
    first_seen: Instant
    last_seen: Instant
    opened_at: Instant
    resolved_at: Instant | None
    resolved_by: str | None
    reason: str | None
    told: Severity | None
    due_since: Instant | None
    message_id: str | None


class Mute(Record):
    """Nothing is told about the keys of a pattern until a time. ``*``, ``?`` and ``[...]`` are wildcards."""

    pattern: str
    until: Instant
    actor: str
    reason: str
    created_at: Instant

    def covers(self, key: str) -> bool:
        """Return whether a key is meant."""
        return fnmatchcase(key, self.pattern)


class AlertMessage(Record):
    """What is told about alerts of one incident. Its id never changes, however often it is sent."""

    message_id: str
    incident: str
    transition: Transition
    severity: Severity
    title: str
    text: str
    alerts: list[dict[str, Any]]
    created_at: Instant


class Delivery(Record):
    """A message on its way to one channel.

    Attributes:
        due_at: When it is tried again; None once it was given up.
        error: What the last attempt met; None after a success.
    """

    message_id: str
    channel: str
    attempts: int
    due_at: Instant | None
    delivered_at: Instant | None
    error: str | None
    created_at: Instant


class DeliveryClaim(Record):
    """The right to try one delivery once."""

    message: AlertMessage
    channel: str
    attempt: int


class WorkerRow(Record):
    """A worker and its last sign of life."""

    name: str
    seen_at: Instant


class AuditEntry(Record):
    """Who did what; ``hash`` covers the entry and the hash before it."""

    seq: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    recorded_at: Instant
    previous_hash: str
    hash: str
