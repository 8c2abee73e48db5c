"""What the cohorts of a model say together.

When their labels come, whether the loss rose, where it is worst, and what the newest rows are probably worth.
"""

import math
from collections.abc import Iterable
from datetime import timedelta
from itertools import groupby
from typing import Any

import polars as pl

from ratoon.bootstrap import Ratoon
from ratoon.declarations import ModelSpec
from ratoon.errors import EmptyWindowError
from ratoon.ledger.records import Performance, Version
from ratoon.performance import (
    ChangeSettings,
    ChangeState,
    ChangeVerdict,
    CohortDelays,
    CohortLoss,
    Estimate,
    EstimateHistory,
    Forecast,
    Maturity,
    ScoreHistogram,
    SliceReport,
    check,
    enough_by,
    estimate_from_histograms,
    judge_change,
    judge_slices,
    learn_maturity,
    make_estimate,
    merge_slices,
    observe,
    restart,
    score_sums,
)
from ratoon.performance.estimation import ESTIMATED
from ratoon.performance.slices import SLICE_SCHEMA

MOST_COHORTS = 260
"""Newest cohorts that are looked at, five years of weeks: so the cost does not grow with history."""

_QUARTER = timedelta(days=92)
_WEEKLY = 13


def cohorts_of(app: Ratoon, spec: ModelSpec) -> list[Performance]:
    """Return the newest cohorts of a model in the metric of its gate, oldest first."""
    known = app.ledger.performance(spec.name, limit=MOST_COHORTS)
    return [row for row in known if row.metric == spec.gate.metric]


def estimate_cohort(app: Ratoon, spec: ModelSpec, version: int, scored: pl.DataFrame) -> dict[str, Any] | None:
    """Estimate the metric of rows whose labels aren't known, as a band with its assumption and its own past error.

    Args:
        app: The application.
        spec: The model.
        version: The version that scored.
        scored: ``score``, and ``label`` (null).

    Returns:
        An :class:`ratoon.performance.Estimate` as JSON; None where the declaration wants none, the task or metric has
        none, or the version's evaluation kept no scores.
    """
    if not spec.monitoring.estimate or spec.task != "binary" or spec.gate.metric not in ESTIMATED or scored.is_empty():
        return None
    scorer = next(found for found in app.ledger.versions(spec.name) if found.version == version)
    reference = _reference_scores(app, scorer)
    value = scorer.metrics.get("candidate")
    if reference is None or value is None:
        return None
    current = score_sums(scored, "binary")
    history = _estimate_history(cohorts_of(app, spec), spec.monitoring.mature_at)
    try:
        expected = estimate_from_histograms(spec.gate.metric, reference, ScoreHistogram.model_validate(current))
    except EmptyWindowError:
        return None
    return make_estimate(spec.gate.metric, expected, history, reference=value).model_dump(mode="json")


def change_of(spec: ModelSpec, cohorts: Iterable[Performance]) -> ChangeVerdict | None:
    """Judge whether the matured loss of the newest version's cohorts rose, and since when; None without a cohort.

    Args:
        spec: The model.
        cohorts: From :func:`cohorts_of`.
    """
    state: ChangeState | None = None
    mature = [row for row in cohorts if row.details.get("loss") and _is_mature(row, spec.monitoring.mature_at)]
    for _, of_version in groupby(mature, key=lambda row: row.version):
        state = ChangeState() if state is None else restart(state)
        for row in of_version:
            state = observe(state, CohortLoss.model_validate(row.details["loss"]))
    settings = ChangeSettings(
        false_alarms=spec.monitoring.drift.false_alarms_per_quarter, per_cohorts=looks_per_quarter(mature)
    )
    return None if state is None else judge_change(state, settings)


def looks_per_quarter(cohorts: list[Performance]) -> int:
    """Return how many cohorts a quarter brings, judged by the newest 92 days; 13 (weekly) while fewer than two are known."""
    recent = [row.as_of for row in cohorts if cohorts[-1].as_of - row.as_of <= _QUARTER]
    if len(recent) < 2 or recent[0] == recent[-1]:
        return _WEEKLY
    return max(1, math.ceil((len(recent) - 1) * (_QUARTER / (recent[-1] - recent[0]))))


def maturity_of(cohorts: Iterable[Performance]) -> tuple[Maturity, list[CohortDelays]]:
    """Learn how long labels take from a model's cohorts; return it with the cohorts, all as of the newest look at one.

    Args:
        cohorts: From :func:`cohorts_of`.
    """
    delays = [CohortDelays.model_validate(row.details["delays"]) for row in cohorts if row.details.get("delays")]
    now = max((cohort.as_of for cohort in delays), default=None)
    present = [] if now is None else [cohort.until(now) for cohort in delays]
    return learn_maturity(present), present


def forecasts_of(spec: ModelSpec, maturity: Maturity, present: Iterable[CohortDelays]) -> dict[str, Forecast]:
    """Forecast, per cohort that lacks labels, when enough of them will be known.

    Args:
        spec: The model.
        maturity: From :func:`maturity_of`.
        present: The same.
    """
    share = spec.monitoring.mature_at
    waiting = [cohort for cohort in present if cohort.n_known < share * cohort.n_rows]
    return {cohort.cohort: enough_by(cohort, maturity, share=share) for cohort in waiting}


def slices_of(spec: ModelSpec, cohorts: Iterable[Performance]) -> SliceReport | None:
    """Compare the slices of the newest version's matured cohorts with the rest; None where none is declared.

    Args:
        spec: The model.
        cohorts: From :func:`cohorts_of`.
    """
    known = [row for row in cohorts if row.details.get("slices")]
    mine = [row for row in known if row.version == known[-1].version]
    if not mine:
        return None
    sums = [pl.DataFrame(row.details["slices"], schema=SLICE_SCHEMA, orient="row") for row in mine]
    return judge_slices(merge_slices(sums), spec.gate.metric)


def _estimate_history(cohorts: Iterable[Performance], mature_at: float) -> EstimateHistory:
    history = EstimateHistory()
    for row in cohorts:
        shown = row.details.get("estimate")
        if shown is not None and row.value is not None and _is_mature(row, mature_at):
            history = check(history, row.cohort, Estimate.model_validate(shown), row.value)
    return history


def _is_mature(row: Performance, mature_at: float) -> bool:
    return row.n_rows > 0 and row.n_matured >= mature_at * row.n_rows


def _reference_scores(app: Ratoon, version: Version) -> ScoreHistogram | None:
    stored = app.artifacts.get_json(version.report_digest).get("reference_scores")
    return None if stored is None else ScoreHistogram.model_validate(stored)
