"""The check that tries the drift settings judges their false alarms and shows what they would see."""

import pytest

from ratoon.drift.selftest import SelfTest, ShiftPower
from ratoon_assets.selftest_check import selftest_result


def found(false_alarms: int) -> SelfTest:
    shifts = [ShiftPower(kind="mean", size=0.25, n_reports=40, n_found=39)]
    about = {"n_rows": 5_000, "n_columns": 19, "alpha": 0.01, "repeats": 200, "seed": 0, "blamed": {}}
    return SelfTest(**about, false_alarms=false_alarms, shifts=shifts)


@pytest.mark.parametrize(("false_alarms", "passed"), [(0, True), (4, True), (5, False)])
def test_more_than_two_false_alarms_in_a_hundred_reports_fail_the_check(false_alarms: int, passed: bool) -> None:
    result = selftest_result(found(false_alarms))
    assert result.passed is passed
    assert f"raised {false_alarms} false alarms in 200 reports" in result.metadata["sentence"].value
    assert "data:image/svg+xml;base64," in result.metadata["chart"].value
