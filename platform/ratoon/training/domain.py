"""The classifier that tells two windows of rows apart (see :mod:`ratoon.drift.domain`)."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon.training import xgb

_ROUNDS: Final = 60
_PARAMS: Final = {"max_depth": 4, "eta": 0.1, "subsample": 0.8, "colsample_bytree": 0.8, "min_child_weight": 20}


class DomainClassifier:
    """Boosted trees: they see how columns hang together, and take a missing value as it is.

    Args:
        threads: Threads to use.
        seed: Of the samples.
    """

    def __init__(self, *, threads: int, seed: int) -> None:
        self._threads = threads
        self._params = xgb.parameters("binary", _PARAMS, metric="auc", n_classes=None, threads=threads, seed=seed)
        self._model = b""
        self.feature_importances_: NDArray[np.float64] = np.empty(0)

    def fit(self, x: NDArray[np.float64], y: NDArray[np.int64], /) -> "DomainClassifier":
        """Learn from rows x columns (NaN: missing) and classes 0 and 1; starts afresh."""
        features = _features(x)
        fitted = xgb.fit(xgb.Rows(features, y.astype(np.float32)), None, self._params, rounds=_ROUNDS)
        self._model = fitted.model
        self.feature_importances_ = np.array([fitted.importance.get(name, 0.0) for name in features.columns])
        return self

    def predict_proba(self, x: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Return the chance of class 1 per row."""
        return xgb.predict(xgb.load(self._model), _features(x), threads=self._threads)


def _features(x: NDArray[np.float64]) -> pl.DataFrame:
    return pl.DataFrame({f"c{place}": x[:, place].astype(np.float32) for place in range(x.shape[1])})
