"""What a diagnosis is told and what it answers. All round-trip through JSON."""

from typing import Final, Literal

from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.errors import LimitExceededError, RatoonError, UnreadableFileError
from ratoon.instants import Instant

Cause = Literal[
    "schema_change",
    "duplicated_batch",
    "late_batch",
    "half_batch",
    "duplicated_rows",
    "time_shift",
    "partition_fault",
    "swapped_columns",
    "unit_change",
    "sign_flip",
    "default_value_fill",
    "constant_column",
    "null_burst",
    "text_garbled",
    "clipped_values",
    "quarantine_burst",
    "unreadable_file",
    "real_shift",
    "unclear",
]
"""What happened to a batch. All but the last two are faults of the data or of their delivery."""

Advice = Literal["none", "policy", "wait_for_labels", "reingest", "hold"]
"""What to do, least careful first: nothing · let the policy decide · judge by the labels once they are known ·
fetch the batch again · hold the batch back and alert."""

Verdict = Literal["clean", "broken", "shift", "unclear"]

CAREFUL: Final[tuple[Advice, ...]] = ("none", "policy", "wait_for_labels", "reingest", "hold")
FAULTS_OF_DELIVERY: Final[frozenset[Cause]] = frozenset(
    {"schema_change", "duplicated_batch", "late_batch", "half_batch", "duplicated_rows", "unreadable_file"}
)
ADVICE: Final[dict[Cause, Advice]] = {
    "schema_change": "hold",
    "duplicated_batch": "hold",
    "late_batch": "wait_for_labels",
    "half_batch": "reingest",
    "duplicated_rows": "reingest",
    "time_shift": "hold",
    "partition_fault": "hold",
    "swapped_columns": "hold",
    "unit_change": "hold",
    "sign_flip": "hold",
    "default_value_fill": "hold",
    "constant_column": "hold",
    "null_burst": "hold",
    "text_garbled": "hold",
    "clipped_values": "hold",
    "quarantine_burst": "hold",
    "unreadable_file": "reingest",
    "real_shift": "policy",
    "unclear": "policy",
}


class BatchFacts(Strict):
    """What is known of one batch beside its profile.

    Only ``batch_id`` and ``as_of`` are needed; what isn't known is left out, and the rules that need it are silent.
    """

    batch_id: str
    as_of: Instant = Field(description="When the batch arrived.")
    n_rows: int | None = Field(None, ge=0, description="Rows that arrived, quarantined ones and all.")
    n_quarantined: int = Field(0, ge=0)
    reasons: dict[str, int] = Field({}, description="Quarantined rows per reason, as validation counts them.")
    event_time_min: Instant | None = None
    event_time_max: Instant | None = None
    columns_missing: list[str] = []
    columns_added: list[str] = []
    columns_retyped: dict[str, str] = Field(
        {}, description="Columns whose type in the file changed so that they can't be read: what they are now."
    )
    n_duplicate_keys: int = Field(
        0, ge=0, description="Kept rows whose entity key an earlier batch held; ``reasons`` counts repeats within it."
    )
    counts_digest: str | None = Field(
        None, description="ratoon.diagnosis.counts_digest of the profile: equal where two batches hold the same rows."
    )

    @property
    def quarantined_share(self) -> float:
        """Return the share of the rows that were quarantined, 0..1."""
        return self.n_quarantined / self.n_rows if self.n_rows else 0.0

    def reason_share(self, reason: str) -> float:
        """Return the share of the rows that were quarantined for one reason, 0..1."""
        return self.reasons.get(reason, 0) / self.n_rows if self.n_rows else 0.0


class Finding(Strict):
    """One cause that explains what is unusual about a batch."""

    cause: Cause
    columns: list[str] = Field([], description="Columns at fault, sorted; empty where it is the batch as a whole.")
    partition: str | None = Field(None, description="The one part of the rows at fault, as column=value.")
    confidence: float = Field(ge=0, le=1, description="How well the cause explains the numbers; not a probability.")
    evidence: dict[str, float | str] = Field({}, description="The numbers it rests on.")
    sentence: str = Field(description="What was seen, what it was before, and what to do next.")
    advice: Advice


class Diagnosis(Strict):
    """Broken data or a real shift: the findings of one batch, best explanation first."""

    batch_id: str
    verdict: Verdict
    advice: Advice = Field(description="The most careful advice of the findings.")
    findings: list[Finding] = []
    sentence: str

    @property
    def cause(self) -> Cause | None:
        """Return the cause that explains most; None for a clean batch."""
        return self.findings[0].cause if self.findings else None

    @property
    def is_held(self) -> bool:
        """Return whether the batch should be kept from training and scoring until a person has looked."""
        return self.advice in ("hold", "reingest")


def diagnosis_of_refusal(batch_id: str, error: RatoonError) -> Diagnosis:
    """Return the diagnosis of a file that was refused whole: its error says what is wrong with it.

    Args:
        batch_id: The file's batch.
        error: Why it was refused.
    """
    unreadable = isinstance(error, UnreadableFileError | LimitExceededError)
    cause: Cause = "unreadable_file" if unreadable else "schema_change"
    finding = Finding(
        cause=cause, confidence=1.0, evidence={"code": error.code}, sentence=error.message, advice=ADVICE[cause]
    )
    return Diagnosis(
        batch_id=batch_id, verdict="broken", advice=finding.advice, findings=[finding], sentence=finding.sentence
    )


def most_careful(findings: list[Finding]) -> Advice:
    """Return the most careful advice of some findings; ``none`` without one."""
    return max((finding.advice for finding in findings), key=CAREFUL.index, default="none")
