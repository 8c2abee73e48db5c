"""The model's life on one time axis: its metric, its decisions, its drift alarms, and how far labels have come."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from markupsafe import Markup

from ratoon.report import drawing
from ratoon.report.axes import Scale, Tick, linear_scale, linear_ticks, time_scale, time_ticks
from ratoon.report.drawing import element, joined, label
from ratoon.report.formats import count, fixed, minute, number, share, shortened
from ratoon.report.values import Cohort, DecisionView, DriftPoint, PromotionView, ReportData

MOST_DRAWN = 750
"""Most cohorts and drift reports of a timeline: two years of days; what is older is left out."""
_DOTTED = 90
"""A line of more points shows no dots."""
_MOST_WAITS = 120
"""More plain waits than these are ticks that say nothing: what was decided stands out by itself."""
_MOST_REASON = 150
_MOST_TOUCHED = 60
"""More alarms than these are too narrow to be met on a narrow screen."""
_LEVELS = 4
"""Steps of opacity by maturity."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a timeline stand, in pixels.

    Attributes:
        is_compact: For a narrow screen: names of strips stand above them, and plain waits can't be touched.
        touch: Least distance of two cohorts that can be touched.
    """

    width: float
    is_compact: bool = False
    left: float = 64.0
    right: float = 12.0
    metric_top: float = 26.0
    metric_height: float = 190.0
    n_ticks: int = 12
    touch: float = 2.5

    @property
    def end(self) -> float:
        """Return the right end of the drawing."""
        return self.width - self.right

    @property
    def base(self) -> float:
        """Return the lower end of the metric's panel."""
        return self.metric_top + self.metric_height


WIDE = Layout(1040.0)
COMPACT = Layout(372.0, is_compact=True, left=38.0, right=6.0, metric_height=150.0, n_ticks=4, touch=6.0)


@dataclass(slots=True)
class _Strips:
    """Puts strips below each other."""

    layout: Layout
    y: float
    parts: list[Markup] = field(default_factory=list)

    def add(self, name: str, height: float, content: Sequence[Markup]) -> None:
        """Add a strip whose content is drawn from 0 to its height."""
        if not content:
            return
        if self.layout.is_compact:
            self.parts.append(label(name, 0.0, self.y + 10, class_="t"))
            self.y += 15
        else:
            self.parts.append(label(name, self.layout.left - 10, self.y + height / 2 + 3.5, anchor="end", class_="t"))
        self.parts.append(element("g", joined(content), transform=f"translate(0 {drawing.pixels(self.y)})"))
        self.y += height + (8 if self.layout.is_compact else 10)


def timeline_picture(data: ReportData, layout: Layout = WIDE) -> Markup:
    """Draw a model's timeline, or nothing where nothing has happened yet.

    Args:
        data: The report's data; cohorts, promotions, decisions and drift history are drawn.
        layout: Wide or compact.
    """
    data = newest(data)
    instants = list(_instants(data))
    if not instants:
        return Markup("")
    x = time_scale(min(instants), max(instants), layout.left + 6, layout.end - 6)
    ticks = time_ticks(x, layout.n_ticks)
    strips = _Strips(layout, layout.base + 14)
    strips.add("Decisions", 16.0, list(_decision_strip(data.decisions, x, layout)))
    strips.add("Drifted", 16.0, list(_drift_strip(data.drift_history, x, layout)))
    strips.add("Labelled", 16.0, list(_maturity_strip(data.cohorts, x)))
    bottom = strips.y + 4
    grid = "".join(
        f"M{drawing.pixels(x(tick.value))} {drawing.pixels(layout.metric_top)}V{drawing.pixels(bottom)}"
        for tick in ticks
    )
    parts = [
        element("path", d=grid, class_="grid") if grid else Markup(""),
        *_metric_panel(data, x, layout),
        *_promotion_lines(data.promotions, x, layout),
        *strips.parts,
        element(
            "path",
            d=f"M{drawing.pixels(layout.left)} {drawing.pixels(bottom)}H{drawing.pixels(layout.end)}",
            class_="axis",
        ),
        *_time_labels(x, ticks, bottom + 14, layout),
        *_cohort_marks(data, x, layout),
    ]
    return drawing.picture(layout.width, bottom + 20, _said(data), *parts, class_="chart timeline")


def newest(data: ReportData) -> ReportData:
    """Return the data of the stretch of time that a timeline shows: the newest :data:`MOST_DRAWN` cohorts and reports."""
    series = (data.cohorts, data.drift_history)
    since = [points[-MOST_DRAWN].at for points in series if len(points) > MOST_DRAWN]
    decisions = data.decisions[: 2 * MOST_DRAWN]
    if not since and len(decisions) == len(data.decisions):
        return data
    begins = max([*since, *([decisions[-1].at] if len(decisions) < len(data.decisions) else [])])
    return data.model_copy(
        update={
            "cohorts": [one for one in data.cohorts if one.at >= begins],
            "drift_history": [one for one in data.drift_history if one.at >= begins],
            "decisions": [one for one in decisions if one.at >= begins],
        }
    )


def _instants(data: ReportData) -> Iterator[datetime]:
    yield from (cohort.at for cohort in data.cohorts)
    yield from (decision.at for decision in data.decisions)
    yield from (point.at for point in data.drift_history)


def _said(data: ReportData) -> str:
    values = [cohort.value for cohort in data.cohorts if cohort.value is not None]
    parts = [f"Timeline of {data.model}"]
    if values:
        parts.append(
            f"{data.metric} of {count(len(values), 'cohort')} between {fixed(min(values))} and {fixed(max(values))}"
        )
    n_alarms = sum(bool(point.drifted) or point.joint for point in data.drift_history)
    parts.append(f"{count(n_alarms, 'drift alarm')} in {count(len(data.drift_history), 'report')}")
    n_retrains = sum(decision.kind == "retrain" for decision in data.decisions)
    parts.append(f"{count(n_retrains, 'retrain')}, {count(len(data.promotions), 'promotion')}")
    return "; ".join(parts)


def _metric_panel(data: ReportData, x: Scale, layout: Layout) -> Iterator[Markup]:
    values = [
        value
        for cohort in data.cohorts
        for value in (cohort.value, cohort.reference, cohort.estimate)
        if value is not None
    ]
    yield label(data.metric, 0.0, 11, class_="t strong")
    if not values:
        yield label(
            "no label of a predicted row is known yet",
            (layout.left + layout.end) / 2,
            layout.base - 60,
            anchor="middle",
            class_="t",
        )
        return
    y = linear_scale(values, layout.base, layout.metric_top, padding=0.25 if _has_band(data.cohorts) else 0.08)
    for tick in linear_ticks(y.low, y.high, 5):
        at = drawing.pixels(y(tick.value))
        yield element("path", d=f"M{drawing.pixels(layout.left)} {at}H{drawing.pixels(layout.end)}", class_="grid")
        yield label(tick.label, layout.left - 8, y(tick.value) + 3.5, anchor="end", class_="t")
    yield from _estimate(data.cohorts, x, y)
    yield element("path", d=_reference_steps(data.cohorts, x, y), class_="reference")
    measured = [None if cohort.value is None else (_x(x, cohort.at), y(cohort.value)) for cohort in data.cohorts]
    yield element("path", d=drawing.line(measured), class_="line")
    if len(data.cohorts) <= _DOTTED:
        yield from _dots(data.cohorts, x, y)


def _x(x: Scale, at: datetime) -> float:
    return x(at.timestamp())


def _has_band(cohorts: Sequence[Cohort]) -> bool:
    return any(cohort.estimate_low is not None for cohort in cohorts)


def _estimate(cohorts: Sequence[Cohort], x: Scale, y: Scale) -> Iterator[Markup]:
    """Draw the estimate and its band; a band wider than the panel is cut, so that the metric keeps its scale."""
    known = [one for one in cohorts if one.estimate_low is not None and one.estimate_high is not None]
    upper = [(_x(x, one.at), max(y(one.estimate_high), y.end)) for one in known if one.estimate_high is not None]
    lower = [(_x(x, one.at), min(y(one.estimate_low), y.start)) for one in known if one.estimate_low is not None]
    if known:
        yield element("path", d=drawing.band(upper, lower), class_="band")
    middle = [None if one.estimate is None else (_x(x, one.at), y(one.estimate)) for one in cohorts]
    if any(point is not None for point in middle):
        yield element("path", d=drawing.line(middle), class_="estimate")


def _reference_steps(cohorts: Sequence[Cohort], x: Scale, y: Scale) -> str:
    """Return the reference as a step per version, from its first cohort to the next version's."""
    known = [cohort for cohort in cohorts if cohort.reference is not None]
    path = ""
    for position, cohort in enumerate(known):
        at, level = drawing.pixels(_x(x, cohort.at)), drawing.pixels(y(cohort.reference or 0.0))
        changed = position == 0 or known[position - 1].version != cohort.version
        is_last = position + 1 == len(known)
        if changed:
            path += f"M{at} {level}" if position == 0 else f"H{at}V{level}"
        if is_last:
            path += f"H{at}" if len(known) > 1 else "h.1"
    return path


def _dots(cohorts: Sequence[Cohort], x: Scale, y: Scale) -> Iterator[Markup]:
    for cohort in cohorts:
        if cohort.value is not None:
            level = _level(cohort.maturity)
            yield element("circle", cx=_x(x, cohort.at), cy=y(cohort.value), r=2.6, class_=f"dot m{level}")


def _level(maturity: float) -> int:
    return min(_LEVELS, 1 + int(maturity * _LEVELS))


def _promotion_lines(promotions: Sequence[PromotionView], x: Scale, layout: Layout) -> list[Markup]:
    drawn = [one for one in promotions if x.low <= one.at.timestamp() <= x.high]
    names = [f"v{one.version}" for one in drawn]
    places = [_x(x, one.at) for one in drawn]
    widths = [drawing.text_width(name, 10) for name in names]
    shown = drawing.spread(places, widths, gap=5)
    parts = []
    for promotion, name, place, is_shown in zip(drawn, names, places, shown, strict=True):
        said = f"{minute(promotion.at)}: version {promotion.version} became champion ({promotion.kind})"
        if promotion.reason:
            said += f". {shortened(promotion.reason, _MOST_REASON)}"
        top = drawing.pixels(layout.metric_top - 8)
        parts.append(
            element(
                "g",
                element("title", said),
                element("path", d=f"M{drawing.pixels(place)} {top}V{drawing.pixels(layout.base)}", class_="promotion"),
                label(name, place, layout.metric_top - 13, anchor="middle", class_="t strong")
                if is_shown
                else Markup(""),
                element("rect", x=place - 6, y=2, width=12, height=20, class_="hit"),
                class_="mark",
            )
        )
    return parts


def _decision_strip(decisions: Sequence[DecisionView], x: Scale, layout: Layout) -> Iterator[Markup]:
    if not decisions:
        return
    waits = [decision for decision in decisions if decision.kind == "wait"]
    is_silent = layout.is_compact or len(waits) > _MOST_WAITS
    tall = "7v2" if len(waits) > _MOST_WAITS else "5v6"
    ticks = "".join(f"M{drawing.pixels(_x(x, one.at))} {tall}" for one in (waits if is_silent else ()))
    if ticks:
        yield element("path", d=ticks, class_="wait")
    order = {"wait": 0, "held": 1, "retrain": 2}
    for decision in sorted(decisions, key=lambda one: (order[one.kind], one.number)):
        if decision.kind != "wait" or not is_silent:
            yield _decision_mark(decision, _x(x, decision.at))


def _decision_mark(decision: DecisionView, at: float) -> Markup:
    shapes = {
        "retrain": f"M{drawing.pixels(at)} 1l6 12h-12z",
        "held": f"M{drawing.pixels(at)} 2l5.5 6 -5.5 6 -5.5 -6z",
        "wait": f"M{drawing.pixels(at)} 5v6",
    }
    names = {"retrain": "retrain", "held": "held back", "wait": "wait"}
    said = f"{minute(decision.at)}: {names[decision.kind]}. {shortened(decision.reason, _MOST_REASON)}"
    return element(
        "g",
        element("title", said),
        element("path", d=shapes[decision.kind], class_=decision.kind),
        element("rect", x=at - 5, y=0, width=10, height=16, class_="hit"),
        class_="mark",
    )


def _drift_strip(history: Sequence[DriftPoint], x: Scale, layout: Layout) -> Iterator[Markup]:
    """Draw a cell per report: as full as the share of columns that drifted."""
    if not history:
        return
    width = _cell_width([point.at for point in history], x)
    yield element("path", d=_cells([point.at for point in history if point.judged], x, width, 0.0, 16.0), class_="cell")
    alarms = [point for point in history if point.drifted or point.joint]
    for point in alarms:
        height = 16.0 * max(len(point.drifted) / max(point.n_columns, 1), 0.2)
        named = ", ".join(point.drifted[:4]) + (" …" if len(point.drifted) > 4 else "")
        said = f"{minute(point.at)}: {len(point.drifted)} of {count(point.n_columns, 'column')} drifted"
        said += (f": {shortened(named, 90)}" if named else "") + (
            "; columns moved together differently" if point.joint else ""
        )
        place = _x(x, point.at) - width / 2
        yield element(
            "g",
            Markup("") if layout.is_compact and len(alarms) > _MOST_TOUCHED else element("title", said),
            element("rect", x=place, y=16 - height, width=width, height=height, class_="alarm"),
            element("rect", x=place, y=0, width=width, height=16, class_="hit"),
            class_="mark",
        )


def _maturity_strip(cohorts: Sequence[Cohort], x: Scale) -> Iterator[Markup]:
    """Draw a cell per cohort: as full as its labels are known."""
    if not cohorts:
        return
    at = [cohort.at for cohort in cohorts]
    width = _cell_width(at, x)
    yield element("path", d=_cells(at, x, width, 0.0, 16.0), class_="cell")
    lefts = [_x(x, cohort.at) - width / 2 for cohort in cohorts]
    tops = [16.0 * (1 - cohort.maturity) for cohort in cohorts]
    yield element("path", d=drawing.bars(lefts, [left + width for left in lefts], tops, 16.0), class_="labelled")


def _cell_width(at: Sequence[datetime], x: Scale) -> float:
    places = sorted({_x(x, one) for one in at})
    gaps = [after - before for before, after in pairwise(places)]
    return min(max(min(gaps, default=12.0) * 0.8, 0.8), 24.0)


def _cells(at: Sequence[datetime], x: Scale, width: float, top: float, base: float) -> str:
    lefts = [_x(x, one) - width / 2 for one in at]
    return drawing.bars(lefts, [left + width for left in lefts], [top] * len(lefts), base)


def _time_labels(x: Scale, ticks: Sequence[Tick], y: float, layout: Layout) -> Iterator[Markup]:
    widths = [drawing.text_width(tick.label, 11) for tick in ticks]
    centres = [
        min(max(x(tick.value), layout.left + width / 2), layout.width - width / 2)
        for tick, width in zip(ticks, widths, strict=True)
    ]
    for tick, centre, is_shown in zip(ticks, centres, drawing.spread(centres, widths, gap=8), strict=True):
        if is_shown:
            yield label(tick.label, centre, y, anchor="middle", class_="t")


def _cohort_marks(data: ReportData, x: Scale, layout: Layout) -> Iterator[Markup]:
    """Draw what answers to a touch: invisible columns over the metric's panel, none narrower than can be met."""
    chosen: list[tuple[float, Cohort]] = []
    for cohort in reversed(data.cohorts):
        place = _x(x, cohort.at)
        if not chosen or chosen[-1][0] - place >= layout.touch:
            chosen.append((place, cohort))
    chosen.reverse()
    places = [layout.left, *(place for place, _ in chosen), layout.end]
    for position, (place, cohort) in enumerate(chosen):
        left = layout.left if position == 0 else (places[position] + place) / 2
        right = layout.end if position + 1 == len(chosen) else (place + places[position + 2]) / 2
        yield element(
            "g",
            element("title", cohort_text(cohort, data.metric)),
            element(
                "rect",
                x=left,
                y=layout.metric_top,
                width=right - left,
                height=layout.metric_height,
                class_="hit",
            ),
            class_="mark",
        )


def cohort_text(cohort: Cohort, metric: str) -> str:
    """Return a cohort in one line."""
    value = f"{metric} {fixed(cohort.value)}" if cohort.value is not None else f"no {metric} yet"
    beside = f" (reference {fixed(cohort.reference)})" if cohort.reference is not None else ""
    estimated = f", estimated {fixed(cohort.estimate)}" if cohort.estimate is not None else ""
    labelled = f"{share(cohort.maturity, 0)} of {number(cohort.n_rows)} labelled"
    return f"{minute(cohort.at)}: {value}{beside}{estimated}. Version {cohort.version}, {labelled}"
