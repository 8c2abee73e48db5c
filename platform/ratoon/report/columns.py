"""The rows of the drift table: what each judged column shows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ratoon.drift.values import ColumnDrift, DriftReport
from ratoon.report.distributions import distribution_picture
from ratoon.report.formats import count, fixed, p_value, sentence, share
from ratoon.report.sparklines import score_sparkline
from ratoon.report.values import ColumnView, ReportData

_IN_COLUMNS = re.compile(r" \((?:PSI|p) [^()]*\)")
"""What a sentence says in brackets and the table shows in columns of its own: score, threshold, p and rows."""

_REASONS = {"distribution": "distribution", "null_rate": "missing values", "new_category": "new values"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRow:
    """One row of the drift table; ``*_key`` are what the browser sorts by."""

    name: str
    flagged: bool
    pii: bool
    reasons: Sequence[str]
    sentence: str
    shape: Markup
    no_shape: str
    trend: Markup
    score: str
    threshold: str
    score_key: str
    p: str
    p_key: str
    missing_now: str
    missing_before: str
    missing_key: str
    importance: str
    importance_key: str
    meter: float
    weight: str
    weight_key: str


def column_rows(data: ReportData) -> list[ColumnRow]:
    """Return a row per judged column: flagged ones first, then by effect times importance."""
    if data.drift is None:
        return []
    ranked = sorted(data.drift.columns, key=lambda row: (not row.flagged, -row.weight, -row.severity, row.column))
    most = max((row.importance or 0.0 for row in ranked), default=0.0)
    return [_row(data.drift, row, data.columns.get(row.column, ColumnView()), most) for row in ranked]


def drift_lead(report: DriftReport) -> str:
    """Return the report in a sentence, with what it compared."""
    compared = f"{report.n_rows_current:,} new rows against {report.n_rows_reference:,} of the reference"
    budget = (
        f" The chance of any alarm here, had nothing changed, was {report.alpha * 100:.2g} %." if report.alpha else ""
    )
    is_weighted = any(row.importance is not None for row in report.columns)
    ranked = " Ranked by effect times importance." if is_weighted else " Ranked by effect."
    head = f"{len(report.drifted) or 'None'} of {count(len(report.columns), 'column')} drifted: {compared}."
    return f"{head}{budget}{ranked}"


def smallest_effect(report: DriftReport, column: str) -> float:
    """Return the smallest score of a column that matters, by its own dial or the report's."""
    dials = report.settings.columns.get(column)
    own = dials.min_effect if dials is not None else None
    return own if own is not None else report.settings.min_effect


def _row(report: DriftReport, row: ColumnDrift, view: ColumnView, most: float) -> ColumnRow:
    threshold = smallest_effect(report, row.column)
    shape = Markup("") if view.pii or view.distribution is None else distribution_picture(row.column, view.distribution)
    moved = abs(row.null_rate_current - row.null_rate_reference)
    return ColumnRow(
        name=row.column,
        flagged=row.flagged,
        pii=view.pii,
        reasons=[_REASONS[reason] for reason in row.reasons],
        sentence=_sentence(row, view),
        shape=shape,
        no_shape="" if shape else "no values are kept" if view.pii or row.kind == "identifier" else "no counts to draw",
        trend=score_sparkline(row.column, view.history, threshold),
        score=fixed(row.score),
        threshold=fixed(threshold),
        score_key=_key(row.score),
        p=p_value(row.p_value),
        p_key=_key(row.p_value),
        missing_now=share(row.null_rate_current),
        missing_before=share(row.null_rate_reference),
        missing_key=_key(moved),
        importance=share(row.importance),
        importance_key=_key(row.importance),
        meter=row.importance / most if row.importance is not None and most > 0 else 0.0,
        weight=fixed(row.weight, 2),
        weight_key=_key(row.weight),
    )


def _sentence(row: ColumnDrift, view: ColumnView) -> str:
    """Return what changed; of personal data only that it did, since a sentence may carry means and values."""
    if not view.pii:
        return sentence(_IN_COLUMNS.sub("", row.sentence.removeprefix(f"{row.column}: ")))
    return "Its distribution moved; values of personal data are not shown." if row.flagged else "Nothing moved."


def _key(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
