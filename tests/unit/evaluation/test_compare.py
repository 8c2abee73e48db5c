import numpy as np
import pytest

from ratoon.declarations import Metric
from ratoon.evaluation.compare import compare
from ratoon.evaluation.metrics import metric_value


def scored(n=4_000, noise=0.8, seed=1):
    rng = np.random.default_rng(seed)
    logit = rng.normal(size=n)
    label = (rng.random(n) < 1 / (1 + np.exp(-2 * logit))).astype(float)
    good = 1 / (1 + np.exp(-2 * logit))
    worse = 1 / (1 + np.exp(-2 * (logit + noise * rng.normal(size=n))))
    return label, good, worse


BINARY: list[Metric] = ["auc", "logloss", "accuracy", "brier"]


def against(metric, label, candidate, champion, seed=0, confidence=0.95):
    found = compare(metric, label, candidate, {"champion": champion}, confidence=confidence, seed=seed)
    return found.values, found.gains["champion"]


@pytest.mark.parametrize("metric", BINARY)
def test_values_are_the_metric_itself_and_lie_in_their_intervals(metric):
    label, good, worse = scored()
    values, gain = against(metric, label, good, worse)

    assert values["candidate"].value == metric_value(metric, label, good)
    assert values["champion"].low < values["champion"].value < values["champion"].high
    assert gain.low < gain.value < gain.high


@pytest.mark.parametrize("metric", BINARY)
def test_a_gain_is_positive_where_the_candidate_is_better_and_turns_with_the_sides(metric):
    label, good, worse = scored()
    _, gain = against(metric, label, good, worse)
    _, loss = against(metric, label, worse, good)

    assert gain.low > 0
    assert (loss.value, loss.low, loss.high) == pytest.approx((-gain.value, -gain.high, -gain.low))


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_errors_of_regression_are_turned_so_that_smaller_is_a_gain(metric):
    rng = np.random.default_rng(0)
    label = rng.normal(size=500)
    _, gain = against(metric, label, label + 0.1 * rng.normal(size=500), label + rng.normal(size=500))

    assert gain.low > 0


def test_multiclass_scores_are_compared():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 600).astype(float)
    good = 0.6 * np.eye(3)[label.astype(int)] + 0.4 / 3
    _, gain = against("logloss", label, good, np.full((600, 3), 1 / 3))

    assert gain.low > 0


@pytest.mark.parametrize("metric", BINARY)
def test_a_model_has_no_gain_over_itself(metric):
    label, good, _ = scored(n=500)
    _, gain = against(metric, label, good, good)

    assert (gain.value, gain.low, gain.high) == (0, 0, 0)


def test_equal_seeds_give_equal_intervals_and_others_do_not():
    label, good, worse = scored(n=600)

    assert against("auc", label, good, worse) == against("auc", label, good, worse)
    assert against("auc", label, good, worse) != against("auc", label, good, worse, seed=1)


def test_a_paired_gain_is_known_better_than_the_values_that_it_is_made_of():
    label, good, worse = scored(noise=0.3)
    values, gain = against("logloss", label, good, worse)

    assert gain.high - gain.low < 0.7 * (values["candidate"].high - values["candidate"].low)


@pytest.mark.parametrize("metric", BINARY)
def test_the_interval_agrees_with_resampling_row_by_row(metric):
    label, good, worse = scored(n=900)
    _, gain = against(metric, label, good, worse)
    rng = np.random.default_rng(5)
    sign = 1 if metric in ("auc", "accuracy") else -1
    draws = []
    for _ in range(300):
        pick = rng.integers(0, 900, 900)
        draws.append(
            sign * (metric_value(metric, label[pick], good[pick]) - metric_value(metric, label[pick], worse[pick]))
        )

    low, high = np.quantile(draws, [0.025, 0.975])
    width = high - low
    assert gain.low == pytest.approx(low, abs=0.2 * width)
    assert gain.high == pytest.approx(high, abs=0.2 * width)


def test_luck_that_neighbouring_rows_share_widens_the_interval():
    rng = np.random.default_rng(2)
    shared = np.repeat(rng.normal(size=500), 100)
    own = rng.permutation(shared)
    label = np.zeros(50_000)

    widths = [against("rmse", label, 1 + 0.5 * luck, np.ones(50_000))[1] for luck in (shared, own)]

    assert widths[0].high - widths[0].low > 3 * (widths[1].high - widths[1].low)


def test_a_metric_that_is_not_defined_gives_no_comparison():
    assert compare("auc", np.ones(50), np.ones(50), {}, confidence=0.95, seed=0) is None
    assert compare("logloss", np.ones(0), np.ones(0), {}, confidence=0.95, seed=0) is None


def test_a_handful_of_rows_gives_a_value_without_bounds():
    values, gain = against("accuracy", np.ones(9), np.ones(9), np.zeros(9))

    assert (values["candidate"].value, gain.value) == (1, 1)
    assert gain.low is None
