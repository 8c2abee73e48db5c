"""A report as a person meets it: opened from a folder, on a desk and on a phone, with and without a script."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.unit.report.made import made_report

from ratoon.report import render

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of half a year, on disk."""
    file = tmp_path_factory.mktemp("report") / "late_arrivals.html"
    file.write_text(render(made_report(days=180)), encoding="utf-8")
    return file


@pytest.fixture
def open_page(browser: Browser, file: Path) -> Iterator[Callable[..., Page]]:
    """Open the file as given; in the end nothing was asked from the network and the console is silent."""
    opened: list[Page] = []
    said: list[str] = []

    def open_(**options: Any) -> Page:
        page = browser.new_context(offline=True, **options).new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if request.url != file.as_uri() else None)
        page.goto(file.as_uri())
        opened.append(page)
        return page

    yield open_
    for page in opened:
        page.context.close()
    assert said == []


def names(page: Page) -> list[str]:
    return page.locator("table.columns").first.locator("td.what .name").all_inner_texts()


def test_a_click_sorts_a_column_and_a_second_click_turns_it(open_page: Callable[..., Page]) -> None:
    page = open_page(viewport=DESK)
    table = page.locator("table.columns").first
    assert names(page) == ["temp", "dewp", "humid", "wind_dir"]
    head = table.locator("th", has_text="Column")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert names(page) == ["dewp", "humid", "temp", "wind_dir"]
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert names(page) == ["wind_dir", "temp", "humid", "dewp"]
    table.locator("th", has_text="Missing").get_by_role("button").click()
    expect(head).not_to_have_attribute("aria-sort", re.compile(".*"))
    assert names(page)[0] == "dewp"


def test_sorting_works_with_the_keyboard_alone(open_page: Callable[..., Page]) -> None:
    page = open_page(viewport=DESK)
    page.locator("table.columns").first.locator("th", has_text="Score").last.get_by_role("button").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert names(page) == ["wind_dir", "humid", "dewp", "temp"]


def test_the_timeline_tells_its_marks_to_pointer_and_keys(open_page: Callable[..., Page]) -> None:
    page = open_page(viewport=DESK)
    tip = page.locator("#tip")
    expect(tip).to_be_hidden()
    page.locator(".wide .mark", has=page.locator(".retrain")).last.locator(".hit").hover()
    expect(tip).to_contain_text("retrain. new_rows fired")
    page.locator("div.wide").focus()
    page.keyboard.press("ArrowLeft")
    before = tip.inner_text()
    page.keyboard.press("ArrowLeft")
    assert tip.inner_text() != before
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_a_tap_on_a_phone_tells_a_decision(open_page: Callable[..., Page]) -> None:
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True)
    mark = page.locator(".compact .mark", has=page.locator(".retrain")).nth(2)
    mark.scroll_into_view_if_needed()
    mark.locator(".hit").tap()
    expect(page.locator("#tip")).to_contain_text("retrain")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE, {"width": 320, "height": 640}])
def test_nothing_is_wider_than_the_screen(
    open_page: Callable[..., Page], viewport: dict[str, int], scheme: str
) -> None:
    page = open_page(viewport=viewport, color_scheme=scheme)
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    shown = [page.locator(name).first.is_visible() for name in ("div.wide", "div.compact")]
    assert shown == ([True, False] if viewport == DESK else [False, True])


def test_dark_is_dark(open_page: Callable[..., Page]) -> None:
    def brightness(scheme: str) -> int:
        colour = open_page(color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in re.findall(r"\d+", colour)[:3])

    assert brightness("light") > 700 > 100 > brightness("dark")


def test_everything_is_there_without_a_script(open_page: Callable[..., Page]) -> None:
    page = open_page(viewport=DESK, java_script_enabled=False)
    expect(page.locator("table.columns").first.get_by_text("temp", exact=True)).to_be_visible()
    page.locator("details.fold > summary").click()
    expect(page.get_by_text("manufacturer", exact=True).first).to_be_visible()
    page.locator("details.decision > summary").first.click()
    expect(page.get_by_text("no retrain is active").first).to_be_visible()


def test_on_paper_the_folded_columns_are_open_and_the_page_is_light(open_page: Callable[..., Page]) -> None:
    page = open_page(viewport=DESK, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.fold").evaluate("one => one.open")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.locator("details.fold").evaluate("one => one.open")


def test_every_control_and_picture_has_a_name(open_page: Callable[..., Page]) -> None:
    page = open_page(viewport=DESK)
    bare = page.evaluate(
        """() => [...document.querySelectorAll("button, a, summary, svg:not([aria-hidden]), [tabindex]")]
            .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim())).map((one) => one.outerHTML)"""
    )
    assert bare == []
