import xml.etree.ElementTree as ET

import pytest
from scipy import stats

from ratoon.drift.selftest import SelfTest, ShiftPower
from ratoon.report import standalone
from ratoon.report.trials import self_test_picture, wilson


@pytest.mark.parametrize(("hits", "n"), [(0, 40), (3, 4), (20, 40), (40, 40)])
def test_the_interval_of_a_power_is_wilsons(hits, n):
    known = stats.binomtest(hits, n).proportion_ci(method="wilson")

    assert wilson(hits, n) == pytest.approx((known.low, known.high), abs=1e-6)


def test_the_picture_shows_every_kind_of_shift_and_the_false_alarms():
    test = SelfTest(
        n_rows=5_000,
        n_columns=19,
        alpha=0.01,
        repeats=200,
        seed=0,
        false_alarms=1,
        blamed={"temp": 1},
        shifts=[
            ShiftPower(kind="mean", size=0.1, n_reports=40, n_found=4),
            ShiftPower(kind="mean", size=0.25, n_reports=40, n_found=40),
            ShiftPower(kind="nulls", size=0.05, n_reports=40, n_found=40),
        ],
    )
    drawn = standalone(self_test_picture(test))

    text = " ".join(ET.fromstring(drawn).itertext())
    assert "mean moves, in spreads" in text
    assert "more missing values 5 %: seen in 100 % of reports" in text
    assert "1 of 200 reports" in text
