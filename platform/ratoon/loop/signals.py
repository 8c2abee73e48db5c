"""Measures what a policy may look at, as of one time."""

from datetime import datetime
from typing import Any

import polars as pl

from ratoon.bootstrap import Ratoon
from ratoon.contracts.spec import Contract
from ratoon.declarations import ModelSpec
from ratoon.drift import DriftReport
from ratoon.evaluation.metrics import GREATER_IS_BETTER
from ratoon.identity import digest_json
from ratoon.ledger.records import Version
from ratoon.loop.decay import cohorts_of
from ratoon.policy.values import ChampionSignal, DiagnosisSignal, DriftSignal, PerformanceSignal, Signals


def gather_signals(app: Ratoon, spec: ModelSpec, *, as_of: datetime, drift: DriftReport | None = None) -> Signals:
    """Measure a model's signals as of a time.

    Args:
        app: The application.
        spec: The model.
        as_of: Nothing that became known later is seen.
        drift: The drift report that was made as of this time, where one was.
    """
    champion = app.ledger.champion(spec.name)
    contract = app.dataset(spec.dataset).contract
    total, new = _labelled_rows(app, spec, contract, champion, as_of)
    return Signals(
        champion=_champion_signal(champion),
        labelled_rows=total,
        new_labelled_rows=new,
        drift=_drift_signal(drift),
        performance=_performance_signal(app, spec, champion),
        diagnosis=_diagnosis_signal(app, spec.dataset, as_of),
        evidence={"drift": digest_json(drift.model_dump(mode="json"))} if drift is not None else {},
    )


def _labelled_rows(
    app: Ratoon, spec: ModelSpec, contract: Contract, champion: Version | None, as_of: datetime
) -> tuple[int, int]:
    """Count the labelled rows, and those newer than the champion's; with a champion only the newer ones are read."""
    rows = app.lake.scan_rows(spec.dataset, contract=contract, as_of=as_of)
    if champion is not None and champion.data_until is not None:
        rows = rows.filter(pl.col(contract.event_time) > champion.data_until)
    labels = app.lake.scan_labels(spec.dataset, contract, as_of=as_of)
    new = (
        rows.select(contract.entity_key)
        .join(labels.select(contract.entity_key), on=contract.entity_key, how="semi")
        .select(pl.len())
        .collect()
        .item()
    )
    return new + (int(champion.data.get("n_rows", 0)) if champion is not None else 0), new


def _champion_signal(champion: Version | None) -> ChampionSignal | None:
    if champion is None:
        return None
    return ChampionSignal(
        version=champion.version,
        data_until=champion.data_until or champion.promoted_at,
        promoted_at=champion.promoted_at,
    )


def _drift_signal(report: DriftReport | None) -> DriftSignal | None:
    if report is None or not report.judged:
        return None
    return DriftSignal(
        n_drifted=len(report.drifted),
        drifted=report.drifted,
        worst_score=report.worst_score,
        n_rows=report.n_rows_current,
    )


def _diagnosis_signal(app: Ratoon, dataset: str, as_of: datetime) -> DiagnosisSignal | None:
    """Return what the diagnosis of the dataset's newest batch says, where there was something to compare it with."""
    newest = app.ledger.profiles(dataset, limit=1, until=as_of)
    if not newest or newest[0].diagnosis is None:
        return None
    found = newest[0].diagnosis
    return DiagnosisSignal(
        batch_id=newest[0].batch_id,
        verdict=found["verdict"],
        advice=found["advice"],
        causes=sorted({finding["cause"] for finding in found["findings"]}),
        sentence=found["sentence"],
    )


def _performance_signal(app: Ratoon, spec: ModelSpec, champion: Version | None) -> PerformanceSignal | None:
    """Return the champion's mean metric over its own cohorts, weighted by matured rows, beside its evaluation."""
    reference = champion.metrics.get("candidate") if champion is not None else None
    if champion is None or reference is None:
        return None
    cohorts: list[Any] = [
        row for row in cohorts_of(app, spec) if row.version == champion.version and row.value is not None
    ]
    n_matured = sum(row.n_matured for row in cohorts)
    if n_matured < spec.gate.min_rows:
        return None
    return PerformanceSignal(
        metric=spec.gate.metric,
        greater_is_better=GREATER_IS_BETTER[spec.gate.metric],
        value=sum(row.value * row.n_matured for row in cohorts) / n_matured,
        reference=reference,
        n_rows=n_matured,
    )
