"""How much of a cohort is labelled, by its age."""

from datetime import timedelta

from markupsafe import Markup

from ratoon.instants import format_duration
from ratoon.report import drawing
from ratoon.report.axes import Scale, linear_ticks
from ratoon.report.drawing import element, label
from ratoon.report.formats import share
from ratoon.report.values import AgePoint, MaturityView

_UNITS = (
    (604_800.0, "weeks", 5),
    (86_400.0, "days", 4),
    (3_600.0, "hours", 4),
    (60.0, "minutes", 4),
    (1.0, "seconds", 4),
)


def _rising(curve: list[AgePoint]) -> list[AgePoint]:
    """Return the part of a curve in which it rises, and half as much again: what follows is flat."""
    done = next((point.age_s for point in curve if point.share >= 0.995 * curve[-1].share), 0.0)
    return [point for point in curve if point.age_s <= 1.5 * done] if done else curve


def maturity_picture(view: MaturityView) -> Markup:
    """Draw the share of labels known over the age of a cohort, with the share that is enough, or nothing."""
    curve = _rising(sorted(view.curve, key=lambda point: point.age_s))
    if len(curve) < 2 or curve[-1].age_s <= 0:
        return Markup("")
    width, base, left, right = 440.0, 104.0, 40.0, 432.0
    size, unit = next((size, unit) for size, unit, least in _UNITS if curve[-1].age_s / size >= least or size == 1.0)
    x = Scale(0.0, curve[-1].age_s / size, left, right)
    y = Scale(0.0, 1.0, base, 8.0)
    points = [(x(point.age_s / size), y(point.share)) for point in curve]
    enough = drawing.pixels(y(view.mature_at))
    reached = next((point.age_s for point in curve if point.share >= view.mature_at), None)
    said = f"Share of labels known by age: {share(curve[-1].share, 0)} after {format_duration(timedelta(seconds=curve[-1].age_s))}"
    if reached is not None:
        said += f"; {share(view.mature_at, 0)} after {format_duration(timedelta(seconds=reached))}"
    levels = [
        part
        for at in (0.0, 0.5, 1.0)
        for part in (
            element("path", d=f"M{left} {drawing.pixels(y(at))}H{right}", class_="grid"),
            label(f"{at:.0%}".replace("%", " %"), left - 6, y(at) + 3.5, anchor="end", class_="t"),
        )
    ]
    ticks = [
        label(tick.label, min(x(tick.value), right - 4), base + 14, anchor="middle", class_="t")
        for tick in linear_ticks(0.0, x.high, 8)
    ]
    return drawing.picture(
        width,
        base + 34,
        said,
        *levels,
        element("path", d=drawing.band([(left, base), *points], [(left, base), (points[-1][0], base)]), class_="curve"),
        element("path", d=drawing.line(points), class_="line"),
        element("path", d=f"M{left} {enough}H{right}", class_="limit"),
        *ticks,
        label(f"age in {unit}", (left + right) / 2, base + 29, anchor="middle", class_="t"),
    )
