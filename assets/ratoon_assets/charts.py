"""The decisive pictures, as SVG inside Markdown: what Dagster's page shows without a script. Pure.

Each function returns Markdown with one image, at most :data:`MAX_BYTES` long: pictures live in the event log.
Altair takes more than a second to import, so that whoever only lists assets must not import this module.
"""

import base64
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import altair as alt

MAX_BYTES = 60_000
"""Largest picture, in characters of Markdown."""

MAX_POINTS = 150
"""Most points of a line: of more, the newest are drawn."""

_DOTTED = 40
"""A line of more points shows no dots: each costs more bytes than the line to it."""

_WIDTH, _HEIGHT = 620, 200
_BLUE, _ORANGE, _GREY, _RED, _VIOLET = "#2563eb", "#ea580c", "#94a3b8", "#dc2626", "#7c3aed"
_NAMES = {"candidate": _BLUE, "champion": _ORANGE, "baseline": _GREY}

Row = Mapping[str, Any]


def performance_over_time(rows: Sequence[Row], *, metric: str, promotions: Sequence[Row] = ()) -> str:
    """Draw the champion's metric per cohort, its reference, and where the champion changed.

    Args:
        rows: ``as_of`` (ISO 8601); ``value`` and ``reference``; where there are any, ``maturity`` (share of labels
            known: less is drawn fainter) and the estimate without labels, ``estimate``, ``low`` and ``high``. All but
            the first float or None. The newest :data:`MAX_POINTS` are drawn.
        metric: Name of the metric, for the axis.
        promotions: ``at`` (ISO 8601) and ``version``; those before the first drawn cohort are left out.
    """
    drawn = sorted(rows, key=lambda row: str(row["as_of"]))[-MAX_POINTS:]
    if not drawn:
        return ""
    x = alt.X("as_of:T", title=None)
    domain = _domain(drawn)
    layers: list[Any] = [*_estimate_layers(drawn, metric, domain), *_measured_layers(drawn, metric)]
    if any(row.get("reference") is not None for row in drawn):
        references = [row for row in drawn if row.get("reference") is not None]
        layers.append(
            alt.Chart(_data(references))
            .mark_line(color=_GREY, strokeDash=[4, 3], interpolate="step-after")
            .encode(x=x, y=_y("reference:Q", metric))
        )
    changes = [row for row in promotions if str(row["at"]) >= str(drawn[0]["as_of"])][-40:]
    if changes:
        marks = alt.Chart(_data(changes))
        layers.append(marks.mark_rule(color=_ORANGE, opacity=0.6).encode(x=alt.X("at:T", title=None)))
        layers.append(
            marks.mark_text(align="left", dx=3, fontSize=9, color=_ORANGE).encode(
                x="at:T", y=alt.value(6), text="version:N"
            )
        )
    band = "; violet: estimated without labels" if any(row.get("estimate") is not None for row in drawn) else ""
    title = f"{metric} on matured rows (dashed: reference at evaluation; orange: promotions{band})"
    return _markdown(alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT, title=title), f"{metric} over time")


def _measured_layers(rows: Sequence[Row], metric: str) -> list[Any]:
    """Draw the metric; a dot is as faint as the labels of its cohort are few."""
    known = [_only(row, "as_of", "value", "maturity") for row in rows if row.get("value") is not None]
    if not known:
        return []
    x, y = alt.X("as_of:T", title=None), _y("value:Q", metric)
    line = alt.Chart(_data(known)).mark_line(color=_BLUE, strokeWidth=1.5).encode(x=x, y=y)
    if len(known) > _DOTTED:
        return [line]
    dots = alt.Chart(_data(known)).mark_point(color=_BLUE, filled=True, opacity=1).encode(x=x, y=y)
    if any(row.get("maturity") is not None for row in known):
        scale = alt.Scale(domain=[0, 1], range=[0.25, 1])
        dots = dots.encode(fillOpacity=alt.FillOpacity("maturity:Q", legend=None, scale=scale))
    return [line, dots]


def _domain(rows: Sequence[Row]) -> list[float]:
    """Return the range of what was measured and estimated, with some air: a band may reach beyond it and is cut."""
    values = [row[name] for row in rows for name in ("value", "reference", "estimate") if row.get(name) is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    air = 0.25 * (high - low) or 0.05
    return [low - air, high + air]


def _estimate_layers(rows: Sequence[Row], metric: str, domain: list[float]) -> list[Any]:
    """Draw the estimate and its band, where there is one."""
    known = [_only(row, "as_of", "estimate", "low", "high") for row in rows if row.get("estimate") is not None]
    if not known:
        return []
    x = alt.X("as_of:T", title=None)
    bounded = [row for row in known if row["low"] is not None and row["high"] is not None]
    line = alt.Chart(_data([_only(row, "as_of", "estimate") for row in known])).mark_line(
        color=_VIOLET, strokeWidth=1, strokeDash=[2, 2]
    )
    band = alt.Chart(_data([_only(row, "as_of", "low", "high") for row in bounded])).mark_area(
        color=_VIOLET, opacity=0.15, clip=True
    )
    y = alt.Y("low:Q", title=metric, scale=alt.Scale(zero=False, nice=False, domain=domain))
    drawn = [line.encode(x=x, y=_y("estimate:Q", metric))]
    return [band.encode(x=x, y=y, y2="high:Q"), *drawn] if bounded else drawn


def _only(row: Row, *names: str) -> Row:
    return {name: row.get(name) for name in names}


def judged(scores: Sequence[Row], *, metric: str) -> str:
    """Draw candidate, champion and baseline with their intervals on the same rows.

    Args:
        scores: ``name``, ``value`` and, where known, ``low`` and ``high`` (float or None).
        metric: Name of the metric, for the axis.
    """
    if not scores:
        return ""
    rows = [{**row, "text": f"{row['value']:.4f}"} for row in scores]
    y = alt.Y("name:N", title=None, sort=[str(row["name"]) for row in rows])
    color = alt.Color("name:N", legend=None, scale=alt.Scale(domain=list(_NAMES), range=list(_NAMES.values())))
    axis = alt.Axis(tickCount=8)
    x = alt.X("value:Q", title=metric, axis=axis, scale=alt.Scale(zero=False, padding=30))
    layers: list[Any] = [
        alt.Chart(_data(rows)).mark_point(filled=True, size=90, opacity=1).encode(x=x, y=y, color=color),
        alt.Chart(_data(rows)).mark_text(dy=-11, fontSize=11).encode(x=x, y=y, text="text:N"),
    ]
    whiskers = [row for row in rows if row.get("low") is not None and row.get("high") is not None]
    if whiskers:
        layers.insert(
            0,
            alt.Chart(_data(whiskers))
            .mark_rule(strokeWidth=2)
            .encode(x=alt.X("low:Q", title=metric, axis=axis), x2="high:Q", y=y, color=color),
        )
    chart = alt.layer(*layers).properties(
        width=_WIDTH - 60, height=46 * len(rows), title=f"{metric} on the same holdout rows"
    )
    return _markdown(chart, "candidate against champion")


def drift_per_column(columns: Sequence[Row], *, threshold: float | None) -> str:
    """Draw the drift score per column, worst first, with the threshold.

    Args:
        columns: ``column``, ``score`` (float) and ``flagged`` (bool); the worst 25 are drawn.
        threshold: Score from which a column may count as drifted, or None.
    """
    worst = sorted(columns, key=lambda row: -float(row["score"] or 0))[:25]
    if not worst:
        return ""
    y = alt.Y("column:N", title=None, sort=[str(row["column"]) for row in worst])
    color = alt.Color("flagged:N", legend=None, scale=alt.Scale(domain=[True, False], range=[_RED, _GREY]))
    layers: list[Any] = [
        alt.Chart(_data(worst))
        .mark_bar(height=11)
        .encode(x=alt.X("score:Q", title="drift score (PSI)"), y=y, color=color)
    ]
    if threshold is not None:
        layers.append(
            alt.Chart(_data([{"score": threshold}])).mark_rule(color=_RED, strokeDash=[4, 3]).encode(x="score:Q")
        )
    chart = alt.layer(*layers).properties(
        width=_WIDTH - 100,
        height=18 * len(worst),
        title="drift per column (red: drifted; dashed: smallest score that matters)",
    )
    return _markdown(chart, "drift per column")


def self_test_power(result: Mapping[str, Any], *, target: float = 0.95) -> str:
    """Draw how often each kind of shift would be seen, by its size, with the false alarms when nothing changed.

    Args:
        result: The JSON of a :class:`ratoon.drift.selftest.SelfTest`.
        target: The share of reports that is drawn as enough.
    """
    from ratoon.drift.selftest import SelfTest
    from ratoon.report import self_test_picture, standalone

    drawing = self_test_picture(SelfTest.model_validate(result), target=target)
    return _image(standalone(drawing), "what drift would see") if drawing else ""


def _data(rows: Sequence[Row]) -> alt.InlineData:
    return alt.InlineData(values=[dict(row) for row in rows])


def _y(field: str, title: str) -> alt.Y:
    return alt.Y(field, title=title, scale=alt.Scale(zero=False))


def _markdown(chart: alt.LayerChart | alt.FacetChart, alternative: str) -> str:
    """Return the chart as an image in Markdown, or a sentence when the picture is over :data:`MAX_BYTES`."""
    drawing = StringIO()
    chart.configure_view(stroke=None).configure_title(fontSize=12, anchor="start").save(drawing, format="svg")
    return _image(drawing.getvalue(), alternative)


def _image(svg: str, alternative: str) -> str:
    encoded = base64.b64encode(svg.encode()).decode()
    picture = f"![{alternative}](data:image/svg+xml;base64,{encoded})"
    return (
        picture
        if len(picture) <= MAX_BYTES
        else f"*{alternative}: the picture is too large to show here ({len(picture):,} characters).*"
    )
