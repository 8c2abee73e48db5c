"""The small drawings of a legend: each in the very classes of what it explains."""

from typing import Final

from markupsafe import Markup

from ratoon.report.drawing import element

_LINES: Final = ("line", "reference", "limit", "promotion")
_BLOCKS: Final = {"ref": "ref", "band": "band", "new": "new", "alarm": "alarm", "labelled": "labelled"}
_SHAPES: Final = {"retrain": "M9 1l6 11h-12z", "held": "M9 1l5 5.5 -5 5.5 -5 -5.5z", "wait": "M9 3v7"}


def legend_keys() -> dict[str, Markup]:
    """Return the drawing of each sign by its class."""
    drawn = {name: element("path", d="M0 6.5H18" if name != "promotion" else "M9 0V13", class_=name) for name in _LINES}
    drawn |= {name: element("rect", x=2, y=2, width=14, height=9, class_=css) for name, css in _BLOCKS.items()}
    drawn |= {name: element("path", d=path, class_=name) for name, path in _SHAPES.items()}
    return {
        name: element(
            "svg",
            one,
            xmlns="http://www.w3.org/2000/svg",
            viewBox="0 0 18 13",
            width=18,
            height=13,
            class_="key",
            aria_hidden="true",
        )
        for name, one in drawn.items()
    }
