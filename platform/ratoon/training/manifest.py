"""The artifact: a manifest that names its blobs by digest and says where everything came from."""

from typing import Any, Literal

from pydantic import Field, ValidationError

from ratoon.contracts.spec import Strict
from ratoon.declarations import Metric, Task
from ratoon.errors import CorruptArtifactError
from ratoon.identity import canonical_json
from ratoon.instants import Instant
from ratoon.registry.store import ArtifactStore
from ratoon.training.matrix import FeatureContract

BlobName = Literal["model", "judged"]
Blobs = dict[BlobName, str]
"""Digests by name. model: refitted with the holdout, what serves; judged: fitted without it, what the gate judges."""


class Holdout(Strict):
    """The rows kept from the judged model: event time in (after, until]."""

    after: Instant
    until: Instant
    n_rows: int


class WindowResult(Strict):
    """One candidate window: what it was fitted on and how it did on the holdout."""

    window: str
    n_rows: int = Field(description="Rows before the holdout, validation included.")
    event_time_min: Instant
    rounds: int | None = Field(default=None, description="Best round; None when the window was not fitted.")
    metric: float | None = Field(
        default=None, description="The gate's metric on the holdout; None when it isn't defined there."
    )
    note: str = ""


class DataOrigin(Strict):
    """What the model learned from."""

    dataset: str
    rows_version: int
    labels_version: int
    as_of: Instant
    n_rows: int
    event_time_min: Instant
    event_time_max: Instant = Field(description="Newest row that the model has seen.")
    batches: list[str] = Field(description="Ids of the batches, sorted.")


class CodeOrigin(Strict):
    """The code that made the model."""

    features: str
    features_digest: str
    ratoon: str
    estimator: str = Field(description="Library and version.")
    environment: str


class Manifest(Strict):
    """Everything that is needed to score with a model and to explain it. Its digest is the artifact's."""

    format: Literal[1] = 1
    model: str
    retrain_id: str
    task: Task
    blobs: Blobs
    features: dict[BlobName, FeatureContract]
    inputs: list[str] = Field(description="Columns that the feature function is given.")
    excluded: list[str] = Field(description="Columns that are never features: entity key and event time.")
    label: str
    classes: list[str] | list[int] | None
    baseline: list[float] = Field(description="Naive prediction, from the judged model's rows.")
    params: dict[str, Any]
    rounds: int
    window: str
    windows: list[WindowResult]
    metric: Metric
    holdout: Holdout
    importance: dict[str, float] = Field(description="Share of the total gain by feature.")
    data: DataOrigin
    code: CodeOrigin
    spec_digest: str

    def to_bytes(self) -> bytes:
        """Return the canonical JSON."""
        return canonical_json(self.model_dump(mode="json")).encode()


def read_manifest(store: ArtifactStore, digest: str) -> Manifest:
    """Return a stored manifest, its digest checked before it is parsed.

    Raises:
        NotFoundError: No such artifact.
        CorruptArtifactError: Its bytes are not those of the digest, or not a manifest.
    """
    data = store.get(digest)
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise CorruptArtifactError(
            f"artifact {digest} is not a manifest that this Ratoon reads: {first['loc']}: {first['msg']}"
        ) from exc
