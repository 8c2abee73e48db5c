"""The report as one HTML page that holds everything it shows: it loads nothing, and no script is needed to read it."""

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from ratoon.policy.values import TriggerResult
from ratoon.report import formats
from ratoon.report.columns import column_rows, drift_lead
from ratoon.report.keys import legend_keys
from ratoon.report.maturity import maturity_picture
from ratoon.report.terms import TERMS
from ratoon.report.tiles import tiles
from ratoon.report.timeline import COMPACT, WIDE, newest, timeline_picture
from ratoon.report.values import Cohort, DecisionView, ReportData, RetrainView, SliceView
from ratoon.report.verdict import summarize, waiting_reason

MOST_DECISIONS: Final = 30
_MOST_COHORTS: Final = 60
_MOST_SLICES: Final = 20
_MOST_RETRAINS: Final = 20
_ADVICE: Final = {
    "hold": "Retraining is held until somebody has looked.",
    "reingest": "Deliver the batch again.",
    "wait_for_labels": "Wait for labels before anything is learned from it.",
    "policy": "The policy may decide.",
}


def render(data: ReportData) -> str:
    """Return a model's report as an HTML page.

    Equal data give equal bytes. Every text of the data is escaped, and columns with personal data show no value.

    Args:
        data: What to show; parts that are not there yet are said so.
    """
    drift = data.drift
    rows = column_rows(data) if drift is not None and drift.judged else []
    retrains = [decision.retrain for decision in data.decisions if decision.retrain is not None]
    return _template().render(
        data=data,
        summary=summarize(data),
        tiles=tiles(data),
        timeline=timeline_picture(data, WIDE),
        timeline_compact=timeline_picture(data, COMPACT),
        is_cut=newest(data) is not data,
        key=legend_keys(),
        has_estimate=any(cohort.estimate is not None for cohort in data.cohorts),
        no_drift=_no_drift(data),
        drift_lead=drift_lead(drift) if rows and drift is not None else "",
        flagged=[row for row in rows if row.flagged],
        unflagged=[row for row in rows if not row.flagged],
        advice=_ADVICE.get(data.diagnosis.advice, "") if data.diagnosis else "",
        maturity_curve=maturity_picture(data.maturity) if data.maturity else "",
        slices=_worst_slices(data),
        cohorts=_newest(data.cohorts),
        decisions=data.decisions[:MOST_DECISIONS],
        retrains=retrains[:_MOST_RETRAINS],
        terms=TERMS,
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    """Return the page's template; it is read once."""
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_resource),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    style, script = _resource("style.css"), _resource("script.js")
    environment.globals.update(
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        style_hash=_hash(style),
        script_hash=_hash(script),
        badge_of=_badge,
        difference=_difference,
        key_of=_key,
        retrain_text=_retrain_text,
        short_reason=_short_reason,
        **{
            name: getattr(formats, name)
            for name in (
                "closed",
                "count",
                "day",
                "fixed",
                "measured",
                "minute",
                "number",
                "p_value",
                "share",
                "signed",
            )
        },
    )
    return environment.get_template("page.html.j2")


def _resource(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return what a content security policy names an inline text by: nothing else may run or style the page."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _printable(value: Any) -> Any:
    return formats.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _no_drift(data: ReportData) -> str:
    if data.champion is None:
        return "Drift has not been judged: there is no champion, so no data that one has learned from."
    return "Drift has not been judged yet: the first report is made when a batch arrives after the champion's own."


def _newest(cohorts: Sequence[Cohort]) -> list[Cohort]:
    return list(reversed(cohorts[-_MOST_COHORTS:]))


def _worst_slices(data: ReportData) -> list[SliceView]:
    sign = 1.0 if data.greater_is_better else -1.0

    def rank(one: SliceView) -> tuple[bool, bool, float, str, str]:
        gap = _difference(one.metric, one.rest)
        return not one.flagged, gap is None, sign * (gap or 0.0), one.column, one.value

    return sorted(data.slices or [], key=rank)[:_MOST_SLICES]


def _difference(value: float | None, beside: float | None) -> float | None:
    return None if value is None or beside is None else value - beside


def _key(value: float | None) -> str:
    """Return what a cell is sorted by; no value goes last."""
    return "" if value is None else f"{value:.10g}"


def _badge(retrain: RetrainView) -> str:
    return {"PROMOTED": "green", "FAILED": "red", "REJECTED": "amber"}.get(retrain.state.upper(), "")


def _retrain_text(retrain: RetrainView) -> str:
    came = f"version {retrain.version} became champion" if retrain.version is not None else retrain.state.lower()
    because = f": {'; '.join(retrain.reasons)}" if retrain.reasons else ""
    return f"Retrain {retrain.retrain_id}: {came}{because}{f' ({retrain.error})' if retrain.error else ''}."


def _short_reason(decision: DecisionView) -> str:
    if decision.kind == "retrain" or not decision.triggers:
        return formats.closed(decision.reason)
    if decision.kind == "held":
        return formats.closed(waiting_reason(decision))
    return formats.sentence(f"{waiting_reason(decision)}{_closest(decision.triggers)}")


def _closest(triggers: Sequence[TriggerResult]) -> str:
    """Return which trigger was closest to firing, and how close."""
    measured = [one for one in triggers if one.value is not None and one.threshold]
    if not measured:
        return ""
    best = max(measured, key=lambda one: (one.value or 0.0) / (one.threshold or 1.0))
    row = f", {best.streak} of {best.confirm} times in a row" if best.confirm > 1 and best.streak else ""
    return f"; closest: {best.key}, {formats.measured(best.value, best.unit)} of {formats.measured(best.threshold, best.unit)}{row}"
