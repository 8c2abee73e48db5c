from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ratoon.errors import ConfigError, DataError
from ratoon.performance.maturity import (
    CohortDelays,
    Forecast,
    bin_of_age,
    cohort_delays,
    end_of_bin,
    enough_by,
    learn_maturity,
)

_START = datetime(2026, 1, 5, tzinfo=UTC)
_DAY = timedelta(days=1)


def _cohort(number, delays_days, as_of, *, never=0):
    """A weekly cohort whose labels take the given days each; ``never`` more rows stay without one."""
    scored = _START + 7 * number * _DAY
    known = [scored + days * _DAY for days in delays_days] + [None] * never
    rows = pl.DataFrame(
        {"scored_at": [scored] * len(known), "known_at": known},
        schema={"scored_at": pl.Datetime("us", "UTC"), "known_at": pl.Datetime("us", "UTC")},
    )
    return cohort_delays(rows, f"w{number}", as_of=as_of)


def test_ages_fall_into_bins_that_end_4_percent_later_at_most():
    ages = np.array([0.0, -5.0, 60.0, 61.0, 86_400.0, 30 * 86_400.0])
    bins = bin_of_age(ages)
    assert bins[:3].tolist() == [0, 0, 0]
    for age, number in zip(ages[3:], bins[3:].tolist(), strict=True):
        assert end_of_bin(number - 1) < age <= end_of_bin(number) <= age * 2 ** (1 / 16) * 1.0001


def test_labels_after_the_time_of_the_question_are_unknown():
    found = _cohort(0, [1, 2, 9], _START + 3 * _DAY)
    assert (found.n_rows, found.n_known, found.age_s) == (3, 2, 3 * 86_400.0)


def test_the_share_by_age_is_what_the_delays_were_made_of():
    as_of = _START + 400 * _DAY
    maturity = learn_maturity([_cohort(number, [1] * 6 + [5] * 3, as_of, never=1) for number in range(10)])
    shares = [maturity.expected_share(days * 86_400) for days in (0.5, 1.1, 4.5, 5.5, 300)]
    assert shares == pytest.approx([0.0, 0.6, 0.6, 0.9, 0.9])
    assert (maturity.n_cohorts, maturity.n_rows) == (10, 100)


def test_young_cohorts_do_not_pull_the_share_down():
    as_of = _START + 66 * _DAY
    cohorts = [_cohort(number, [1] * 5 + [20] * 5, as_of) for number in range(10)]
    naive = sum(cohort.n_known for cohort in cohorts) / 100
    assert naive == 0.85
    assert learn_maturity(cohorts).expected_share(21 * 86_400) == pytest.approx(1.0)


def test_kaplan_and_meier_by_hand():
    # 8 rows lived through day 9, 4 only through day 2.5: hazards 3/12 at day 1, and 2/6 of those left at day 5.
    old = _cohort(0, [1, 1, 5, 5], _START + 9 * _DAY, never=4)
    young = _cohort(1, [1], _START + 9.5 * _DAY, never=3)
    share = learn_maturity([old, young]).share
    assert share[bin_of_age(np.array([5 * 86_400.0]))[0]] == pytest.approx(1 - (9 / 12) * (4 / 6))


def test_nothing_is_said_before_three_cohorts_were_seen():
    as_of = _START + 60 * _DAY
    maturity = learn_maturity([_cohort(number, [1] * 10, as_of) for number in range(2)])
    found = enough_by(_cohort(8, [], as_of, never=10), maturity, share=0.9)
    assert maturity.expected_share(10 * 86_400) is None
    assert (found.at, found.ceiling, found.enough) == (None, None, False)
    assert (
        found.sentence == "0% of this cohort's labels are known; when 90% will be can't be said from 2 earlier cohorts."
    )


def test_a_forecast_names_the_day_and_how_sure_it_is():
    as_of = _START + 200 * _DAY
    maturity = learn_maturity([_cohort(n, [1] * 60 + [8 + n] * 40, as_of) for n in range(11)])
    cohort = _cohort(28, [1] * 60 + [10] * 40, _START + (28 * 7 + 3) * _DAY)
    found = enough_by(cohort, maturity, share=0.9)
    assert (found.share_known, found.enough, found.n_cohorts) == (0.6, False, 11)
    days = [(moment - cohort.scored_at) / _DAY for moment in (found.low, found.at, found.high)]
    # three quarters of what is open: the eighth or ninth of eleven cohorts by the pooled curve, the second and the tenth alone
    assert 9 <= days[0] <= 9 * 1.045
    assert 16 <= days[1] <= 17 * 1.045
    assert 17 <= days[2] <= 17 * 1.045
    assert found.sentence.startswith("60% of this cohort's labels are known; 90% by about 2026-08-0")
    assert Forecast.model_validate_json(found.model_dump_json()) == found


def test_what_is_open_follows_earlier_cohorts_from_its_age_on():
    as_of = _START + 200 * _DAY
    maturity = learn_maturity([_cohort(n, [1] * 50 + [9] * 50, as_of) for n in range(5)])
    behind = _cohort(28, [1] * 46, _START + (28 * 7 + 3) * _DAY, never=54)
    found = enough_by(behind, maturity, share=0.95)
    assert (found.share_known, found.late) == (0.46, False)
    assert 9 <= (found.at - behind.scored_at) / _DAY <= 9 * 1.045


def test_a_share_that_is_never_reached_is_said_to_be():
    as_of = _START + 200 * _DAY
    maturity = learn_maturity([_cohort(n, [1] * 8, as_of, never=2) for n in range(6)])
    found = enough_by(_cohort(28, [], _START + (28 * 7 + 0.5) * _DAY, never=10), maturity, share=0.9)
    assert (found.at, found.low, found.high) == (None, None, None)
    assert found.ceiling == pytest.approx(0.8)
    assert found.sentence.endswith("90% is not expected: about 80% ever get a label, by 6 earlier cohorts.")


def test_a_cohort_whose_labels_did_not_come_is_late_not_hopeless():
    as_of = _START + 200 * _DAY
    maturity = learn_maturity([_cohort(n, [1] * 8, as_of, never=2) for n in range(6)])
    found = enough_by(_cohort(28, [], as_of, never=10), maturity, share=0.5)
    assert (found.late, found.at, found.ceiling) == (True, None, pytest.approx(0.8))
    assert found.sentence.endswith("it is late: of 6 cohorts nine in ten had at least 80% at this age.")


def test_a_late_cohort_is_not_compared_with_itself():
    as_of = _START + 200 * _DAY
    late = _cohort(28, [], as_of, never=10)
    maturity = learn_maturity([*[_cohort(n, [1] * 8, as_of, never=2) for n in range(6)], late])
    assert maturity.n_cohorts == 7
    assert enough_by(late, maturity, share=0.5).late


def test_enough_is_enough():
    as_of = _START + 200 * _DAY
    found = enough_by(_cohort(0, [1] * 8, as_of, never=2), learn_maturity([]), n_needed=8)
    assert (found.enough, found.share_needed) == (True, 0.8)
    assert found.sentence == "80% of this cohort's labels are known: enough."


def test_cohorts_that_are_too_young_to_tell_are_no_fast_ones():
    as_of = _START + 100 * _DAY
    slow = [_cohort(n, [30] * 10, as_of) for n in range(6)]
    young = [_cohort(n, [], as_of, never=10) for n in (11, 12, 13)]
    found = enough_by(_cohort(14, [], as_of, never=10), learn_maturity([*slow, *young]), share=0.9)
    assert (found.low - (_START + 98 * _DAY)) / _DAY >= 30


def test_delays_survive_json():
    found = _cohort(0, [1, 2], _START + 3 * _DAY, never=1)
    assert CohortDelays.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("needs", [{}, {"share": 0.5, "n_needed": 5}, {"share": 0.0}, {"n_needed": -1}])
def test_a_question_that_makes_no_sense_is_refused(needs):
    with pytest.raises(ConfigError):
        enough_by(_cohort(0, [1], _START + 3 * _DAY), learn_maturity([]), **needs)


def test_rows_without_a_time_of_scoring_are_refused():
    with pytest.raises(DataError, match="scored_at"):
        cohort_delays(pl.DataFrame({"known_at": [None]}), "w0", as_of=_START)
