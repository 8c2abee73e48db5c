"""What a training process is told, and what it answers. All of it is JSON.

This module imports neither polars nor xgboost, so that a supervisor can write an order before it forks.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from ratoon.contracts.spec import Contract, Strict
from ratoon.declarations import Gate, Metric, Task, Training
from ratoon.evaluation.gate import CheckResult
from ratoon.instants import Instant


class ChampionRef(Strict):
    """The champion that a candidate is compared with."""

    artifact: str = Field(description="Digest of its manifest.")
    version: int
    data_until: Instant = Field(description="Newest event time in its training data; only newer rows judge.")


class _Order(Strict):
    retrain_id: str
    model: str
    dataset: str
    project_root: str = Field(description="Folder that holds the feature module.")
    features: str = Field(description="module:function.")
    contract: Contract
    task: Task
    lake_url: str
    artifacts_url: str
    storage_options: dict[str, str] = Field(
        default={}, description="Credentials of an object store: in the order, never in arguments."
    )
    rows_version: int = Field(description="Version of the dataset's table that is read.")
    labels_version: int = Field(description="Version of its label table.")
    as_of: Instant = Field(description="Labels that became known later are not seen.")
    champion: ChampionRef | None = None
    threads: int = Field(default=1, ge=1)
    seed: int = 0
    memory_mb: int | None = Field(
        default=None, gt=0, description="Resident memory of the process above which it gives up, in MiB (Linux)."
    )


class TrainOrder(_Order):
    """Fit a candidate and store it as an artifact."""

    kind: Literal["train"] = "train"
    training: Training
    metric: Metric = Field(description="The gate's metric: it chooses between the windows.")
    spec_digest: str = Field(default="", description="Digest of the model's declaration.")
    environment: str = Field(default="", description="Digest of the lock file or the installed distributions.")


class EvaluateOrder(_Order):
    """Judge a stored candidate against the champion and the baseline."""

    kind: Literal["evaluate"] = "evaluate"
    candidate: str = Field(description="Digest of the candidate's manifest.")
    gate: Gate


class TrainOutcome(Strict):
    """A stored candidate. The fields are those of the ledger's artifact record."""

    kind: Literal["train"] = "train"
    digest: str = Field(description="Digest of the manifest, which is the artifact.")
    size: int = Field(description="Bytes of manifest and blobs.")
    metrics: dict[str, Any] = Field(description="The gate's metric per window on the holdout, and of the one chosen.")
    data: dict[str, Any] = Field(
        description="Versions, batches, window, rows and event-time range that it learned from."
    )
    code: dict[str, Any] = Field(description="Digests of the feature module and the environment, Ratoon's version.")
    params: dict[str, Any]
    refs: dict[str, str] = Field(
        description="Blob digests by name: model (refitted with the holdout), judged (without it)."
    )
    notes: list[str] = Field(default_factory=list)


class EvaluateOutcome(Strict):
    """A verdict. The fields are those of the ledger's evaluation record, and the checks behind it."""

    kind: Literal["evaluate"] = "evaluate"
    candidate: str
    verdict: Literal["promote", "reject"]
    reasons: list[str] = Field(description="One sentence per check that decided.")
    report_digest: str = Field(description="The full report as JSON in the artifact store.")
    metrics: dict[str, float | None] = Field(
        description="candidate, champion, baseline, gain, gain_low, gain_high, ..."
    )
    n_rows: int
    checks: list[CheckResult]
    features_changed: bool = Field(
        default=False, description="The feature module is not the one that a judged model was trained with."
    )
    notes: list[str] = Field(default_factory=list)


Order = Annotated[TrainOrder | EvaluateOrder, Field(discriminator="kind")]
Outcome = Annotated[TrainOutcome | EvaluateOutcome, Field(discriminator="kind")]

ORDER: TypeAdapter[TrainOrder | EvaluateOrder] = TypeAdapter(Order)
"""Reads an order: ``ORDER.validate_json(line)``."""
OUTCOME: TypeAdapter[TrainOutcome | EvaluateOutcome] = TypeAdapter(Outcome)
"""Reads an outcome: ``OUTCOME.validate_python(line["outcome"])``."""
