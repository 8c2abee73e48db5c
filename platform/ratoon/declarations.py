"""What a project declares: datasets and models. The YAML of ``defs.yaml`` parses into these values."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ratoon.contracts.spec import Contract, Name, Strict
from ratoon.instants import Duration
from ratoon.monitoring import Monitoring
from ratoon.policy.spec import Policy

Task = Literal["binary", "multiclass", "regression"]
Metric = Literal["auc", "logloss", "accuracy", "brier", "rmse", "mae"]


class FolderSource(Strict):
    """Files that land in a folder. Names that start with ``.`` or ``_`` or end in ``.tmp`` or ``.part`` are not looked at."""

    kind: Literal["folder"] = "folder"
    path: str = Field(description="Folder, relative to the project's data folder (RATOON_HOME/inbox) unless absolute.")
    pattern: str = Field("*", description="Glob of the file names, for example *.parquet.")
    settle: Duration = Field(
        default="2s", validate_default=True, description="A file is taken once it has not changed for this long."
    )
    max_bytes: int = Field(2_000_000_000, gt=0)
    max_rows: int = Field(50_000_000, gt=0)


Source = FolderSource
"""Where files come from. A union once a second kind exists (a bucket)."""


class DatasetSpec(Strict):
    """A dataset: where its batches land, and what every batch must hold."""

    name: Name
    description: str = ""
    owners: list[str] = Field([], description="team:name or an e-mail address.")
    source: Source
    labels: Source | None = Field(None, description="Where label files land; needs contract.label.")
    contract: Contract
    retention: Duration | None = Field(None, description="Rows older than this may be erased.")


class Training(Strict):
    """How a candidate is trained."""

    estimator: Literal["xgboost"] = "xgboost"
    params: dict[str, Any] = Field(
        {}, description="The estimator's own parameters; threads and seed are set by Ratoon."
    )
    rounds: int = Field(300, gt=0, description="Most boosting rounds.")
    early_stopping_rounds: int = Field(20, gt=0)
    windows: list[Duration | Literal["all"]] = Field(
        ["all"],
        min_length=1,
        description="Candidate training windows; the one that is best on the newest matured rows is refitted with them.",
    )
    validation: float = Field(0.1, gt=0, lt=0.5, description="Newest share of the training rows, for early stopping.")
    holdout: Duration = Field(
        default="14d",
        validate_default=True,
        description="Newest matured rows on which candidate, champion and baseline are judged.",
    )
    max_rows: int = Field(5_000_000, gt=0, description="The newest rows are kept.")
    seed: int = 0
    queue: Literal["cpu", "gpu"] = "cpu"
    timeout: Duration = Field(default="2h", validate_default=True, description="Deadline of one retrain.")


class GateRule(Strict):
    """A user's rule: a SQL expression over the holdout that must give true.

    It is one aggregate over columns ``label``, ``score``, ``champion_score`` (null without a champion),
    ``baseline_score`` and the dataset's own columns, for example ``AVG(score) BETWEEN 0.1 AND 0.5``.
    """

    name: Name
    check: str
    description: str = ""


class Gate(Strict):
    """What a candidate must show before it replaces the champion."""

    metric: Metric
    margin: float = Field(
        0.005,
        ge=0,
        description="Non-inferiority margin in the metric's unit: the lower bound of the paired gain over the champion must be above minus this. 0 asks for a proven gain.",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of the bootstrap interval of the paired gain.")
    min_rows: int = Field(500, ge=1, description="Matured rows newer than the champion's training data.")
    must_beat_baseline: bool = True
    rules: list[GateRule] = []


class ModelSpec(Strict):
    """A model: what it learns from, when it is retrained, and what replaces it."""

    name: Name
    dataset: Name
    description: str = ""
    owners: list[str] = []
    features: str = Field(pattern=r"^[\w.]+:\w+$", description="module:function, LazyFrame in, LazyFrame out.")
    task: Task = "binary"
    training: Training = Training()
    gate: Gate
    policy: Policy
    monitoring: Monitoring = Monitoring()


class Project(Strict):
    """Everything that one project folder declares."""

    root: Path
    datasets: dict[str, DatasetSpec] = {}
    models: dict[str, ModelSpec] = {}

    def models_of(self, dataset: str) -> list[ModelSpec]:
        """Return the models that learn from a dataset, in the order of their names."""
        return [self.models[name] for name in sorted(self.models) if self.models[name].dataset == dataset]
