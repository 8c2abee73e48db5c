"""The self-test's picture."""

import xml.etree.ElementTree as ElementTree

from ratoon.drift.selftest import SelfTest, ShiftPower
from ratoon.report import PowerPoint, power_picture, self_test_picture, standalone

POINTS = [
    PowerPoint(
        kind=kind, size=size, power=min(1.0, size * 4), low=max(0.0, size * 4 - 0.1), high=min(1.0, size * 4 + 0.1)
    )
    for kind in ("mean, in standard deviations", "missing values", "new category", "variance")
    for size in (0.05, 0.1, 0.25, 0.5)
]


def test_each_kind_has_a_panel_and_the_false_alarms_are_told() -> None:
    picture = power_picture(POINTS, false_alarms=2, reports=200, n_rows=5_000)
    root = ElementTree.fromstring(picture)
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "2 of 200 reports of 5,000 rows raised a false alarm (1.0 %)" in texts
    assert {point.kind for point in POINTS} <= set(texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == len(POINTS)


def test_the_alternative_text_says_from_which_size_on_a_shift_is_seen() -> None:
    picture = power_picture(POINTS, false_alarms=0, reports=200)
    assert "variance: seen in 95 % of reports from 0.25 on" in picture
    assert "variance: never in 95 % of reports" in power_picture(POINTS[-4:-3], false_alarms=0, reports=1)


def test_a_drawing_of_its_own_carries_its_colours() -> None:
    text = standalone(power_picture(POINTS, false_alarms=0, reports=200))
    ElementTree.fromstring(text)
    assert "prefers-color-scheme: dark" in text and "--blue:" in text and ".dot" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_nothing_to_draw_gives_no_picture() -> None:
    assert power_picture([], false_alarms=0, reports=200) == ""


def test_a_self_test_is_drawn_with_sizes_in_their_units() -> None:
    shifts = [
        ShiftPower(kind=kind, size=size, n_reports=40, n_found=30)
        for kind, size in (("nulls", 0.02), ("nulls", 0.1), ("variance", 1.5), ("variance", 2.0), ("swap", 1.0))
    ]
    test = SelfTest(
        n_rows=5_000, n_columns=9, alpha=0.01, repeats=200, seed=0, false_alarms=1, blamed={}, shifts=shifts
    )
    root = ElementTree.fromstring(self_test_picture(test))
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"2 %", "10 %", "×1.5", "×2"} <= set(texts)
