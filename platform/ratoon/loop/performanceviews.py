"""What a model's report shows of its performance: from the sums that every cohort left in the ledger."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from ratoon.declarations import ModelSpec
from ratoon.ledger.records import Performance, Scoring
from ratoon.loop.decay import change_of, forecasts_of, maturity_of, slices_of
from ratoon.performance import Maturity
from ratoon.performance.maturity import end_of_bin
from ratoon.report.formats import count
from ratoon.report.values import (
    AgePoint,
    ChangeView,
    Cohort,
    EstimateView,
    MaturityView,
    SliceView,
)


def cohort_views(scorings: Iterable[Scoring], measured: Sequence[Performance], at: datetime) -> list[Cohort]:
    """Return every predicted batch, oldest first, with its metric as far as its labels are known."""
    by_cohort = {row.cohort: row for row in measured}
    ordered = sorted((one for one in scorings if one.as_of <= at), key=lambda one: (one.as_of, one.batch_id))
    return [_cohort(scoring, by_cohort.get(scoring.batch_id)) for scoring in ordered]


def change_view(spec: ModelSpec, measured: Sequence[Performance]) -> ChangeView | None:
    """Return whether the loss rose; None while no cohort is mature."""
    verdict = change_of(spec, measured)
    return None if verdict is None else ChangeView(alarm=verdict.alarm, sentence=verdict.sentence)


def slice_views(spec: ModelSpec, measured: Sequence[Performance], personal: set[str]) -> list[SliceView] | None:
    """Return every slice against all other rows, without those of personal data; None where none is declared."""
    report = slices_of(spec, measured)
    if report is None:
        return None
    return [
        SliceView(
            column=one.column,
            value="missing" if one.value is None else one.value,
            n_matured=one.n_matured,
            metric=one.metric,
            rest=one.rest,
            flagged=one.flagged,
            p_value=one.p_value,
        )
        for one in report.slices
        if one.column not in personal
    ]


def maturity_view(spec: ModelSpec, measured: Sequence[Performance]) -> MaturityView | None:
    """Return how fast labels come, and when the newest cohort that waits has enough; None while nothing is known."""
    maturity, present = maturity_of(measured)
    if not any(cohort.n_known for cohort in present):
        return None
    forecast = next(reversed(forecasts_of(spec, maturity, present).values()), None)
    learned = f"learned from {count(maturity.n_cohorts, 'cohort')} with {maturity.n_rows:,} rows"
    return MaturityView(
        sentence=forecast.sentence if forecast is not None else f"every cohort has enough labels; {learned}",
        mature_at=spec.monitoring.mature_at,
        enough_by=None if forecast is None else forecast.at,
        curve=_curve(maturity),
    )


def estimate_view(measured: Sequence[Performance]) -> EstimateView | None:
    """Return the newest cohort's estimate; None where none was made."""
    newest = next((row.details["estimate"] for row in reversed(measured) if row.details.get("estimate")), None)
    if newest is None:
        return None
    past = newest.get("past_error") or {}
    return EstimateView(
        method="importance-weighted CBPE" if newest.get("weighted") else "CBPE",
        assumption=newest.get("assumption", ""),
        sentence=newest.get("sentence", ""),
        past_error=past.get("mae"),
        coverage=past.get("coverage"),
        n_past=past.get("n_cohorts", 0),
    )


def _cohort(scoring: Scoring, row: Performance | None) -> Cohort:
    details = row.details if row is not None else {}
    estimate = details.get("estimate") or {}
    return Cohort(
        name=scoring.batch_id,
        at=scoring.as_of,
        version=scoring.version,
        n_rows=scoring.n_rows,
        n_matured=row.n_matured if row is not None else 0,
        value=row.value if row is not None else None,
        reference=details.get("reference"),
        estimate=estimate.get("value"),
        estimate_low=estimate.get("low"),
        estimate_high=estimate.get("high"),
        reason=details.get("reason") or "",
    )


def _curve(maturity: Maturity) -> list[AgePoint]:
    """Return the share of labels known by age, from none at no age to the oldest age that was seen."""
    ages = [end_of_bin(number) for number in range(len(maturity.share))]
    known = [
        AgePoint(age_s=age, share=float(part))
        for age, part in zip(ages, maturity.share, strict=True)
        if age <= maturity.observed_s
    ]
    return [AgePoint(age_s=0.0, share=0.0), *known] if known else []
