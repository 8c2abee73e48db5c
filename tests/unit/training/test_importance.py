import numpy as np
import polars as pl
import pytest

from ratoon.training.importance import MAX_ROWS, column_importance

ROWS = pl.DataFrame({"a": np.arange(5_000.0) % 97, "b": np.arange(5_000.0) % 89, "c": np.arange(5_000.0) % 83})


def weighted(**weights):
    return lambda rows: sum(weight * rows[name].to_numpy() for name, weight in weights.items()) + np.zeros(rows.height)


def test_shares_follow_how_far_each_column_moves_the_prediction():
    found = column_importance(weighted(a=3.0, b=1.0), ROWS, ["a", "b", "c"], seed=0)

    # A shuffled column of u distinct even values moves by a third of its range on average: 3 * 97 : 1 * 89.
    assert found["a"] == pytest.approx(291 / 380, abs=0.02)
    assert found["b"] == pytest.approx(89 / 380, abs=0.02)
    assert found["c"] == 0


def test_shares_are_zero_where_nothing_moves_the_prediction_or_there_is_no_row():
    constant = column_importance(weighted(), ROWS, ["a", "b"], seed=0)
    empty = column_importance(weighted(a=1.0), ROWS.clear(), ["a", "b"], seed=0)

    assert constant == empty == {"a": 0.0, "b": 0.0}


def test_a_class_probability_that_moves_counts():
    found = column_importance(lambda rows: np.column_stack([rows["a"], -rows["a"]]), ROWS, ["a", "b"], seed=0)

    assert found == {"a": 1.0, "b": 0.0}


def test_the_sample_is_bounded_and_the_same_seed_gives_the_same_shares():
    heights = []

    def predict(rows):
        heights.append(rows.height)
        return rows["a"].to_numpy() * rows["b"].to_numpy()

    first, second = (column_importance(predict, ROWS, ["a", "b"], seed=3) for _ in range(2))

    assert first == second
    assert max(heights) <= MAX_ROWS
