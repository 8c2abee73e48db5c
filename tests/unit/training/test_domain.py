import numpy as np
import polars as pl

from ratoon.drift.domain import domain_test
from ratoon.training.domain import DomainClassifier


def windows(rho, n=2_000):
    """Two columns whose own distributions are the same on both sides; only how they hang together is not."""
    draws = np.random.default_rng(3)
    sides = [draws.multivariate_normal([0, 0], [[1, r], [r, 1]], n) for r in (0.0, rho)]
    return [pl.DataFrame({"a": side[:, 0], "b": side[:, 1], "c": draws.normal(size=n)}) for side in sides]


def told_apart(rho):
    return domain_test(*windows(rho), DomainClassifier(threads=1, seed=0), seed=0, folds=3)


def test_a_rotation_that_keeps_each_columns_distribution_is_seen_and_its_columns_are_named():
    found = told_apart(0.8)

    assert found.drifted
    assert {name for name, _ in found.columns[:2]} == {"a", "b"}


def test_windows_of_one_population_are_not_told_apart():
    found = told_apart(0.0)

    assert not found.drifted
    assert abs(found.auc - 0.5) < 0.04
