import math

import numpy as np
import polars as pl
import pytest

from ratoon.drift.domain import auc_with_error, domain_test
from ratoon.errors import DataError


class Products:
    """Tells classes apart by the logistic regression on columns and their products, by a few Newton steps."""

    def fit(self, x, y):
        self._fill = np.nanmean(x, axis=0)
        self._sd = np.nanstd(x, axis=0) + 1e-9
        features = self._features(x)
        self._weights = np.zeros(features.shape[1])
        for _ in range(8):
            p = 1 / (1 + np.exp(-features @ self._weights))
            hessian = (features * (p * (1 - p))[:, None]).T @ features + 1e-3 * np.eye(features.shape[1])
            self._weights += np.linalg.solve(hessian, features.T @ (y - p) - 1e-3 * self._weights)
        self.feature_importances_ = np.abs(self._weights[1 : 1 + x.shape[1]])

    def predict_proba(self, x):
        p = 1 / (1 + np.exp(-self._features(x) @ self._weights))
        return np.column_stack([1 - p, p])

    def _features(self, x):
        z = (np.where(np.isnan(x), self._fill, x) - self._fill) / self._sd
        products = (z[:, :, None] * z[:, None, :])[:, *np.triu_indices(z.shape[1])]
        return np.column_stack([np.ones(len(z)), z, products])


def _rows(rng, n, *, correlation=0.0, shift=0.0, top=0.5):
    x, e = rng.normal(size=(2, n))
    return pl.DataFrame(
        {
            "x": x + shift,
            "y": correlation * x + (1 - correlation**2) ** 0.5 * e,
            "c": pl.Series(rng.choice(["a", "b", ""], n, p=[top, 0.9 - top, 0.1])).replace("", None),
            "at": pl.Series(np.arange(n)).cast(pl.Datetime),
        }
    )


def test_the_area_and_its_error_equal_arithmetic_by_hand():
    # placements of the high ones 1/2 and 1, of the low ones 1 and 1/2: variances 1/8 each, over 2 rows each
    area, error = auc_with_error(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    assert (area, error) == (pytest.approx(0.75), pytest.approx(math.sqrt(1 / 16 + 1 / 16)))


def test_ties_count_half():
    assert auc_with_error(np.zeros(6), np.array([0, 1] * 3))[0] == 0.5


def test_the_error_is_the_spread_of_the_area_over_samples():
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1], [150, 100])
    found = np.array([auc_with_error(rng.normal(size=250) + y, y) for _ in range(400)])
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.15)


def test_windows_of_one_population_are_not_told_apart():
    rng = np.random.default_rng(2)
    results = [domain_test(_rows(rng, 600), _rows(rng, 500), Products(), seed=at) for at in range(20)]
    assert not any(result.drifted for result in results)
    assert np.mean([result.auc for result in results]) == pytest.approx(0.5, abs=0.02)
    assert "can't tell" in results[0].sentence


def test_a_rotation_that_keeps_every_columns_distribution_is_told_apart():
    rng = np.random.default_rng(3)
    result = domain_test(_rows(rng, 800, correlation=0.8), _rows(rng, 800, correlation=-0.8), Products(), seed=1)
    assert result.drifted
    assert result.auc > 0.8


def test_a_small_but_certain_difference_is_no_drift():
    rng = np.random.default_rng(4)
    result = domain_test(_rows(rng, 20_000), _rows(rng, 20_000, shift=0.1), Products(), seed=1)
    assert 0.5 + 3 * result.standard_error < result.auc < 0.55
    assert not result.drifted


def test_a_large_difference_of_few_rows_is_no_drift():
    rng = np.random.default_rng(5)
    result = domain_test(_rows(rng, 10), _rows(rng, 10, shift=0.8), Products(), seed=1, folds=2)
    assert result.auc > 0.55
    assert result.auc < 0.5 + 3 * result.standard_error
    assert not result.drifted


def test_columns_are_ranked_by_what_the_classifier_makes_of_them_and_times_are_left_out():
    rng = np.random.default_rng(6)
    result = domain_test(_rows(rng, 800), _rows(rng, 800, shift=1.0, top=0.6), Products(), seed=1)
    assert result.columns[0][0] == "x"
    assert sum(share for _, share in result.columns) == pytest.approx(1)
    assert result.left_out == ["at"]
    assert "mostly by x" in result.sentence


def test_the_verdict_is_a_function_of_rows_and_seed():
    rows = [_rows(np.random.default_rng(at), 300, shift=at / 2) for at in (0, 1)]
    assert domain_test(*rows, Products(), seed=7) == domain_test(*rows, Products(), seed=7)
    assert domain_test(*rows, Products(), seed=7) != domain_test(*rows, Products(), seed=8)


def test_a_classifier_may_return_one_chance_per_row_and_say_nothing_of_columns():
    class First:
        def fit(self, x, y):
            pass

        def predict_proba(self, x):
            return x[:, 0]

    rows = [_rows(np.random.default_rng(at), 300, shift=at) for at in (0, 1)]
    result = domain_test(*rows, First(), seed=1)
    assert result.drifted
    assert result.columns == []


def test_a_column_of_another_type_on_each_side_is_left_out():
    rows = [_rows(np.random.default_rng(at), 300) for at in (0, 1)]
    assert domain_test(rows[0], rows[1].with_columns(pl.lit("text").alias("x")), Products(), seed=1).left_out == [
        "x",
        "at",
    ]


def test_windows_of_other_columns_too_few_rows_or_times_only_are_refused():
    rows = _rows(np.random.default_rng(1), 50)
    for other in (rows.drop("x"), rows[:3]):
        with pytest.raises(DataError, match="give both the same columns"):
            domain_test(rows, other, Products(), seed=1)
    with pytest.raises(DataError, match="no number"):
        domain_test(rows.select("at"), rows.select("at"), Products(), seed=1)
