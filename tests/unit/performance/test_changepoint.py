import numpy as np
import pytest
from scipy import stats

from ratoon.performance import ChangeSettings, ChangeState, CohortLoss, cohort_loss, judge_change, observe, restart


def _state(losses, *, n_rows=10**9, variance=0.0, state=None):
    state = state or ChangeState()
    for place, loss in enumerate(losses):
        cohort = CohortLoss(cohort=f"w{place}", loss=float(loss), n_rows=n_rows, variance=variance)
        state = observe(state, cohort)
    return state


def _first_alarm(losses, settings=None, **more):
    state = ChangeState()
    for place, loss in enumerate(losses):
        state = observe(state, CohortLoss(cohort=f"w{place}", loss=float(loss), n_rows=10**9, variance=0.0, **more))
        verdict = judge_change(state, settings or ChangeSettings())
        if verdict.alarm:
            return place, verdict
    return None, None


def _weekly(rng, n, rho=0.0):
    noise = rng.normal(size=n)
    for place in range(1, n):
        noise[place] = rho * noise[place - 1] + np.sqrt(1 - rho**2) * noise[place]
    return 0.15 + 0.01 * noise


@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_false_alarms_of_a_quarter_stay_within_the_budget(rho):
    runs, alarms = 80, 0
    for seed in range(runs):
        place, _ = _first_alarm(_weekly(np.random.default_rng(seed), 8 + 13, rho))
        alarms += place is not None
    # at a true rate of 0.05 more than 8 of 80 come in 2 % of repeats; the seeds are fixed
    assert alarms <= 8


def test_a_rise_is_found_soon_and_its_beginning_is_named():
    found = []
    for seed in range(30):
        losses = _weekly(np.random.default_rng(seed), 32)
        losses[25:] += 0.04
        place, verdict = _first_alarm(losses)
        assert place is not None
        found.append((place, verdict.began, verdict.worse_by))
    late = [(place, began, worse) for place, began, worse in found if place >= 25]
    assert len(late) >= 28
    assert np.median([place for place, _, _ in late]) <= 26
    assert sum(began in {"w24", "w25", "w26"} for _, began, _ in late) >= 26
    assert np.median([worse for _, _, worse in late]) == pytest.approx(0.04, abs=0.01)


def test_an_improvement_is_ignored():
    losses = _weekly(np.random.default_rng(3), 40)
    losses[20:] -= 0.08
    assert _first_alarm(losses) == (None, None)


def test_one_wild_week_among_calm_ones_is_no_change():
    losses = _weekly(np.random.default_rng(5), 40)
    losses[25] += 0.045
    assert _first_alarm(losses) == (None, None)


def test_noise_that_sampling_explains_is_no_change():
    rng = np.random.default_rng(1)
    state = ChangeState()
    for place in range(12):
        small = 50 if place >= 10 else 10**7
        loss = 0.15 if place < 10 else 0.15 + 0.03 + 0.001 * rng.normal()
        state = observe(state, CohortLoss(cohort=f"w{place}", loss=loss, n_rows=small, variance=0.1275))
    assert not judge_change(state, ChangeSettings()).alarm
    certain = [cohort.model_copy(update={"n_rows": 10**7}) for cohort in state.cohorts]
    assert judge_change(ChangeState(cohorts=certain), ChangeSettings()).alarm


def test_a_significant_but_tiny_rise_does_not_matter():
    losses = [0.15, 0.1500001] * 10 + [0.1503, 0.1503001] * 5
    assert judge_change(_state(losses), ChangeSettings(min_worse=0.0)).alarm
    verdict = judge_change(_state(losses), ChangeSettings())
    assert verdict.p_value < verdict.alpha
    assert not verdict.alarm
    assert verdict.sentence.startswith(
        "The loss rose from 0.15 to 0.1503 (0.2%) with cohort w20, 10 of 30 cohorts ago, less than"
    )


def test_the_p_value_is_that_of_a_corrected_t_test_where_noise_is_white_and_symmetric():
    # 10 before, 1 after: of the candidates only m = 1 exists, so that no correction is left. The lag-1 products of the
    # residuals are so negative that no autocorrelation is assumed, and they are symmetric: the plain two-sample t test.
    root = np.array([0.4, 0.42] * 5 + [0.5])
    expected = stats.ttest_ind(root[10:], root[:10], alternative="greater", equal_var=True)
    verdict = judge_change(_state(root**2), ChangeSettings(min_before=10))
    assert verdict.p_value == pytest.approx(expected.pvalue, rel=1e-6)


def test_too_few_cohorts_are_not_judged():
    verdict = judge_change(_state([0.1] * 5), ChangeSettings())
    assert (verdict.judged, verdict.alarm, verdict.began) == (False, False, None)
    assert verdict.sentence == "A change is not judged yet: 5 matured cohorts of 9."


def test_noise_of_earlier_versions_lets_a_new_one_be_judged_sooner():
    rng = np.random.default_rng(7)
    state = restart(_state(_weekly(rng, 20)))
    assert (state.cohorts, state.noise.freedom) == ([], 18.0)
    state = _state([0.12, 0.13, 0.12, 0.19, 0.2], state=state)
    verdict = judge_change(state, ChangeSettings())
    assert verdict.alarm
    assert verdict.began == "w3"


def test_a_change_is_not_taken_for_noise_at_a_restart():
    losses = _weekly(np.random.default_rng(2), 30)
    calm = restart(_state(losses)).noise.squares
    losses[15:] += 0.2
    assert restart(_state(losses)).noise.squares < 2 * calm


def test_labels_that_come_later_replace_a_cohort_in_its_place():
    state = _state([0.1, 0.2, 0.3])
    again = observe(state, CohortLoss(cohort="w1", loss=0.5, n_rows=5, variance=0.0))
    assert [cohort.loss for cohort in again.cohorts] == [0.1, 0.5, 0.3]


def test_constant_losses_are_no_alarm():
    for loss in (0.0, 0.25):
        verdict = judge_change(_state([loss] * 30), ChangeSettings())
        assert (verdict.judged, verdict.alarm) == (True, False)


def test_an_alarm_after_constant_losses_says_how_much_worse():
    verdict = judge_change(_state([0.25] * 20 + [0.36] * 3), ChangeSettings())
    assert verdict.alarm
    assert (verdict.began, verdict.before, verdict.worse_by) == ("w20", 0.25, pytest.approx(0.11))
    assert verdict.sentence.startswith("The loss rose from 0.25 to 0.36 (44.0%) with cohort w20, 3 of 23 cohorts ago")


def test_a_cohorts_loss_is_summed_over_its_matured_rows():
    found = cohort_loss("w0", "auc", np.array([0, 1]), np.array([0.2, 0.4]))
    assert (found.loss, found.n_rows) == (pytest.approx((0.04 + 0.36) / 2), 2)
    assert found.variance == pytest.approx(0.16**2)
    assert cohort_loss("w0", "accuracy", np.array([]), np.array([])) is None


def test_a_state_survives_json():
    state = restart(_state([0.1, 0.2, 0.1, 0.3, 0.2]))
    state = _state([0.1, 0.3], state=state)
    assert ChangeState.model_validate_json(state.model_dump_json()) == state
