import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.errors import ConfigError, DataError, EmptyWindowError
from ratoon.evaluation.metrics import metric_value
from ratoon.performance import (
    Calibration,
    calibrate,
    calibrate_histogram,
    density_ratio,
    estimate,
    estimate_from_histograms,
    estimate_histogram,
    score_histogram,
)
from ratoon.performance.estimation import ESTIMATED, estimate_all, expected_metric

_IDENTITY = Calibration(np.array([0.0, 1.0]), np.array([0.0, 1.0]), n_effective=1e12)


def test_expected_metrics_by_hand():
    score, truth = np.array([0.2, 0.6]), np.array([0.25, 0.5])
    one = np.ones(2)
    value, error = expected_metric("accuracy", score, truth, one)
    assert value == (0.75 + 0.5) / 2
    assert error == pytest.approx(math.sqrt(0.1875 + 0.25) / 2)
    assert expected_metric("brier", score, truth, one)[0] == pytest.approx(
        (0.25 * 0.64 + 0.75 * 0.04 + 0.5 * 0.16 + 0.5 * 0.36) / 2
    )
    assert expected_metric("f1", score, truth, one)[0] == pytest.approx(2 * 0.5 / (1 + 0.75))
    logloss = -(0.25 * math.log(0.2) + 0.75 * math.log(0.8) + 0.5 * math.log(0.6) + 0.5 * math.log(0.4)) / 2
    assert expected_metric("logloss", score, truth, one)[0] == pytest.approx(logloss)
    # ones 0.75 in sum, zeros 1.25; won: 0.5 * 0.75 across, half of 0.25 * 0.75 and of 0.5 * 0.5 within
    auc = (0.5 * 0.75 + 0.25 * 0.75 / 2 + 0.5 * 0.5 / 2) / (0.75 * 1.25)
    assert expected_metric("auc", score, truth, one)[0] == pytest.approx(auc)


_chunk = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=2, max_size=30).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


@given(_chunk)
@settings(deadline=None)
def test_certain_labels_give_the_realised_metric_without_sampling_error(rows):
    score, label = (np.array(part, dtype=float) for part in zip(*sorted(rows), strict=True))
    for metric in ("accuracy", "auc", "brier", "logloss"):
        value, error = expected_metric(metric, score, label, np.ones(len(rows)))
        assert value == pytest.approx(metric_value(metric, label, score))
        assert error == 0.0


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=30))
@settings(deadline=None)
def test_calibrated_scores_are_expected_to_do_as_they_say(scores):
    score = np.array(scores)
    assert estimate("accuracy", score, _IDENTITY).value == pytest.approx(np.maximum(score, 1 - score).mean())
    assert estimate("brier", score, _IDENTITY).value == pytest.approx((score * (1 - score)).mean())


@pytest.mark.parametrize("metric", ESTIMATED)
def test_the_sampling_error_is_the_spread_of_realised_metrics(metric):
    rng = np.random.default_rng(0)
    score = np.sort(rng.beta(2, 3, size=400))
    value, error = expected_metric(metric, score, score, np.ones(400))
    came = []
    for _ in range(600):
        label = (rng.random(400) < score).astype(float)
        came.append(
            expected_metric("f1", score, label, np.ones(400))[0]
            if metric == "f1"
            else metric_value(metric, label, score)
        )
    assert np.mean(came) == pytest.approx(value, abs=4 * error / math.sqrt(600) + 0.002)
    assert np.std(came) == pytest.approx(error, rel=0.12)


def test_a_small_reference_adds_to_the_sampling_error():
    score = np.linspace(0, 1, 100)
    small = Calibration(_IDENTITY.scores, _IDENTITY.probabilities, n_effective=100.0)
    assert estimate("accuracy", score, small).sampling_error == pytest.approx(
        math.sqrt(2) * estimate("accuracy", score, _IDENTITY).sampling_error
    )


def test_one_class_only_has_no_auc():
    never = Calibration(np.array([0.0]), np.array([0.0]), n_effective=10.0)
    with pytest.raises(EmptyWindowError, match="one class"):
        estimate("auc", np.array([0.1, 0.9]), never)
    with pytest.raises(EmptyWindowError, match="no 1 is predicted"):
        estimate("f1", np.array([0.1, 0.2]), never)


@pytest.mark.parametrize("score", [[math.nan], [1.5], [-0.1], [math.inf]])
def test_scores_that_are_no_probabilities_are_refused(score):
    with pytest.raises(DataError, match="probabilities"):
        estimate("accuracy", np.array(score), _IDENTITY)


def test_no_row_and_unknown_metrics_are_refused():
    with pytest.raises(EmptyWindowError, match="no row"):
        estimate_all(["accuracy"], np.array([]), _IDENTITY)
    with pytest.raises(ConfigError, match="use accuracy, auc"):
        estimate("rmse", np.array([0.5]), _IDENTITY)


def test_weights_make_the_reference_look_like_the_new_rows():
    # Two kinds of rows with the same scores and other truths; the new rows are of the second kind only.
    rng = np.random.default_rng(4)
    score, second = rng.random(40_000), np.arange(40_000) % 2
    truth = np.where(second, score, 0.5)
    label = (rng.random(40_000) < truth).astype(float)
    new = rng.random(5_000)
    came = np.maximum(new, 1 - new).mean()
    plain = estimate("accuracy", new, calibrate(score, label)).value
    weight = density_ratio(np.where(second, 0.2, 0.0), n_reference=40_000, n_new=5_000)
    weighted = estimate("accuracy", new, calibrate(score, label, weight)).value
    assert abs(weighted - came) < 0.01 < 0.1 < abs(plain - came)


def test_a_density_ratio_is_bayes_rule_clipped_to_mean_one():
    # odds 1/3 and 3 times 300/100 are 1 and 9
    found = density_ratio(np.array([0.25, 0.75]), n_reference=300, n_new=100)
    assert found == pytest.approx([1 / 5, 9 / 5])
    clipped = density_ratio(np.array([0.25, 1.0]), n_reference=300, n_new=100, clip=3.0)
    assert clipped == pytest.approx([1 / 2, 3 / 2])
    with pytest.raises(DataError, match="probabilities"):
        density_ratio(np.array([math.nan]), n_reference=1, n_new=1)
    with pytest.raises(ConfigError, match="below 1"):
        density_ratio(np.array([0.5]), n_reference=1, n_new=1, clip=0.5)


@pytest.mark.parametrize("metric", ESTIMATED)
def test_histograms_estimate_within_their_binning_error(metric):
    rng = np.random.default_rng(2)
    centre = (np.arange(200) + 0.5) / 200
    reference = rng.choice(centre, size=20_000)
    label = (rng.random(20_000) < reference**1.3).astype(float)
    score = np.clip(rng.choice(centre, size=3_000) + rng.uniform(-0.0024, 0.0024, size=3_000), 0, 1)
    fitted = calibrate(reference, label)
    by_bin = calibrate_histogram(score_histogram(reference, label))
    assert by_bin.n_effective == 20_000
    found = estimate_histogram(metric, score_histogram(score, np.full(3_000, math.nan)), by_bin)
    # The calibration is taken per bin, so that the raw side is given the probability of each score's bin.
    order = np.argsort(score)
    binned = fitted(centre)[np.minimum((score[order] * 200).astype(int), 199)]
    raw, _ = expected_metric(metric, score[order], binned, np.ones(3_000))
    assert abs(found.value - raw) <= found.binning_error + 1e-9
    assert (found.binning_error == 0) == (metric in {"accuracy", "f1"})
    assert found.n_rows == 3_000
    assert found == estimate_from_histograms(
        metric, score_histogram(reference, label), score_histogram(score, np.full(3_000, math.nan))
    )


def test_a_histogram_takes_the_weighted_calibration_of_raw_rows():
    weighted = calibrate(np.array([0.1, 0.1, 0.9]), np.array([0, 1, 1]), np.array([3.0, 1.0, 1.0]))
    current = score_histogram(np.array([0.1, 0.9]), np.array([math.nan, math.nan]))
    assert estimate_histogram("accuracy", current, weighted).value == pytest.approx((0.75 + 1.0) / 2, abs=0.005)


def test_histograms_without_labels_or_rows_can_not_estimate():
    open_rows = score_histogram(np.array([0.5]), np.array([math.nan]))
    with pytest.raises(EmptyWindowError, match="needs labelled rows"):
        calibrate_histogram(open_rows)
    with pytest.raises(EmptyWindowError, match="no row"):
        estimate_histogram("accuracy", open_rows - open_rows, _IDENTITY)
