"""The reference's and the current window's distribution of one column, over each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ratoon.report import drawing
from ratoon.report.axes import Scale, linear_ticks
from ratoon.report.drawing import element, joined, label
from ratoon.report.formats import number, share
from ratoon.report.values import Distribution

_WIDTH = 230.0
_BARS = 24
"""Bars of a numeric column: few enough to read, enough to show two peaks."""
_FEW = 8
"""Integers, and categories, that are drawn one by one."""
_ROW = 13.0
_TAIL = 0.005
"""Share of rows at each end that may be drawn in the outermost bar, where the range is long."""
_WEEKDAYS = "MTWTFSS"


@dataclass(frozen=True, slots=True)
class _Row:
    """One bar of a list: what it is of, its shares, and whether the reference can't hold it."""

    name: str
    reference: float
    current: float
    is_new: bool = False


def distribution_picture(name: str, distribution: Distribution) -> Markup:
    """Draw both sides' shares: the reference as a grey area, the current window as a line over it.

    Numeric bins are drawn along the values (rows are taken as evenly spread within a bin of the reference), what
    lies outside of the reference's range as bars of their own at the ends. Few integers and categories are a list.

    Args:
        name: The column.
        distribution: Its counts.

    Returns:
        One SVG, or nothing where a side holds no value.
    """
    n_reference, n_current = _n(distribution, "reference"), _n(distribution, "current")
    if not n_reference or not n_current:
        return Markup("")
    match distribution.kind:
        case "category":
            return _list(name, _category_rows(distribution, n_reference, n_current))
        case "time":
            return _clock(name, distribution)
        case "numeric":
            few = _integer_rows(distribution, n_reference, n_current)
            return _list(name, few) if few else _histogram(name, distribution)


def _n(distribution: Distribution, side: str) -> int:
    rest = distribution.rest_reference if side == "reference" else distribution.rest_current
    counts = distribution.reference if side == "reference" else distribution.current
    return sum(counts) + rest


def _category_rows(distribution: Distribution, n_reference: int, n_current: int) -> list[_Row]:
    rows = [
        _Row(value, before / n_reference, now / n_current)
        for value, before, now in zip(
            distribution.categories, distribution.reference, distribution.current, strict=True
        )
    ]
    if len(rows) > _FEW:
        by_size = sorted(rows, key=lambda row: (-max(row.reference, row.current), row.name))
        others = by_size[_FEW - 1 :]
        rest = _Row(f"{len(others)} others", sum(row.reference for row in others), sum(row.current for row in others))
        rows = [*by_size[: _FEW - 1], rest]
    unlisted = _Row(
        "not listed", distribution.rest_reference / n_reference, distribution.rest_current / n_current, is_new=True
    )
    return [*rows, unlisted] if distribution.rest_reference or distribution.rest_current else rows


def _integer_rows(distribution: Distribution, n_reference: int, n_current: int) -> list[_Row]:
    """Return a row per bin of integers, or none where they are too many or not whole."""
    edges = distribution.edges
    inner = edges[1:]
    if not 1 <= len(inner) <= _FEW or (distribution.type != "int" and len(inner) > 1):
        return []
    if distribution.type == "int" and any(not edge.is_integer() for edge in inner):
        return []
    names = [f"below {number(inner[0])}"]
    for before, edge in zip([None, *inner], inner, strict=False):
        first = edge if before is None else before + 1
        names.append(number(edge) if first >= edge else f"{number(first)}–{number(edge)}")
    names.append(f"above {number(inner[-1])}")
    last = len(names) - 1
    return [
        _Row(text, before / n_reference, now / n_current, is_new=position in (0, last))
        for position, (text, before, now) in enumerate(
            zip(names, distribution.reference, distribution.current, strict=True)
        )
        if position not in (0, last) or before or now
    ]


def _list(name: str, rows: Sequence[_Row]) -> Markup:
    left, right = 84.0, _WIDTH - 44
    largest = max(max(row.reference, row.current) for row in rows) or 1.0
    scale = Scale(0.0, largest, left, right)
    drawn: list[Markup] = []
    for position, row in enumerate(rows):
        top = position * _ROW + 1
        drawn.append(
            element(
                "g",
                element("title", f"{row.name}: {share(row.reference)} in the reference, {share(row.current)} now"),
                label(drawing.fitted(row.name, left - 5, 9.5), left - 5, top + 9, anchor="end", class_="t"),
                element("rect", x=left, y=top, width=scale(row.reference) - left, height=10, class_="ref"),
                element(
                    "rect",
                    x=left,
                    y=top + 3,
                    width=max(scale(row.current) - left, 0.8 if row.current else 0.0),
                    height=4,
                    class_="new" if row.is_new and row.current > row.reference else "now",
                ),
                label(share(row.current), _WIDTH, top + 9, anchor="end", class_="t"),
            )
        )
    said = "; ".join(f"{row.name} {share(row.reference)} to {share(row.current)}" for row in rows[:4])
    return drawing.picture(_WIDTH, len(rows) * _ROW + 2, f"Shares of {name}, reference to now: {said}", *drawn)


def _histogram(name: str, distribution: Distribution) -> Markup:
    edges = np.array(distribution.edges)
    before, now = (_cumulated(counts) for counts in (distribution.reference, distribution.current))
    low, high = _range(edges, before, now)
    grid = np.linspace(low, high, _BARS + 1)
    sides = [_shares(grid, edges, cumulated) for cumulated in (before, now)]
    outside = [(float(cumulated[0]), float(1 - cumulated[-1])) for cumulated in (before, now)]
    height, base = 74.0, 60.0
    left = 16.0 if max(below for below, _ in outside) >= 0.0005 else 1.0
    right = _WIDTH - 16.0 if max(above for _, above in outside) >= 0.0005 else _WIDTH - 1.0
    x = Scale(low, high, left, right)
    tallest = max(float(max(side.max() for side in sides)), *outside[0], *outside[1])
    y = Scale(0.0, tallest, base, 2.0)
    lefts = [x(float(value)) for value in grid[:-1]]
    rights = [x(float(value)) for value in grid[1:]]
    parts = [
        element("path", d=drawing.bars(lefts, rights, [y(float(v)) for v in sides[0]], base), class_="ref"),
        element("path", d=_outline(lefts, rights, [y(float(v)) for v in sides[1]], base), class_="line"),
        *_outside(outside, y, base),
        element("path", d=f"M{drawing.pixels(left)} {base}H{drawing.pixels(right)}", class_="axis"),
        *_value_axis(x, low, high, base),
    ]
    said = f"Distribution of {name}: median {number(_median(edges, before))} in the reference, {number(_median(edges, now))} now"
    if max(outside[1]) >= 0.0005:
        said += f"; {share(sum(outside[1]))} of the rows lie outside of the reference's range now"
    return drawing.picture(_WIDTH, height, said, element("title", said), *parts)


def _cumulated(counts: Sequence[int]) -> NDArray[np.float64]:
    """Return the share of values up to each edge."""
    total = np.array(counts, dtype=np.float64).cumsum()
    found: NDArray[np.float64] = total[:-1] / total[-1]
    return found


def _shares(
    grid: NDArray[np.float64], edges: NDArray[np.float64], cumulated: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of values per bar; what lies before or behind the grid, but in the range, is in its end bars."""
    at = np.interp(grid, edges, cumulated)
    at[0], at[-1] = cumulated[0], cumulated[-1]
    return np.diff(at)


def _range(edges: NDArray[np.float64], before: NDArray[np.float64], now: NDArray[np.float64]) -> tuple[float, float]:
    """Return the values that are drawn: all, or without the outer half per cent where that is most of the range."""
    low, high = float(edges[0]), float(edges[-1])
    inner_low = min(_quantile(edges, cumulated, _TAIL) for cumulated in (before, now))
    inner_high = max(_quantile(edges, cumulated, 1 - _TAIL) for cumulated in (before, now))
    if inner_high > inner_low and (high - low) > 2 * (inner_high - inner_low):
        low, high = inner_low, inner_high
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _quantile(edges: NDArray[np.float64], cumulated: NDArray[np.float64], at: float) -> float:
    inside = (cumulated - cumulated[0]) / max(cumulated[-1] - cumulated[0], 1e-12)
    return float(np.interp(at, inside, edges))


def _median(edges: NDArray[np.float64], cumulated: NDArray[np.float64]) -> float:
    return float(f"{float(np.interp(0.5, cumulated, edges)):.3g}")


def _outline(lefts: Sequence[float], rights: Sequence[float], tops: Sequence[float], base: float) -> str:
    steps = "".join(f"V{drawing.pixels(top)}H{drawing.pixels(right)}" for top, right in zip(tops, rights, strict=True))
    return f"M{drawing.pixels(lefts[0])} {drawing.pixels(base)}{steps}V{drawing.pixels(base)}"


def _outside(outside: Sequence[tuple[float, float]], y: Scale, base: float) -> list[Markup]:
    (below_before, above_before), (below_now, above_now) = outside
    drawn = []
    for at, before, now, sign in ((0.0, below_before, below_now, "<"), (_WIDTH - 11, above_before, above_now, ">")):
        if max(before, now) < 0.0005:
            continue
        drawn += [
            element("path", d=drawing.bars([at], [at + 11], [y(before)], base), class_="ref"),
            element("path", d=drawing.bars([at + 3], [at + 8], [min(y(now), base - 1)], base), class_="new"),
            label(sign, at + 5.5, base + 12, anchor="middle", class_="t"),
        ]
    return drawn


def _value_axis(x: Scale, low: float, high: float, base: float) -> list[Markup]:
    ticks = linear_ticks(low, high, 5)
    widths = [drawing.text_width(tick.label, 9.5) for tick in ticks]
    centres = [
        min(max(x(tick.value), x.start + width / 2), x.end - width / 2)
        for tick, width in zip(ticks, widths, strict=True)
    ]
    shown = drawing.spread(centres, widths, gap=8)
    return [
        joined(
            [
                element("path", d=f"M{drawing.pixels(x(tick.value))} {base}v3", class_="axis"),
                label(tick.label, centre, base + 13, anchor="middle", class_="t"),
            ]
        )
        for tick, centre, is_shown in zip(ticks, centres, shown, strict=True)
        if is_shown
    ]


def _clock(name: str, distribution: Distribution) -> Markup:
    """Draw hours of the day beside days of the week; either is left out where it holds nothing."""
    sides = (distribution.reference, distribution.current)
    hours = [counts[:24] for counts in sides]
    days = [counts[24:] for counts in sides]
    has_hours = all(sum(counts) for counts in hours)
    split = 150.0 if has_hours else 0.0
    parts: list[Markup] = []
    if has_hours:
        parts += _slots(hours, 0.0, split - 14, {at: f"{at:02d}" for at in (0, 6, 12, 18)})
    parts += _slots(days, split, _WIDTH, dict(enumerate(_WEEKDAYS)))
    return drawing.picture(_WIDTH, 62, f"Hours and weekdays of {name}, reference and now", *parts)


def _slots(sides: Sequence[Sequence[int]], left: float, right: float, names: dict[int, str]) -> list[Markup]:
    shares = [[count / max(sum(side), 1) for count in side] for side in sides]
    width = (right - left) / len(shares[0])
    base = 48.0
    y = Scale(0.0, max(max(side) for side in shares) or 1.0, base, 2.0)
    lefts = [left + index * width for index in range(len(shares[0]))]
    rights = [at + width for at in lefts]
    tops = [[y(value) for value in side] for side in shares]
    return [
        element("path", d=drawing.bars(lefts, rights, tops[0], base), class_="ref"),
        element("path", d=_outline(lefts, rights, tops[1], base), class_="line"),
        element("path", d=f"M{drawing.pixels(left)} {base}H{drawing.pixels(right)}", class_="axis"),
        *(label(text, left + (at + 0.5) * width, base + 13, anchor="middle", class_="t") for at, text in names.items()),
    ]
