"""The four figures on top of a report."""

from collections.abc import Sequence

from ratoon.contracts.spec import Strict
from ratoon.report.formats import NONE, count, fixed, share, signed
from ratoon.report.values import Cohort, ReportData

_NEWEST = 4


class Tile(Strict):
    """One figure with what it is measured by."""

    name: str
    figure: str
    note: str


def tiles(data: ReportData) -> list[Tile]:
    """Return the champion's metric, the drifted columns, the label maturity and the retrains."""
    return [_metric(data), _drift(data), _maturity(data), _retrains(data)]


def _metric(data: ReportData) -> Tile:
    known = [cohort for cohort in _measured(data) if cohort.value is not None and cohort.n_matured]
    if not known:
        return Tile(name=f"{data.metric}, matured rows", figure=NONE, note="no label of a prediction is known yet")
    name = f"{data.metric}, version {known[-1].version}"
    n_matured = sum(cohort.n_matured for cohort in known)
    value = sum((cohort.value or 0.0) * cohort.n_matured for cohort in known) / n_matured
    reference = known[-1].reference
    beside = f"{signed(value - reference)} to its evaluation ({fixed(reference)})" if reference is not None else ""
    return Tile(name=name, figure=fixed(value), note=beside or f"{n_matured:,} rows")


def _measured(data: ReportData) -> Sequence[Cohort]:
    """Return the cohorts of the newest version of which any label is known."""
    version = next((cohort.version for cohort in reversed(data.cohorts) if cohort.n_matured), None)
    return [cohort for cohort in data.cohorts if cohort.version == version]


def _drift(data: ReportData) -> Tile:
    if data.drift is None or not data.drift.judged:
        return Tile(name="Drifted columns", figure=NONE, note="not judged yet")
    n_alarms = sum(bool(point.drifted) or point.joint for point in data.drift_history)
    note = f"{n_alarms} of {count(len(data.drift_history), 'report')} with an alarm" if data.drift_history else ""
    return Tile(name="Drifted columns", figure=f"{len(data.drift.drifted)} of {len(data.drift.columns)}", note=note)


def _maturity(data: ReportData) -> Tile:
    cohorts = data.cohorts[-_NEWEST:]
    n_rows = sum(cohort.n_rows for cohort in cohorts)
    if not n_rows:
        return Tile(name="Labels known", figure=NONE, note="nothing has been predicted yet")
    n_matured = sum(cohort.n_matured for cohort in cohorts)
    last = "the only cohort" if len(cohorts) == 1 else f"the last {len(cohorts)} cohorts"
    return Tile(name="Labels known", figure=share(n_matured / n_rows, 0), note=f"of {n_rows:,} rows, {last}")


def _retrains(data: ReportData) -> Tile:
    states = [decision.retrain.state.upper() for decision in data.decisions if decision.retrain is not None]
    told = [
        f"{n} {word}"
        for word, n in ((word, states.count(word.upper())) for word in ("promoted", "rejected", "failed"))
        if n
    ]
    return Tile(
        name="Retrains", figure=f"{len(states)}", note=", ".join(told) or f"in {count(len(data.decisions), 'decision')}"
    )
