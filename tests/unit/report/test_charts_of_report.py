"""Axes, labels, distributions, sparklines and the timeline, by arithmetic on paper."""

import itertools
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.report.axes import Scale, linear_ticks, time_scale, time_ticks
from ratoon.report.distributions import distribution_picture
from ratoon.report.drawing import element, label, line, spread
from ratoon.report.maturity import maturity_picture
from ratoon.report.sparklines import block_sparkline, score_sparkline
from ratoon.report.timeline import COMPACT, WIDE, Layout, timeline_picture
from ratoon.report.values import AgePoint, Distribution, MaturityView, ReportData, ScorePoint

Make = Callable[..., ReportData]
START = datetime(2025, 1, 1, tzinfo=UTC)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 12))
def test_ticks_are_inside_at_round_values_evenly_apart_and_not_too_many(low: float, span: float, most: int) -> None:
    high = low + span
    ticks = linear_ticks(low, high, most)
    values = [tick.value for tick in ticks]
    assert len(values) <= most
    assert all(low - span * 1e-6 <= value <= high + span * 1e-6 for value in values)
    if len(values) > 1:
        step = values[1] - values[0]
        mantissa = float(f"{step:e}".split("e")[0])
        assert min(abs(mantissa - round_one) for round_one in (1, 2, 2.5, 5, 10)) < 1e-3
        assert len({tick.label for tick in ticks}) == len(ticks)


@given(st.integers(60, 400_000_000), st.integers(2, 14))
def test_time_ticks_are_inside_ordered_and_not_too_many(span_s: int, most: int) -> None:
    scale = time_scale(START, START + timedelta(seconds=span_s), 0, 100)
    values = [tick.value for tick in time_ticks(scale, most)]
    assert len(values) <= most and values == sorted(set(values))
    assert all(scale.low <= value <= scale.high for value in values)


def test_a_span_of_hours_is_labelled_by_hours_and_one_of_weeks_by_mondays() -> None:
    hours = time_ticks(time_scale(START, START + timedelta(hours=14), 0, 1), 6)
    assert [tick.label for tick in hours] == ["1 Jan", "03:00", "06:00", "09:00", "12:00"]
    weeks = time_ticks(time_scale(START, START + timedelta(days=30), 0, 1), 6)
    assert [tick.label for tick in weeks] == ["6 Jan 2025", "13 Jan", "20 Jan", "27 Jan"]


@given(st.lists(st.floats(0, 1_000), min_size=1, max_size=40), st.floats(5, 120))
def test_drawn_labels_never_cover_each_other(positions: list[float], width: float) -> None:
    ordered = sorted(positions)
    shown = [at for at, is_shown in zip(ordered, spread(ordered, [width] * len(ordered)), strict=True) if is_shown]
    assert shown[-1] == ordered[-1]
    assert all(after - before >= width for before, after in itertools.pairwise(shown))


def test_texts_and_attributes_are_escaped() -> None:
    assert str(element("a", "<b>", x='"')) == '<a x="&#34;">&lt;b&gt;</a>'
    assert "&lt;b&gt;" in label("<b>", 0, 0)


def test_a_gap_breaks_a_line_and_a_point_alone_is_a_dot() -> None:
    assert line([(0, 0), (1, 1), None, (3, 3), None]) == "M0 0L1 1M3 3h.1"


def bars_of(picture: str, name: str) -> list[float]:
    """Return the heights of the bars of one class above the base at 60 pixels."""
    [path] = re.findall(rf'<path d="([^"]*)" class="{name}"/>', picture)
    return [60 - float(top) for top in re.findall(r"V([\d.]+)H", path)]


def test_a_histogram_shares_rows_of_a_bin_evenly_over_its_width() -> None:
    # Two bins, (0, 12] with 3 of 4 rows and (12, 24] with one: 24 bars of 1, each 1/16 or 1/48 of the rows.
    seen = Distribution(kind="numeric", edges=[0, 12, 24], reference=[0, 75, 25, 0], current=[0, 25, 75, 0])
    heights = bars_of(distribution_picture("x", seen), "ref")
    assert len(heights) == 24
    assert heights[0] == pytest.approx(58, abs=0.1) and heights[23] == pytest.approx(58 / 3, abs=0.1)


def test_what_lies_outside_of_the_reference_is_drawn_apart() -> None:
    inside = Distribution(kind="numeric", edges=[0, 12, 24], reference=[0, 5, 5, 0], current=[0, 5, 5, 0])
    outside = inside.model_copy(update={"current": [0, 5, 5, 10]})
    assert 'class="new"' not in distribution_picture("x", inside)
    picture = distribution_picture("x", outside)
    assert 'class="new"' in picture and "50.0 % of the rows lie outside" in picture


def test_few_integers_are_drawn_value_by_value() -> None:
    seen = Distribution(
        kind="numeric", type="int", edges=[0.5, 1, 2, 4], reference=[0, 2, 1, 1, 0], current=[0, 1, 1, 1, 1]
    )
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", distribution_picture("seats", seen))
    assert texts == ["1", "25.0 %", "2", "25.0 %", "3–4", "25.0 %", "above 4", "25.0 %"]


def test_rare_categories_are_added_up_and_new_ones_are_shown_apart() -> None:
    listed = [f"c{number}" for number in range(12)]
    seen = Distribution(kind="category", categories=listed, reference=[10] * 12, current=[10] * 12, rest_current=30)
    picture = distribution_picture("x", seen)
    assert "5 others" in picture and "not listed" in picture and 'class="new"' in picture


@pytest.mark.parametrize(
    "seen",
    [
        Distribution(kind="numeric", edges=[], reference=[0], current=[0]),
        Distribution(kind="numeric", edges=[1, 1.5], reference=[0, 5, 0], current=[0, 0, 0]),
        Distribution(kind="category", categories=[], reference=[], current=[]),
    ],
)
def test_a_side_without_values_is_not_drawn(seen: Distribution) -> None:
    assert distribution_picture("x", seen) == ""


@settings(max_examples=40)
@given(
    st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=25, unique=True),
    st.data(),
)
def test_any_counts_give_a_drawing_inside_its_box(edges: list[float], data: st.DataObject) -> None:
    counts = st.lists(st.integers(0, 10**9), min_size=len(edges) + 1, max_size=len(edges) + 1).filter(any)
    seen = Distribution(kind="numeric", edges=sorted(edges), reference=data.draw(counts), current=data.draw(counts))
    root = ElementTree.fromstring(distribution_picture("x", seen))
    for path in root.iter("{http://www.w3.org/2000/svg}path"):
        values = [float(value) for value in re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", path.get("d") or "")]
        assert all(-1 <= value <= 231 for value in values)


def test_a_sparkline_marks_flagged_reports_and_leaves_gaps() -> None:
    scores = [0.05, None, 0.2, 0.01]
    history = [
        ScorePoint(at=START + timedelta(days=at), score=score, flagged=(score or 0) > 0.1)
        for at, score in enumerate(scores)
    ]
    picture = score_sparkline("x", history, 0.1)
    assert picture.count("<circle") == 1 and "M3 " in picture and picture.count("h.1") == 1
    assert "flagged 1 time" in picture
    assert score_sparkline("x", [history[1]], 0.1) == ""


def test_block_sparklines_are_as_long_as_their_values() -> None:
    assert block_sparkline([None, 0, 1, 2], top=2) == "·▁▄█"
    assert block_sparkline([0.0, 0.0]) == "▁▁" and block_sparkline([]) == ""


@pytest.mark.parametrize("layout", [WIDE, COMPACT])
def test_no_two_texts_of_a_timeline_cover_each_other(make_data: Make, layout: Layout) -> None:
    for days in (2, 30, 365):
        root = ElementTree.fromstring(timeline_picture(make_data(days=days), layout))
        boxes = []
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            width = 5.5 * len(text.text or "")
            left = float(text.get("x", 0)) - {"middle": width / 2, "end": width}.get(text.get("text-anchor", ""), 0)
            boxes.append((left, left + width, float(text.get("y", 0)), text.text))
        for position, (left, right, y, name) in enumerate(boxes):
            for other_left, other_right, other_y, other in boxes[position + 1 :]:
                assert abs(y - other_y) > 9 or right <= other_left or other_right <= left, (name, other, days)


def test_a_timeline_marks_each_decision_and_alarm_with_its_reason(make_data: Make) -> None:
    data = make_data(days=40)
    root = ElementTree.fromstring(timeline_picture(data))
    titles = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert sum("retrain. new_rows fired" in title for title in titles) == sum(
        one.kind == "retrain" for one in data.decisions
    )
    assert sum("held back" in title for title in titles) == sum(one.kind == "held" for one in data.decisions)
    assert sum("drifted" in title for title in titles) == sum(
        bool(one.drifted) or one.joint for one in data.drift_history
    )
    assert sum("became champion" in title for title in titles) == len(data.promotions)


def test_a_cohort_without_labels_is_a_gap_and_no_zero(make_data: Make) -> None:
    data = make_data(days=40)
    bare = [one.model_copy(update={"value": None, "n_matured": 0}) for one in data.cohorts]
    broken = data.model_copy(update={"cohorts": [*data.cohorts[:9], bare[9], *data.cohorts[10:20]]})
    [path] = re.findall(r'<path d="([^"]*)" class="line"/>', timeline_picture(broken))
    assert path.count("M") == 2 and path.count("L") == 8 + 9


def test_without_any_metric_the_panel_says_why_it_is_empty(make_data: Make) -> None:
    data = make_data(days=10)
    nothing = {"value": None, "reference": None, "estimate": None, "estimate_low": None, "estimate_high": None}
    bare = data.model_copy(update={"cohorts": [one.model_copy(update=nothing) for one in data.cohorts]})
    assert "no label of a predicted row is known yet" in timeline_picture(bare)


def test_a_single_instant_has_a_timeline(make_data: Make) -> None:
    ElementTree.fromstring(timeline_picture(make_data(days=1)))


def test_the_maturity_curve_says_when_enough_labels_are_there() -> None:
    curve = [AgePoint(age_s=day * 86_400, share=min(1.0, day / 10)) for day in range(15)]
    picture = maturity_picture(MaturityView(curve=curve, mature_at=0.9))
    assert "90 % after 9d" in picture and "age in days" in picture
    assert maturity_picture(MaturityView(curve=curve[:1])) == ""


def test_a_scale_maps_its_ends_to_its_ends() -> None:
    scale = Scale(10, 20, 100, 0)
    assert (scale(10), scale(20), scale(15)) == (100, 0, 50)
