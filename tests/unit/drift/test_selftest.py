import numpy as np
import polars as pl
import pytest

from ratoon.drift.selftest import LADDER, SelfTest, self_test, shifted
from ratoon.errors import EmptyWindowError
from ratoon.monitoring import ColumnDials, DriftSettings
from ratoon.profiles import make_binning

SETTINGS = DriftSettings()


def _frame(n=3_000, seed=1):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "x": rng.normal(10, 2, n),
            "k": rng.integers(0, 50, n),
            "c": rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
            "t": rng.random(n) < 0.3,
        }
    )


@pytest.fixture(scope="module")
def tested():
    told = []
    result = self_test(
        _frame(),
        None,
        SETTINGS,
        n_rows=1_000,
        repeats=20,
        shifted_repeats=6,
        seed=3,
        progress=lambda *at: told.append(at),
    )
    return result, told


def test_a_good_configuration_raises_no_alarm_and_sees_what_is_large(tested):
    result, _ = tested
    power = {(shift.kind, shift.size): shift.power for shift in result.shifts}
    assert result.false_alarms == 0
    assert power["mean", 1.0] == power["nulls", 0.1] == power["new_category", 0.1] == power["swap", 1.0] == 1
    assert power["mean", 0.1] < 1
    assert set(power) == set(LADDER)


def test_progress_is_told_to_the_end(tested):
    result, told = tested
    total = 20 + 6 * len(LADDER)
    assert told == [(done, total) for done in range(1, total + 1)]
    assert {shift.n_reports for shift in result.shifts} == {6}


def test_the_sentence_says_alarms_reports_and_power(tested):
    result, _ = tested
    assert result.sentence.startswith(
        "This configuration would have raised 0 false alarms in 20 reports of 1,000 against 1,000 rows, and would see "
    )
    assert "an exchange of the two most frequent values with power 100%" in result.sentence


def test_the_result_round_trips_through_json(tested):
    result, _ = tested
    assert SelfTest.model_validate_json(result.model_dump_json()) == result


def test_the_result_is_a_function_of_the_seed():
    first, again = (self_test(_frame(), None, SETTINGS, n_rows=600, repeats=3, seed=5) for _ in "ab")
    assert first == again


def test_a_bad_configuration_is_shown_to_cry_wolf():
    careless = DriftSettings(min_effect=1e-9, null_rate_change=1e-9, new_category_share=1e-9, alpha=0.9)
    result = self_test(_frame(), None, careless, n_rows=600, repeats=20, shifted_repeats=0, seed=1)
    assert result.false_alarms > 5
    assert sum(result.blamed.values()) >= result.false_alarms
    assert result.shifts == []


def test_a_deaf_configuration_is_shown_to_see_nothing():
    deaf = DriftSettings(min_effect=50, null_rate_change=0.9, new_category_share=0.9)
    result = self_test(_frame(), None, deaf, n_rows=600, repeats=1, shifted_repeats=3, seed=1)
    assert {shift.power for shift in result.shifts} == {0.0}


def test_ignored_columns_are_not_shifted():
    settings = DriftSettings(columns={"c": ColumnDials(ignore=True)})
    result = self_test(_frame(), None, settings, n_rows=600, repeats=1, seed=1)
    assert {shift.kind for shift in result.shifts} == {"mean", "variance", "nulls"}
    assert result.n_columns == 3


@pytest.mark.parametrize(("n_rows", "settings"), [(1_501, SETTINGS), (400, SETTINGS)])
def test_too_few_rows_are_refused_with_advice(n_rows, settings):
    with pytest.raises(EmptyWindowError, match="give more rows"):
        self_test(_frame(), None, settings, n_rows=n_rows, seed=1)


def test_shifts_do_what_they_say():
    rows = _frame(20_000)
    binning, random = make_binning(rows), np.random.default_rng(1)

    def change(column, kind, size):
        return shifted(rows, column, kind, size, binning, random)[column]

    scale = binning.columns["x"].scale
    assert (change("x", "mean", 0.5) - rows["x"]).mean() == pytest.approx(0.5 * scale)
    assert change("x", "variance", 1.5).var() == pytest.approx(1.5 * rows["x"].var())
    assert change("k", "nulls", 0.1).null_count() / 20_000 == pytest.approx(0.1, abs=0.01)
    new = change("c", "new_category", 0.05)
    assert (~new.is_in(["a", "b", "c"])).mean() == pytest.approx(0.05, abs=0.01)
    assert (change("c", "swap", 1.0) == "a").sum() == (rows["c"] == "b").sum()
