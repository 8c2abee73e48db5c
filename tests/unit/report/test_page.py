"""The whole page: what it may hold, how large it is, and that users' texts stay texts."""

import base64
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from ratoon.report import ReportData, render
from ratoon.report.values import ColumnView, Distribution, SliceView

Make = Callable[..., ReportData]
HOSTILE = "<script>alert('1')</script>\"&\x00\u202e"


class Page(HTMLParser):
    """Collects a page's elements and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_data(self, data: str) -> None:
        self.text += data


def drawings(html: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)


def test_a_year_of_days_with_twenty_columns_stays_far_below_its_limit(make_data: Make) -> None:
    size = len(render(make_data(days=365, columns=20)).encode())
    assert size < 500_000 < 1.5 * 2**20


def test_ten_years_of_days_stay_below_the_limit_too(make_data: Make) -> None:
    assert len(render(make_data(days=3_650, columns=20)).encode()) < 1.5 * 2**20


def test_the_page_asks_for_nothing_from_anywhere(make_data: Make) -> None:
    html = render(make_data(days=30))
    loading = {"src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"}
    found = [value for _, attrs in Page(html).elements for name, value in attrs.items() if name in loading]
    assert found == ["#drift"]
    assert not re.search(r"@import|url\(|\bfetch\(|XMLHttpRequest|<link|<iframe|<img", html)
    assert set(re.findall(r"\w+://[^\"'\s<]+", html)) == {"http://www.w3.org/2000/svg"}


def test_only_our_own_style_and_script_may_run(make_data: Make) -> None:
    html = render(make_data(days=3))
    policy = next(attrs["content"] for tag, attrs in Page(html).elements if "Content-Security-Policy" in attrs.values())
    for tag in ("style", "script"):
        [body] = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in (policy or "")
    assert "default-src 'none'" in (policy or "") and "unsafe" not in (policy or "")


def test_the_policy_forbids_no_style_that_the_page_uses(make_data: Make) -> None:
    page = Page(render(make_data(days=30)))
    assert [
        attrs for _, attrs in page.elements if "style" in attrs or any(name.startswith("on") for name in attrs)
    ] == []


def test_every_text_of_a_user_stays_a_text(make_data: Make) -> None:
    data = make_data(days=40, columns=20)
    text = data.model_dump_json().replace("temp", "@@").replace("CARRIER1", "@@").replace("cooldown ends", "@@")
    text = text.replace("Will the flight", "@@").replace("Winter", "@@").replace("JFK", "@@").replace("the gate", "@@")
    hostile = ReportData.model_validate_json(text.replace("@@", HOSTILE.replace('"', '\\"').replace("\x00", "\\u0000")))
    html = render(hostile)
    page = Page(html)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert "<script>alert" not in html and page.text.count("<script>alert('1')</script>") > 10
    assert "\x00" not in html and "\u202e" not in html
    for drawing in drawings(html):
        ElementTree.fromstring(drawing)


def test_every_drawing_is_valid_xml_and_says_what_it_shows(make_data: Make) -> None:
    found = drawings(render(make_data(days=100)))
    assert len(found) > 40
    for drawing in found:
        root = ElementTree.fromstring(drawing)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("aria-hidden") == "true" or (root.get("role") == "img" and root.get("aria-label"))


def test_no_drawing_holds_a_coordinate_that_is_no_number(make_data: Make) -> None:
    for drawing in drawings(render(make_data(days=50))):
        assert not re.search(
            r"\b(nan|inf|None)\b", re.sub(r"<title>.*?</title>|aria-label=\"[^\"]*\"|<text.*?</text>", "", drawing)
        )


def test_equal_data_give_equal_bytes(make_data: Make) -> None:
    assert render(make_data(days=20)) == render(make_data(days=20))


def test_ids_are_unique(make_data: Make) -> None:
    ids = Page(render(make_data(days=5))).ids
    assert len(ids) == len(set(ids))


def test_a_model_without_any_history_says_of_each_part_why_it_is_not_there(make_data: Make) -> None:
    bare = ReportData(model="new", as_of=make_data(days=1).as_of, code_version="0.1.0", metric="auc")
    text = Page(render(bare)).text
    for said in (
        "Nothing has been decided yet",
        "The timeline starts with the first batch",
        "there is no champion",
        "No batch has been diagnosed yet",
        "Nothing has been predicted yet",
    ):
        assert said in text


@pytest.mark.parametrize(
    "part",
    [
        "champion",
        "drift",
        "diagnosis",
        "incidents",
        "alerts",
        "slices",
        "maturity",
        "estimate",
        "data_until",
        "drift_at",
    ],
)
def test_a_missing_part_takes_nothing_else_with_it(make_data: Make, part: str) -> None:
    page = Page(render(make_data(days=20, **{part: None})))
    assert [name for name in page.ids if name != "tip"] == [
        "timeline",
        "drift",
        "diagnosis",
        "performance",
        "decisions",
        "terms",
    ]


def test_personal_data_shows_no_value(make_data: Make) -> None:
    data = make_data(days=5, columns=20)
    assert data.drift is not None
    columns = [
        row.model_copy(update={"sentence": "carrier: SECRET-7 came up 40 times"}) if row.column == "carrier" else row
        for row in data.drift.columns
    ]
    seen = Distribution(kind="category", categories=["SECRET-7"], reference=[1], current=[40])
    private = data.model_copy(
        update={
            "drift": data.drift.model_copy(update={"columns": columns}),
            "columns": data.columns | {"carrier": ColumnView(pii=True, distribution=seen)},
        }
    )
    html = render(private)
    assert "SECRET-7" not in html and "personal data" in html
    assert "SECRET-7" in render(private.model_copy(update={"columns": data.columns}))


def test_flagged_columns_come_first_and_then_by_effect_times_importance(make_data: Make) -> None:
    data = make_data(days=5, columns=20)
    assert data.drift is not None
    html = render(data)
    named = re.findall(r'class="what" data-sort="(\w+)"', html)
    rows = {row.column: row for row in data.drift.columns}
    order = [(rows[name].flagged, rows[name].weight) for name in named]
    assert len(named) == 20 and order == sorted(order, reverse=True)


def test_decisions_are_the_last_thirty_with_every_trigger_and_guard(make_data: Make) -> None:
    html = render(make_data(days=60))
    shown = re.findall(r'<details class="decision">.*?</details>', html, flags=re.DOTALL)
    assert len(shown) == 30
    for one in shown:
        assert all(word in one for word in ("new_rows", "performance", "drift", "single flight", "cooldown"))
    assert "The newest 30 of 120" in html


def test_the_worst_slices_come_first_whichever_way_the_metric_points(make_data: Make) -> None:
    slices = [
        SliceView(column="origin", value=name, n_matured=10, metric=metric, rest=0.5)
        for name, metric in (("low", 0.4), ("high", 0.6))
    ]
    for greater, first in ((True, "low"), (False, "high")):
        html = render(make_data(days=5, slices=slices, greater_is_better=greater))
        assert html.index(f">{first}<") < html.index(">high<" if first == "low" else ">low<")
