"""Gathers what a model's report shows, as of one time: from the ledger and the stored profiles, never from rows."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl
from pydantic import ValidationError

from ratoon import __version__
from ratoon.bootstrap import Ratoon
from ratoon.declarations import ModelSpec
from ratoon.drift.values import DriftReport
from ratoon.evaluation.metrics import GREATER_IS_BETTER
from ratoon.ledger.answers import WhyEntry
from ratoon.ledger.records import Alert, DriftRecord, Promotion, Scoring, Version
from ratoon.loop.decay import MOST_COHORTS
from ratoon.loop.performanceviews import change_view, cohort_views, estimate_view, maturity_view, slice_views
from ratoon.loop.references import windows
from ratoon.profiles import Binning
from ratoon.report.sparklines import MOST_REPORTS
from ratoon.report.values import (
    AlertView,
    ChampionView,
    ColumnView,
    DecisionView,
    DiagnosisView,
    Distribution,
    DriftPoint,
    FindingView,
    IncidentView,
    PromotionView,
    ReportData,
    RetrainView,
    ScorePoint,
)

_MOST_REPORTS = 1_000
_MOST_DECISIONS = 2_000
_DRAWN = ("numeric", "category", "time")


def gather_report(app: Ratoon, model: str, *, as_of: datetime | None = None) -> ReportData:
    """Gather a model's report.

    Args:
        app: The application.
        model: A declared model.
        as_of: Nothing later is shown; otherwise the last decision's time in a replay, and now when live.

    Raises:
        NotFoundError: The model is not declared.
    """
    spec = app.model(model)
    entries = app.ledger.why(model, _MOST_DECISIONS)
    at = as_of or _present(app, entries)
    versions = {version.version: version for version in app.ledger.versions(model)}
    promotions = [one for one in app.ledger.promotions(model) if one.at <= at]
    drift = [record for record in app.ledger.drift(model, limit=_MOST_REPORTS) if record.as_of <= at]
    report = _newest_report(drift)
    scorings = app.ledger.scorings(model)
    judged_by = versions.get(_judged_by(scorings, drift[0].as_of)) if drift else None
    measured = [row for row in app.ledger.performance(model) if row.as_of <= at and row.metric == spec.gate.metric]
    batches = app.ledger.batches(spec.dataset, role="rows")
    return ReportData(
        model=model,
        description=spec.description,
        dataset=spec.dataset,
        as_of=at,
        code_version=__version__,
        metric=spec.gate.metric,
        greater_is_better=GREATER_IS_BETTER[spec.gate.metric],
        champion=_champion(versions.get(_version_at(promotions, at)), promotions),
        data_until=max((one.event_time_max for one in batches if one.event_time_max and one.as_of <= at), default=None),
        drift=report,
        drift_at=drift[0].as_of if drift else None,
        drift_history=[_drift_point(record) for record in reversed(drift)],
        columns=_columns(app, spec, report, judged_by, drift),
        cohorts=cohort_views(scorings, measured, at),
        promotions=[_promotion(one) for one in promotions],
        decisions=[_decision(entry) for entry in entries if entry.decision.as_of <= at],
        diagnosis=_diagnosis(app, spec, at),
        incidents=_incidents(app.ledger.alerts(model)),
        alerts=_alerts(app, model),
        change=change_view(spec, measured[-MOST_COHORTS:]),
        slices=slice_views(spec, measured[-MOST_COHORTS:], _personal(app, spec)),
        maturity=maturity_view(spec, measured[-MOST_COHORTS:]),
        estimate=estimate_view(measured),
    )


def distributions(
    app: Ratoon, spec: ModelSpec, champion: Version, as_of: datetime
) -> tuple[Binning, pl.DataFrame, pl.DataFrame] | None:
    """Return bins, reference and current window as drift compares them; None while either side has no profile.

    Args:
        app: The application.
        spec: The model.
        champion: Whose reference.
        as_of: Batches taken later are not seen.
    """
    found = windows(app, spec, champion, as_of=as_of)
    return None if found is None else (found.binning, found.reference, found.current)


def _present(app: Ratoon, entries: Sequence[WhyEntry]) -> datetime:
    """Return the time that the report is about: in a replay the clock stands where the last decision was made."""
    is_replay = app.settings.clock == "event" and bool(entries)
    return entries[0].decision.as_of if is_replay else app.clock()


def _version_at(promotions: Sequence[Promotion], at: datetime) -> int:
    return next((one.version for one in reversed(promotions) if one.at <= at), 0)


def _judged_by(scorings: Sequence[Scoring], at: datetime) -> int:
    """Return the version that was champion when a drift report was made: the one that scored just then.

    A promotion may be of the same as-of time as the report that led to it.
    """
    return next((one.version for one in scorings if one.as_of <= at), 0)


def _newest_report(drift: Sequence[DriftRecord]) -> DriftReport | None:
    """Return the newest drift report; None where there is none, or an earlier Ratoon wrote it in another form."""
    if not drift:
        return None
    try:
        return DriftReport.model_validate(drift[0].report)
    except ValidationError:
        return None


def _champion(version: Version | None, promotions: Sequence[Promotion]) -> ChampionView | None:
    if version is None:
        return None
    return ChampionView(
        version=version.version,
        promoted_at=promotions[-1].at,
        data_until=version.data_until,
        metric_at_evaluation=version.metrics.get("candidate"),
        artifact=version.artifact_digest,
    )


def _drift_point(record: DriftRecord) -> DriftPoint:
    report = record.report
    scores = [column["score"] for column in report.get("columns", []) if column.get("score") is not None]
    return DriftPoint(
        at=record.as_of,
        judged=bool(report.get("judged")),
        n_columns=len(report.get("columns", [])),
        drifted=report.get("drifted", []),
        joint=bool((report.get("joint") or {}).get("flagged")),
        worst_score=max(scores, default=None),
    )


def _columns(
    app: Ratoon, spec: ModelSpec, report: DriftReport | None, champion: Version | None, drift: Sequence[DriftRecord]
) -> dict[str, ColumnView]:
    if report is None:
        return {}
    personal = _personal(app, spec)
    drawn = _distributions(app, spec, champion, report, drift[0].as_of) if champion is not None else {}
    history = _history(drift[:MOST_REPORTS])
    return {
        row.column: ColumnView(
            distribution=None if row.column in personal else drawn.get(row.column),
            history=history.get(row.column, []),
            pii=row.column in personal,
        )
        for row in report.columns
    }


def _personal(app: Ratoon, spec: ModelSpec) -> set[str]:
    return {name for name, column in app.dataset(spec.dataset).contract.columns.items() if column.pii}


def _distributions(
    app: Ratoon, spec: ModelSpec, champion: Version, report: DriftReport, at: datetime
) -> dict[str, Distribution]:
    """Return each column's counts, where they are still those that the report judged."""
    found = distributions(app, spec, champion, at)
    if found is None:
        return {}
    binning, reference, current = found
    if report.binning is not None and report.binning != binning.digest:
        return {}
    now = {row["column"]: row for row in current.iter_rows(named=True)}
    return {
        row["column"]: _distribution(binning, row, now[row["column"]])
        for row in reference.iter_rows(named=True)
        if row["kind"] in _DRAWN and row["column"] in now and not binning.columns[row["column"]].pii
    }


def _distribution(binning: Binning, before: Mapping[str, Any], now: Mapping[str, Any]) -> Distribution:
    column = binning.columns[before["column"]]
    return Distribution(
        kind=before["kind"],
        type=column.type,
        edges=column.edges,
        categories=column.categories,
        reference=before["counts"],
        current=now["counts"],
        rest_reference=before["rest"],
        rest_current=now["rest"],
    )


def _history(drift: Sequence[DriftRecord]) -> dict[str, list[ScorePoint]]:
    found: dict[str, list[ScorePoint]] = {}
    for record in reversed(drift):
        for column in record.report.get("columns", []):
            point = ScorePoint(at=record.as_of, score=column.get("score"), flagged=bool(column.get("flagged")))
            found.setdefault(column["column"], []).append(point)
    return found


def _promotion(one: Promotion) -> PromotionView:
    return PromotionView(
        at=one.at,
        version=one.version,
        previous_version=one.previous_version,
        kind=one.kind,
        actor=one.actor,
        reason=one.reason,
    )


def _decision(entry: WhyEntry) -> DecisionView:
    row = entry.decision
    return DecisionView(
        number=row.number,
        at=row.as_of,
        outcome=row.outcome,
        reason=row.reason,
        event=entry.event.kind,
        triggers=row.decision.triggers,
        guards=row.decision.guards,
        retrain=_retrain(entry),
    )


def _retrain(entry: WhyEntry) -> RetrainView | None:
    retrain, evaluation = entry.retrain, entry.evaluation
    if retrain is None:
        return None
    return RetrainView(
        retrain_id=retrain.retrain_id,
        state=retrain.state,
        requested_at=retrain.as_of,
        finished_at=retrain.finished_at,
        verdict=retrain.verdict,
        reasons=evaluation.reasons if evaluation is not None else [],
        version=entry.promotion.version if entry.promotion is not None else None,
        candidate=evaluation.metrics.get("candidate") if evaluation is not None else None,
        champion=evaluation.metrics.get("champion") if evaluation is not None else None,
        n_rows=evaluation.n_rows if evaluation is not None else None,
        error=str((retrain.error or {}).get("message", "")),
    )


def _diagnosis(app: Ratoon, spec: ModelSpec, at: datetime) -> DiagnosisView | None:
    newest = app.ledger.profiles(spec.dataset, limit=1, until=at)
    if not newest or newest[0].diagnosis is None:
        return None
    found = newest[0].diagnosis
    personal = _personal(app, spec)
    return DiagnosisView(
        at=newest[0].as_of,
        batch=newest[0].batch_id,
        verdict=found["verdict"],
        sentence=found["sentence"],
        advice=found["advice"],
        findings=[_finding(finding, personal) for finding in found["findings"]],
    )


def _finding(found: Mapping[str, Any], personal: set[str]) -> FindingView:
    """Return a finding; one about personal data without the figures that it rests on."""
    is_personal = bool(personal.intersection(found["columns"]))
    return FindingView(
        cause=found["cause"],
        columns=found["columns"],
        partition=found.get("partition"),
        confidence=found.get("confidence"),
        sentence="Values of personal data are not shown." if is_personal else found["sentence"],
        advice=found["advice"],
        evidence={} if is_personal else found.get("evidence", {}),
    )


def _alerts(app: Ratoon, model: str) -> list[AlertView]:
    mutes = app.ledger.mutes()
    return [
        AlertView(
            title=alert.title,
            severity=alert.severity,
            sentence=alert.text,
            since=alert.first_seen,
            n_times=alert.count,
            muted=any(mute.covers(alert.key) for mute in mutes),
        )
        for alert in app.ledger.alerts(model)
    ]


def _incidents(alerts: Iterable[Alert]) -> list[IncidentView]:
    """Return what several open alerts of one model have in common, where any do."""
    members: dict[str, list[Alert]] = {}
    for alert in alerts:
        members.setdefault(alert.incident, []).append(alert)
    return [
        IncidentView(
            title=incident,
            sentence=f"{len(found)} alerts have this cause: {', '.join(alert.title for alert in found)}",
            since=min(alert.first_seen for alert in found),
        )
        for incident, found in sorted(members.items())
        if len(found) > 1
    ]
