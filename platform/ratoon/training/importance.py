"""How much a model's predictions depend on each column of its dataset, whatever its features are made of."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

MAX_ROWS: Final = 2_000
"""Rows that are looked at, evenly spread over those given: the measure is a mean, and its noise is small."""


def column_importance(
    predict: Callable[[pl.DataFrame], NDArray[np.float64]], rows: pl.DataFrame, columns: Sequence[str], *, seed: int
) -> dict[str, float]:
    """Compute each column's share of how far predictions move when its values are shuffled.

    The column is permuted among the rows and everything that is computed from it follows: so a column counts for
    all features that it feeds, which gain importances of features can't say (permutation importance, Breiman 2001,
    "Random forests", section 10, with the prediction's move in place of the loss, which needs no labels and is less
    noisy).

    Args:
        predict: Scores rows, in their order: (n,) or (n, k).
        rows: Rows with at least the columns.
        columns: Which columns.
        seed: Of the permutations.

    Returns:
        Share by column, >= 0; they sum to 1, or are all 0 where no column moves a prediction (or there is no row).
    """
    sample = rows.gather_every(max(1, rows.height // MAX_ROWS)).head(MAX_ROWS)
    if sample.is_empty():
        return dict.fromkeys(columns, 0.0)
    scores = predict(sample)
    draws = np.random.default_rng(seed)
    moves = {
        name: float(
            np.abs(predict(sample.with_columns(sample[name].gather(draws.permutation(sample.height)))) - scores).mean()
        )
        for name in columns
    }
    total = sum(moves.values())
    return {name: move / total if total else 0.0 for name, move in moves.items()}
