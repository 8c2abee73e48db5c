import base64
import re
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime, timedelta

from ratoon.drift.selftest import SelfTest, ShiftPower
from ratoon_assets.charts import (
    MAX_BYTES,
    MAX_POINTS,
    drift_per_column,
    judged,
    performance_over_time,
    self_test_power,
)


def drawing(markdown: str) -> str:
    """Return the SVG of a picture in Markdown, parsed once so that it is known to be well-formed."""
    found = re.fullmatch(r"!\[[^\]]+\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", markdown)
    assert found is not None, markdown[:200]
    svg = base64.b64decode(found[1]).decode()
    ElementTree.fromstring(svg)
    return svg


def test_the_candidate_is_drawn_beside_champion_and_baseline_with_its_value() -> None:
    scores = [
        {"name": "candidate", "value": 0.8123, "low": 0.80, "high": 0.82},
        {"name": "baseline", "value": 0.6, "low": None, "high": None},
    ]
    svg = drawing(judged(scores, metric="auc"))
    assert "candidate" in svg and "baseline" in svg and "0.8123" in svg and "auc" in svg


def test_performance_shows_each_promotion_since_the_first_drawn_cohort() -> None:
    rows = [
        {"as_of": f"2026-01-{day:02d}T00:00:00+00:00", "value": 0.7 + day / 1000, "reference": 0.75}
        for day in range(5, 25)
    ]
    promotions = [
        {"at": "2026-01-10T00:00:00+00:00", "version": 4711},
        {"at": "2025-12-01T00:00:00+00:00", "version": 1234},
    ]
    svg = drawing(performance_over_time(rows, metric="auc", promotions=promotions))
    assert "4711" in svg and "1234" not in svg


def test_a_long_history_stays_below_the_budget_and_shows_the_newest() -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    instants = [(start + timedelta(days=number)).isoformat() for number in range(3_000)]
    rows = [{"as_of": at, "value": 0.5 + number % 7 / 20, "reference": 0.6} for number, at in enumerate(instants)]
    promotions = [{"at": at, "version": 1} for at in instants[::2]]
    picture = performance_over_time(rows, metric="logloss", promotions=promotions)
    drawing(picture)
    assert len(picture) < MAX_BYTES
    assert picture == performance_over_time(rows[-MAX_POINTS:], metric="logloss", promotions=promotions)


def test_the_estimate_is_drawn_as_a_band_also_where_no_label_is_known_yet() -> None:
    rows = [
        {
            "as_of": f"2026-01-{day:02d}T00:00:00+00:00",
            "value": None if day > 20 else 0.7,
            "reference": 0.75,
            "maturity": 0.5,
            "estimate": 0.7,
            "low": 0.68,
            "high": 0.72,
        }
        for day in range(5, 25)
    ]
    svg = drawing(performance_over_time(rows, metric="auc"))
    assert "mark-area" in svg and "estimated without labels" in svg
    assert "mark-area" in drawing(performance_over_time([row | {"value": None} for row in rows], metric="auc"))
    plain = [{name: row[name] for name in ("as_of", "value", "reference")} for row in rows[:10]]
    assert "mark-area" not in drawing(performance_over_time(plain, metric="auc"))


def test_a_long_history_with_a_band_stays_below_the_budget() -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    rows = [
        {
            "as_of": (start + timedelta(days=number)).isoformat(),
            "value": 0.5 + number % 7 / 20,
            "reference": 0.6,
            "maturity": 1.0,
            "estimate": 0.5 + number % 5 / 20,
            "low": 0.4 + number % 5 / 20,
            "high": 0.6 + number % 5 / 20,
        }
        for number in range(1_000)
    ]
    picture = performance_over_time(rows, metric="auc")
    drawing(picture)
    assert len(picture) < MAX_BYTES


def test_the_self_test_shows_its_power_and_its_false_alarms() -> None:
    shifts = [ShiftPower(kind="mean", size=size, n_reports=40, n_found=found) for size, found in ((0.1, 3), (0.5, 40))]
    result = SelfTest(
        n_rows=5_000, n_columns=19, alpha=0.01, repeats=200, seed=0, false_alarms=1, blamed={}, shifts=shifts
    )
    picture = self_test_power(result.model_dump(mode="json"))
    svg = drawing(picture)
    assert len(picture) < MAX_BYTES
    assert "1 of 200 reports" in svg and "mean moves, in spreads" in svg


def test_a_hundred_columns_of_drift_stay_below_the_budget_and_show_the_worst() -> None:
    columns = [
        {"column": f"column_{number:03d}", "score": number / 100, "flagged": number > 90} for number in range(100)
    ]
    picture = drift_per_column(columns, threshold=0.1)
    svg = drawing(picture)
    assert len(picture) < MAX_BYTES
    assert "column_099" in svg and "column_001" not in svg


def test_nothing_to_draw_gives_no_picture() -> None:
    assert (
        performance_over_time([], metric="auc")
        == judged([], metric="auc")
        == drift_per_column([], threshold=None)
        == ""
    )
