"""Profiles every batch once, and says whether it looks broken."""

from ratoon.bootstrap import Ratoon
from ratoon.declarations import DatasetSpec
from ratoon.ledger.records import Batch
from ratoon.loop.counting import batch_rows, count_rows, keep_binning, load_binning
from ratoon.loop.faults import alert_about, diagnose_batch
from ratoon.loop.references import stored_references
from ratoon.loop.reports import ProfileReport
from ratoon.profiles import MIN_ROWS, Binning, make_binning, summary


def profile_pending(app: Ratoon, dataset: str) -> list[ProfileReport]:
    """Profile the batches of a dataset that have no profile yet, oldest first.

    The first bins are made of the first batch with at least 500 rows; smaller ones before it wait for it. Later they
    are those of the champions' references; when the contract's columns change, they are made anew.

    Args:
        app: The application.
        dataset: A declared dataset.

    Returns:
        One report per batch that was profiled now.
    """
    spec = app.dataset(dataset)
    waiting = app.ledger.unprofiled(dataset)
    if not waiting:
        return []
    binning = _binning_in_use(app, spec) or _first_binning(app, spec, waiting)
    return [] if binning is None else [_profile(app, spec, binning, batch) for batch in waiting]


def _binning_in_use(app: Ratoon, spec: DatasetSpec) -> Binning | None:
    """Return the bins of a champion's reference, else those of the newest batch, as far as they fit the contract."""
    newest = [record.binning for record in app.ledger.profiles(spec.name, limit=1)]
    for digest in [*stored_references(app, spec), *newest]:
        if (binning := load_binning(app, spec, digest)) is not None:
            return binning
    return None


def _first_binning(app: Ratoon, spec: DatasetSpec, waiting: list[Batch]) -> Binning | None:
    first = next((batch for batch in waiting if (batch.rows_kept or 0) >= MIN_ROWS), None)
    if first is None:
        return None
    return keep_binning(
        app, make_binning(batch_rows(app, spec, {first.batch_id: first.as_of}).drop("_batch"), spec.contract)
    )


def _profile(app: Ratoon, spec: DatasetSpec, binning: Binning, batch: Batch) -> ProfileReport:
    rows = batch_rows(app, spec, {batch.batch_id: batch.as_of}).drop("_batch")
    counted = count_rows(app, spec, binning, batch.batch_id, rows, as_of=batch.as_of)
    judged = diagnose_batch(app, spec, binning, batch, counted, rows)
    diagnosis = None if judged.diagnosis is None else judged.diagnosis.model_dump(mode="json")
    app.ledger.record_profile(
        spec.name,
        batch.batch_id,
        as_of=batch.as_of,
        binning=binning.digest,
        facts=judged.facts.model_dump(mode="json"),
        diagnosis=diagnosis,
    )
    if judged.diagnosis is not None:
        alert_about(app, spec.name, judged.diagnosis, as_of=batch.as_of)
    return ProfileReport(
        batch_id=batch.batch_id,
        as_of=batch.as_of,
        n_rows=batch.rows_kept or 0,
        columns=summary(counted).to_dicts(),
        binning_digest=binning.digest,
        diagnosis=diagnosis,
    )
