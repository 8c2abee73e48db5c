"""Scores rows with a stored model, through the feature function and the contract that it was trained with."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon.registry.store import ArtifactStore
from ratoon.training import xgb
from ratoon.training.features import FeatureFunction, load_features
from ratoon.training.labels import Classes
from ratoon.training.manifest import BlobName, Manifest, read_manifest
from ratoon.training.matrix import FeatureContract, check_rowwise, compute_features, encode

SCORE = "score"
"""Column that scoring adds: Float64, or List(Float64) of class probabilities for multiclass; never null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A loaded model. Rows that its features no longer fit are refused; they are never scored wrongly.

    Attributes:
        manifest: The artifact.
        features_changed: The feature module's source is not the one of the training. Names and kinds are checked
            on every frame; whether the values still mean the same is for a person to say, so callers report it.
    """

    manifest: Manifest
    contract: FeatureContract
    function: FeatureFunction
    booster: Any
    threads: int

    @classmethod
    def load(
        cls,
        store: ArtifactStore,
        digest: str,
        project_root: str,
        *,
        blob: BlobName = "model",
        threads: int = 1,
    ) -> "Scorer":
        """Load an artifact; every digest is checked before its bytes are parsed.

        Args:
            store: Where artifacts lie.
            digest: The artifact's, that is its manifest's.
            project_root: Folder that holds the feature module.
            blob: ``model`` (refitted with the holdout; what serves) or ``judged`` (has not seen the holdout).
            threads: Threads per prediction.

        Raises:
            NotFoundError: The store lacks the artifact.
            CorruptArtifactError: Its bytes are not those of the digest.
            TrainingError: The feature module can't be loaded.
        """
        manifest = read_manifest(store, digest)
        function = load_features(project_root, manifest.code.features)
        booster = xgb.load(store.get(manifest.blobs[blob]))
        return cls(
            manifest=manifest, contract=manifest.features[blob], function=function, booster=booster, threads=threads
        )

    @property
    def features_changed(self) -> bool:
        """Whether the feature module has other source than at training."""
        return self.function.digest != self.manifest.code.features_digest

    @property
    def classes(self) -> Classes | None:
        """Classes of a multiclass model in the order of its probabilities."""
        return self.manifest.classes

    def predict(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """Return one prediction per row, in their order: (n,), or (n, k) for multiclass.

        Args:
            rows: Must have the dataset's columns; others (also a label) are not looked at.

        Raises:
            TrainingError: A column is missing, the feature function fails, or its columns are other ones.
        """
        if rows.is_empty():
            return np.empty((0, len(self.classes)) if self.classes else 0)
        features = compute_features(self.function, rows, self.manifest.inputs, self.manifest.excluded)
        if self.features_changed:
            check_rowwise(self.function, rows, features, self.manifest.inputs, self.manifest.excluded)
        return xgb.predict(self.booster, encode(features, self.contract), threads=self.threads)

    def score(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows with a column :data:`SCORE` added (one of that name is replaced)."""
        scores = self.predict(rows)
        dtype = pl.List(pl.Float64) if self.classes else pl.Float64
        return rows.with_columns(pl.Series(SCORE, scores.tolist() if self.classes else scores, dtype=dtype))


def score(
    digest: str, store: ArtifactStore, rows: pl.DataFrame, project_root: str, *, threads: int = 1
) -> pl.DataFrame:
    """Score rows with the artifact of a digest (see :meth:`Scorer.score`)."""
    return Scorer.load(store, digest, project_root, threads=threads).score(rows)
