from itertools import pairwise

import numpy as np
import pytest

from ratoon.errors import ConfigError
from ratoon.performance import EstimateHistory, check, make_estimate
from ratoon.performance.estimates import Estimate, error_quantile
from ratoon.performance.estimation import Expected


def _band(value, history, *, error=0.01, reference=0.8, metric="accuracy"):
    return make_estimate(metric, Expected(value, error, 0.0, 1_000), history, reference=reference)


def _past(pairs, *, error=0.01):
    """A history of (estimated, realised) pairs."""
    history = EstimateHistory()
    for place, (estimated, realised) in enumerate(pairs):
        history = check(history, f"c{place}", _band(estimated, history, error=error), realised)
    return history


def test_without_a_past_the_band_is_the_sampling_error_and_not_trusted():
    found = _band(0.8, EstimateHistory())
    assert (found.low, found.high) == (pytest.approx(0.8 - 0.01644854), pytest.approx(0.8 + 0.01644854))
    assert not found.trusted
    assert "assumes that P(y|x) is unchanged" in found.sentence
    assert found.sentence.endswith("No earlier estimate could be checked yet, so don't rely on it.")


def test_past_errors_widen_the_band_to_their_conformal_quantile():
    errors = [0.01 * place for place in range(1, 20)]
    history = _past([(0.5, 0.5 + error) for error in errors]).model_copy(update={"miss_rate": 0.1})
    # ceil(20 * 0.9) = 18th of 19 errors
    assert error_quantile(history) == pytest.approx(0.18)
    assert _band(0.5, history).high == pytest.approx(0.68)


def test_past_error_says_how_wrong_it_was():
    found = _band(0.8, _past([(0.8, 0.7), (0.82, 0.8), (0.7, 0.66)])).past_error
    assert found.n_cohorts == 3
    assert found.mae == pytest.approx((0.1 + 0.02 + 0.04) / 3)
    assert found.bias == pytest.approx(-(0.1 + 0.02 + 0.04) / 3)
    assert found.correlation == pytest.approx(np.corrcoef([0.8, 0.82, 0.7], [0.7, 0.8, 0.66])[0, 1])
    assert found.constant_mae == pytest.approx((0.1 + 0.0 + 0.14) / 3)
    assert found.coverage == pytest.approx(2 / 3)


def test_an_estimator_is_trusted_once_nine_cohorts_agreed():
    pairs = [(0.8 + 0.01 * (place % 4), 0.8 + 0.01 * (place % 4) + 0.005) for place in range(12)]
    assert not _band(0.8, _past(pairs[:8])).trusted
    found = _band(0.8, _past(pairs[:9]))
    assert found.trusted
    assert "don't rely" not in found.sentence


def test_trust_is_lost_within_a_few_cohorts_when_labels_stop_following():
    good = [(0.8, 0.805)] * 40
    for n_bad in range(1, 6):
        bad = [(0.8, 0.6)] * n_bad
        if not _band(0.8, _past([*good, *bad])).trusted:
            break
    assert n_bad <= 2


def test_an_estimator_no_better_than_saying_that_nothing_changed_is_not_trusted():
    rng = np.random.default_rng(0)
    realised = 0.8 + 0.05 * rng.normal(size=20)
    estimated = 0.8 + 0.05 * rng.normal(size=20)
    found = _band(0.8, _past(list(zip(estimated.tolist(), realised.tolist(), strict=True))))
    assert not found.trusted
    assert found.sentence.endswith("don't rely on it.")


def test_bands_hold_the_promised_share_over_time_though_p_of_y_given_x_drifts():
    rng = np.random.default_rng(1)
    history, missed = EstimateHistory(), []
    for place in range(400):
        truth = 0.8 - 0.2 * np.sin(place / 30) + 0.02 * rng.normal()
        found = _band(0.8, history)
        missed.append(not found.low <= truth <= found.high)
        history = check(history, f"c{place}", found, float(truth))
    # Gibbs and Candès, Proposition 4.1: at most 0.1 + (0.9 + 0.02) / (0.02 * 400)
    assert np.mean(missed) <= 0.1 + 0.92 / 8
    assert np.mean(missed[100:]) <= 0.15


def test_misses_make_the_next_bands_wider_and_at_last_the_whole_range():
    history, widths = EstimateHistory(), []
    for place in range(12):
        found = _band(0.8, history)
        widths.append(found.high - found.low)
        history = check(history, f"c{place}", found, max(0.0, found.low - 0.03))
    assert all(later >= earlier for earlier, later in pairwise(widths))
    found = _band(0.8, history.model_copy(update={"miss_rate": -0.01}))
    assert (found.low, found.high) == (0.0, 1.0)


def test_a_cohort_is_checked_once():
    history = _past([(0.8, 0.7)])
    assert check(history, "c0", _band(0.8, history), 0.9) is history


def test_the_last_52_checks_are_remembered():
    history = _past([(0.8, 0.8)] * 60)
    assert [row.cohort for row in history.checked] == [f"c{place}" for place in range(8, 60)]


def test_the_binning_error_widens_the_band():
    plain = _band(0.8, EstimateHistory())
    binned = make_estimate("accuracy", Expected(0.8, 0.01, 0.002, 1_000), EstimateHistory(), reference=0.8)
    assert binned.high - plain.high == pytest.approx(0.002)


def test_bands_stay_within_what_the_metric_can_be():
    found = _band(0.99, EstimateHistory(), error=0.1)
    assert found.high == 1.0
    with pytest.raises(ConfigError, match="is none of auc"):
        _band(1.2, EstimateHistory(), metric="auc")


def test_an_estimate_and_its_history_survive_json():
    history = _past([(0.8, 0.7), (0.8, 0.9)])
    found = _band(0.8, history)
    assert EstimateHistory.model_validate_json(history.model_dump_json()) == history
    assert Estimate.model_validate_json(found.model_dump_json()) == found
