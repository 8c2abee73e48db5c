import numpy as np
import pytest

from ratoon.drift.joint import compare_pairs, inflation
from ratoon.drift.sides import JointCounts

UNKNOWN = np.full(3, np.inf)


def _counts(scores):
    upper = (scores.T @ scores)[np.triu_indices(scores.shape[1])]
    names = [f"x{at}" for at in range(scores.shape[1])]
    return JointCounts(columns=names, n=len(scores), counts=[int(c) for c in (*scores.sum(axis=0), *upper)])


def _scores(rng, n, correlation=0.0):
    x, e, other = rng.normal(size=(3, n))
    y = correlation * x + (1 - correlation**2) ** 0.5 * e
    return np.rint(np.clip(2 * np.column_stack([x, y, other]), -8, 8)).astype(np.int64)


def test_correlations_are_numpys():
    rng = np.random.default_rng(1)
    sides = _scores(rng, 700, 0.6), _scores(rng, 900, -0.2)
    pairs = compare_pairs(*(_counts(side) for side in sides), UNKNOWN, set())
    for side, ours in zip(sides, (pairs.reference, pairs.current), strict=True):
        assert ours == pytest.approx(np.corrcoef(side.T)[np.triu_indices(3, 1)])


def test_a_constant_or_excluded_column_is_in_no_test():
    rng = np.random.default_rng(2)
    before, after = _scores(rng, 5_000, 0.9), _scores(rng, 5_000, -0.9)
    assert (compare_pairs(_counts(before), _counts(after), UNKNOWN, set()).p_value < 1e-6).tolist() == [
        True,
        False,
        False,
    ]
    assert compare_pairs(_counts(before), _counts(after), UNKNOWN, {"x1"}).p_value[0] == 1
    after[:, 1] = 3
    assert compare_pairs(_counts(before), _counts(after), UNKNOWN, set()).p_value.tolist()[0] == 1


def _rows_over_midnight(rng, n):
    """Draw hours of departure and arrival: close to each other, but for flights over midnight."""
    departs = rng.uniform(5, 24, n)
    arrives = (departs + rng.uniform(1, 4, n)) % 24
    return departs, arrives


def _shared_size(rng, n):
    """Draw values that are large together, in no common direction."""
    size = np.exp(rng.normal(size=n))
    return size * rng.normal(size=n), size * rng.normal(size=n)


@pytest.mark.parametrize("draw", [_rows_over_midnight, _shared_size], ids=["over midnight", "a shared size"])
def test_the_inflation_bounds_the_variance_of_data_that_is_not_normal(draw):
    rng = np.random.default_rng(3)
    x, y = draw(rng, 200_000)
    scores = [
        np.rint(np.clip(2 * (v - np.median(v)) / (np.subtract(*np.quantile(v, [0.75, 0.25])) / 1.349), -8, 8))
        for v in (x, y)
    ]
    z = [np.arctanh(np.corrcoef(*(s[at : at + 500] for s in scores))[0, 1]) for at in range(0, 200_000, 500)]
    seen = np.var(z) * 497
    extent = [np.array([np.abs(s - s.mean()).max() / s.std()]) for s in scores]
    assert 1.5 < seen <= inflation(np.array([np.corrcoef(*scores)[0, 1]]), *extent)[0]


def test_uncorrelated_values_within_two_deviations_are_inflated_by_four():
    # E x² e² <= E x⁴ <= max x² = 4, at r = 0
    assert inflation(np.array([0.0]), np.array([2.0]), np.array([2.0]))[0] == pytest.approx(4)
