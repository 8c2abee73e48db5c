from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratoon.drift.budget import Look, looks_per_day, next_alpha, quarter, share_of_budget
from ratoon.monitoring import DriftSettings

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def _spend(times, settings=None):
    looks = []
    for at in times:
        looks.append(Look(at=at, alpha=next_alpha(settings or DriftSettings(), looks, at)))
    return looks


@pytest.mark.parametrize(
    ("month", "first", "last"), [(1, 1, 4), (3, 1, 4), (4, 4, 7), (6, 4, 7), (9, 7, 10), (10, 10, 1), (12, 10, 1)]
)
def test_a_quarter_begins_in_january_april_july_or_october(month, first, last):
    start, end = quarter(datetime(2025, month, 15, 12, tzinfo=UTC))
    assert (start, end) == (datetime(2025, first, 1, tzinfo=UTC), datetime(2025 + (last == 1), last, 1, tzinfo=UTC))


def test_what_is_left_is_shared_by_this_look_those_to_come_and_one_in_reserve():
    settings = DriftSettings(false_alarms_per_quarter=0.05)
    assert share_of_budget(settings, spent=0.01, looks_to_come=8) == pytest.approx(0.004)


def test_one_report_never_spends_more_than_its_own_alpha():
    settings = DriftSettings(alpha=0.002, false_alarms_per_quarter=0.5)
    assert share_of_budget(settings, spent=0, looks_to_come=1) == 0.002


def test_a_spent_budget_leaves_nothing():
    assert share_of_budget(DriftSettings(), spent=0.06, looks_to_come=1) == 0


def test_daily_looks_spend_evenly_and_nearly_all():
    alphas = [look.alpha for look in _spend([START + at * DAY for at in range(90)])]
    assert 0.045 < sum(alphas) < 0.05
    assert max(alphas) < 1.3 * min(alphas)


def test_a_new_quarter_has_a_new_budget():
    looks = _spend([START + at * DAY for at in range(365)])
    for month in (1, 4, 7, 10):
        start, end = quarter(datetime(2025, month, 1, tzinfo=UTC))
        assert 0.04 < sum(look.alpha for look in looks if start <= look.at < end) < 0.05


def test_rare_looks_may_spend_more_each():
    daily, weekly = (_spend([START + at * days * DAY for at in range(12)])[-1].alpha for days in (1, 7))
    assert weekly > 3 * daily


@given(st.lists(st.floats(0, 89.9), min_size=1, max_size=120), st.floats(0.001, 0.999), st.floats(1e-4, 0.5))
def test_the_sum_of_a_quarter_stays_within_the_budget_however_many_looks_come(days, budget, alpha):
    settings = DriftSettings(false_alarms_per_quarter=budget, alpha=alpha)
    looks = _spend([START + day * DAY for day in sorted(days)], settings)
    assert sum(look.alpha for look in looks) <= budget
    assert all(0 < look.alpha <= alpha for look in looks)


def test_the_plan_does_not_depend_on_the_order_of_the_looks_or_on_later_ones():
    looks = _spend([START + at * DAY for at in range(20)])
    now = START + 20 * DAY
    later = Look(at=now + DAY, alpha=0.01)
    assert next_alpha(DriftSettings(), [later, *reversed(looks)], now) == next_alpha(DriftSettings(), looks, now)


def test_the_rate_of_looks_is_that_of_the_last_quarter():
    assert looks_per_day([], START) == 1
    assert looks_per_day([START - 10 * DAY, START - 5 * DAY, START - 300 * DAY], START) == pytest.approx(0.2)
    assert looks_per_day([START] * 5, START + timedelta(minutes=1)) == 5
