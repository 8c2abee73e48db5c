"""Inline SVG as text: elements, paths, and labels that keep out of each other's way."""

import re
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from ratoon.report.formats import printable

Point = tuple[float, float]

_CHARACTER = 0.56
_CAPITAL = 0.7
"""Mean width of a character in the widest of the system's sans-serif fonts, in font sizes."""


def element(name: str, /, *children: str, **attributes: object) -> Markup:
    """Return an XML element. Children that are no markup, and all attributes, are escaped.

    Args:
        name: The element's name.
        children: Markup, or texts.
        attributes: ``class_`` is written ``class``, other underscores as dashes; None leaves an attribute out, and
            numbers are written to a tenth of a pixel.
    """
    written = "".join(
        f' {_name(key)}="{escape(_value(value))}"' for key, value in attributes.items() if value is not None
    )
    inner = "".join(child if isinstance(child, Markup) else escape(printable(child)) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>" if children else f"<{name}{written}/>")  # noqa: S704 - escaped above


def joined(parts: Iterable[Markup]) -> Markup:
    """Return markup one behind the other."""
    return Markup("").join(parts)


def picture(width: float, height: float, label: str, *children: Markup, class_: str = "chart") -> Markup:
    """Return a whole SVG that screen readers take for one image with a label."""
    return element(
        "svg",
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {pixels(width)} {pixels(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
        class_=class_,
    )


def pixels(value: float) -> str:
    """Return a length to a tenth of a pixel.

    Example:
        >>> pixels(12.0), pixels(3.14159), pixels(-0.01)
        ('12', '3.1', '0')
    """
    return f"{round(value, 1) or 0.0:g}" if abs(value) < 1e5 else f"{value:.0f}"


def line(points: Sequence[Point | None]) -> str:
    """Return the path of a line; None breaks it, and a point alone between two breaks is a dot."""
    parts, is_open = [], False
    for position, point in enumerate(points):
        if point is None:
            is_open = False
            continue
        parts.append(f"{'L' if is_open else 'M'}{pixels(point[0])} {pixels(point[1])}")
        is_alone = not is_open and (position + 1 == len(points) or points[position + 1] is None)
        if is_alone:
            parts.append("h.1")
        is_open = True
    return "".join(parts)


def band(upper: Sequence[Point], lower: Sequence[Point]) -> str:
    """Return the path of the area between two lines, or nothing where they have no points."""
    if not upper:
        return ""
    return line([*upper, *reversed(lower)]) + "z"


def bars(lefts: Sequence[float], rights: Sequence[float], tops: Sequence[float], base: float) -> str:
    """Return one path of bars that stand on a base; bars without height are left out."""
    return "".join(
        f"M{pixels(left)} {pixels(base)}V{pixels(top)}H{pixels(right)}V{pixels(base)}z"
        for left, right, top in zip(lefts, rights, tops, strict=True)
        if abs(top - base) >= 0.05
    )


def text_width(text: str, size: float) -> float:
    """Return about how wide a text is drawn, rather too wide than too narrow."""
    return size * sum(_CAPITAL if letter.isupper() else _CHARACTER for letter in text)


def fitted(text: str, width: float, size: float) -> str:
    """Return as much of a text as is drawn within a width, with an ellipsis where it was cut.

    Example:
        >>> fitted("Brazilian aircraft", 60, 10), fitted("JFK", 60, 10)
        ('Brazilian…', 'JFK')
    """
    kept = text
    while kept and text_width(kept if kept == text else kept + "…", size) > width:
        kept = kept[:-1]
    return kept if kept == text else kept.rstrip() + "…"


def label(text: str, x: float, y: float, *, anchor: str = "start", class_: str | None = None) -> Markup:
    """Return a text; ``anchor`` is start, middle or end."""
    return element("text", text, x=x, y=y, text_anchor=anchor if anchor != "start" else None, class_=class_)


def spread(positions: Sequence[float], widths: Sequence[float], *, gap: float = 6) -> list[bool]:
    """Say which of several centred labels to draw so that none covers another; later ones go first.

    Args:
        positions: Centres, ascending.
        widths: Width of each label.
        gap: Least space between two.
    """
    shown = [False] * len(positions)
    limit = float("inf")
    for index in reversed(range(len(positions))):
        if positions[index] + widths[index] / 2 + gap <= limit:
            shown[index] = True
            limit = positions[index] - widths[index] / 2
    return shown


def _name(key: str) -> str:
    return re.sub("_$", "", key).replace("_", "-")


def _value(value: object) -> str:
    return pixels(value) if isinstance(value, int | float) else printable(str(value))
