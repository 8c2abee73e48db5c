"""The self-test's picture: how often shifts of each size would be seen, and how often an alarm would be false."""

from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Final, Literal, assert_never

from markupsafe import Markup
from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.report import drawing
from ratoon.report.axes import Scale
from ratoon.report.drawing import element, label
from ratoon.report.formats import share

Unit = Literal["", "share", "times"]

_PANEL: Final = 240.0
_GAP: Final = 18.0
_AIR: Final = 12.0
_PER_ROW: Final = 3


class PowerPoint(Strict):
    """How often a shift of one kind and size was seen."""

    kind: str = Field(description="What was shifted, for people: 'mean, in standard deviations'.")
    size: float
    unit: Unit = Field("", description="share: of one; times: a factor, of which 1 is no shift.")
    power: float = Field(ge=0, le=1, description="Share of the reports that saw it.")
    low: float | None = Field(None, description="Interval of the power.")
    high: float | None = None


def power_picture(
    points: Sequence[PowerPoint], *, false_alarms: int, reports: int, target: float = 0.95, n_rows: int | None = None
) -> Markup:
    """Draw a panel per kind of shift: the share of reports that saw it, over its size.

    Args:
        points: Of any order; kinds are drawn in the order in which they first come.
        false_alarms: Reports with any alarm although nothing had changed.
        reports: How many such reports were made.
        target: The power that is drawn as enough.
        n_rows: Rows of a report, for the title.

    Returns:
        One SVG, or nothing where there are no points.
    """
    kinds = list(dict.fromkeys(point.kind for point in points))
    if not kinds:
        return Markup("")
    columns = min(len(kinds), _PER_ROW)
    width = columns * _PANEL + (columns - 1) * _GAP + 2 * _AIR
    rows = -(-len(kinds) // _PER_ROW)
    of_rows = f" of {n_rows:,} rows" if n_rows is not None else ""
    title = f"{false_alarms} of {reports} reports{of_rows} raised a false alarm ({share(false_alarms / reports if reports else None)})"
    panels = [
        element(
            "g",
            *_panel([point for point in points if point.kind == kind], kind, target),
            transform=f"translate({drawing.pixels(_AIR + place % _PER_ROW * (_PANEL + _GAP))} {40 + place // _PER_ROW * 170})",
        )
        for place, kind in enumerate(kinds)
    ]
    said = f"Self-test: {title}; " + "; ".join(_said(points, kind, target) for kind in kinds)
    return drawing.picture(
        width, 40 + rows * 170, said, label(title, _AIR, 20, class_="t strong"), *panels, class_="chart timeline"
    )


def standalone(picture: Markup) -> str:
    """Return an SVG with the report's colours and fonts inside, so that it stands in a file of its own."""
    style = (resources.files(__package__) / "style.css").read_text(encoding="utf-8")
    colours = style.split("* {")[0]
    wanted = [
        line
        for line in style.splitlines()
        if line.startswith(
            (
                ".chart text",
                ".timeline text",
                ".grid",
                ".axis",
                ".line",
                ".limit",
                ".band",
                ".dot",
                ".ref",
                ".now",
                ".alarm",
                ".new",
                ".estimate",
                ".reference",
            )
        )
    ]
    css = f"{colours}svg{{background:var(--surface)}}" + "\n".join(wanted)
    head, separator, rest = str(picture).partition(">")
    return f"{head}{separator}<style>{css}</style>{rest}"


def _said(points: Sequence[PowerPoint], kind: str, target: float) -> str:
    mine = [point for point in points if point.kind == kind]
    enough = sorted((point for point in mine if point.power >= target), key=lambda point: point.size)
    if not enough:
        return f"{kind}: never in {share(target, 0)} of reports"
    return f"{kind}: seen in {share(target, 0)} of reports from {_size(enough[0].size, enough[0].unit)} on"


def _panel(points: Sequence[PowerPoint], kind: str, target: float) -> Iterator[Markup]:
    ordered = sorted(points, key=lambda point: point.size)
    left, right, top, base = 46.0, _PANEL - 8, 18.0, 126.0
    none = 1.0 if ordered[0].unit == "times" else 0.0
    high = max(point.size for point in ordered)
    x = Scale(none, high if len(ordered) > 1 else 2 * high - none, left, right)
    y = Scale(0.0, 1.0, base, top)
    yield label(kind, left, 8, class_="t strong")
    for at in (0.0, 0.5, 1.0):
        level = drawing.pixels(y(at))
        yield element("path", d=f"M{left} {level}H{drawing.pixels(right)}", class_="grid")
        yield label(share(at, 0), left - 6, y(at) + 3.5, anchor="end", class_="t")
    yield element("path", d=f"M{left} {drawing.pixels(y(target))}H{drawing.pixels(right)}", class_="limit")
    bounded = [point for point in ordered if point.low is not None and point.high is not None]
    if len(bounded) > 1:
        upper = [(x(point.size), y(point.high or 0.0)) for point in bounded]
        lower = [(x(point.size), y(point.low or 0.0)) for point in bounded]
        yield element("path", d=drawing.band(upper, lower), class_="band")
    yield element("path", d=drawing.line([(x(point.size), y(point.power)) for point in ordered]), class_="line")
    for point in ordered:
        told = f"{kind} {_size(point.size, point.unit)}: seen in {share(point.power)} of reports"
        dot = element("circle", cx=x(point.size), cy=y(point.power), r=2.8, class_="dot")
        yield element("g", element("title", told), dot)
    if len(ordered) > 1:
        yield from _sizes(ordered, x, base + 15)


def _sizes(ordered: Sequence[PowerPoint], x: Scale, y: float) -> Iterator[Markup]:
    """Write the sizes that were tried, as many as fit."""
    texts = [_size(point.size, point.unit) for point in ordered]
    widths = [drawing.text_width(text, 11) for text in texts]
    centres = [min(x(point.size), x.end + 8 - width / 2) for point, width in zip(ordered, widths, strict=True)]
    for text, centre, is_shown in zip(texts, centres, drawing.spread(centres, widths), strict=True):
        if is_shown:
            yield label(text, centre, y, anchor="middle", class_="t")


def _size(size: float, unit: Unit) -> str:
    match unit:
        case "share":
            return f"{size * 100:g} %"
        case "times":
            return f"×{size:g}"
        case "":
            return f"{size:g}"
        case _:
            assert_never(unit)
