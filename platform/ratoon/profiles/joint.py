"""How numeric columns move together: exact integer sums of their scores' products.

A column's score is z = rint(clip((x - center) * (2 / scale), -8, 8)), an integer: half a standard deviation wide,
and bounded, so that no outlier rules the sums. A missing value scores 0. Over k columns in the order of their names,
the joint row's counts are the k sums of z_i and then the k (k + 1) / 2 sums of z_i z_j for i <= j, row by row. Being
integers they add up and subtract exactly, whatever the order of rows.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon.profiles.binning import Binning
from ratoon.profiles.kinds import JOINT

LARGEST_SCORE: Final = 8
_BLOCK: Final = 1 << 15
"""Rows that are multiplied at once: a float32 holds every integer up to 2^24 = 64 * 262,144, so that these sums of
products are exact in any order; and a block stays in the processor's cache."""


class JointSums:
    """The sums over the pieces of one batch."""

    def __init__(self, binning: Binning) -> None:
        self.names = list(binning.joint)
        parts = [binning.columns[name] for name in self.names]
        self._centers = [column.center or 0.0 for column in parts]
        self._factors = [2 / (column.scale or 1.0) for column in parts]
        # The last row is 1 everywhere: its products with the others are their sums.
        self._products = np.zeros((len(parts) + 1, len(parts) + 1), dtype=np.int64)
        self._scores = np.ones((len(parts) + 1, _BLOCK), dtype=np.float32)
        self._work = np.empty(_BLOCK)

    def add(self, chunk: pl.DataFrame) -> None:
        """Add the rows of a piece."""
        columns = [chunk[name].cast(pl.Float64) for name in self.names]
        for start in range(0, chunk.height, _BLOCK):
            scores = self._scores[:, : min(_BLOCK, chunk.height - start)]
            for at, values in enumerate(columns):
                raw = values.slice(start, scores.shape[1]).to_numpy()
                _write_scores(raw, self._centers[at], self._factors[at], self._work[: len(raw)], scores[at])
            self._products += (scores @ scores.T).astype(np.int64)

    def row(self, n_rows: int) -> dict[str, Any]:
        """Return the fields of the joint row that are neither 0 nor null."""
        return {"column": JOINT, "kind": "joint", "n": n_rows, "counts": self._counts(), "categories": self.names}

    def _counts(self) -> list[int]:
        k = len(self.names)
        counted: list[int] = [*self._products[k, :k].tolist(), *self._products[:k, :k][np.triu_indices(k)].tolist()]
        return counted


def _write_scores(
    raw: NDArray[np.float64], center: float, factor: float, work: NDArray[np.float64], scores: NDArray[np.float32]
) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        np.subtract(raw, center, out=work)
        np.multiply(work, factor, out=work)
        total = work.sum()
    if not np.isfinite(total):
        work[~np.isfinite(raw)] = 0.0
    np.clip(work, -LARGEST_SCORE, LARGEST_SCORE, out=work)
    np.rint(work, out=scores, casting="same_kind")


def matrix(counts: Sequence[int], n_columns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sums (k) and the symmetric matrix of products (k x k) that a joint row's counts hold."""
    flat = np.asarray(counts, dtype=np.int64)
    products = np.zeros((n_columns, n_columns), dtype=np.int64)
    rows, columns = np.triu_indices(n_columns)
    products[rows, columns] = products[columns, rows] = flat[n_columns:]
    return flat[:n_columns], products
