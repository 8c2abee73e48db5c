"""What the newest rows are compared with: the drift measurement of one model."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

import polars as pl

from ratoon.bootstrap import Ratoon
from ratoon.declarations import DatasetSpec, ModelSpec
from ratoon.drift import DriftReport, compare
from ratoon.drift.budget import REMEMBERED, Look, next_alpha, quarter
from ratoon.errors import EmptyWindowError
from ratoon.identity import derive_id, digest_json
from ratoon.ledger.records import ProfileRecord, Version
from ratoon.loop.counting import BatchTimes, batch_rows, counts_of, keep_binning, load_binning
from ratoon.monitoring import SameSeason, SameWeekday, TrainingReference
from ratoon.profiles import PROFILE_SCHEMA, Binning, make_reference, merge, resolves

_CURRENT_ROWS = 2_000
"""The current window is the newest batch, and the ones before it until it holds so many rows."""

_LATE = timedelta(days=7)
"""How much later than its events a batch may have arrived to be found for a seasonal reference."""

_PAGES = (25, 300)
"""Batches among which the current window is looked for; the second number only where the first don't hold enough rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Two windows of one dataset, counted in the same bins.

    Attributes:
        batches: The current window's batches.
    """

    binning: Binning
    reference: pl.DataFrame
    current: pl.DataFrame
    batches: BatchTimes


def measure_drift(
    app: Ratoon, spec: ModelSpec, champion: Version, *, event_id: str, as_of: datetime
) -> DriftReport | None:
    """Compare the newest batches with the champion's reference; None while either side has no profile.

    The cost is the new batches', whatever the history.

    Args:
        app: The application.
        spec: The model.
        champion: Whose training batches are the reference, unless the declaration names another.
        event_id: The event that is decided about; the report is kept under it.
        as_of: Batches taken later are not seen.
    """
    found = windows(app, spec, champion, as_of=as_of)
    if found is None:
        return None
    return compare(
        found.reference,
        found.current,
        spec.monitoring.drift,
        alpha=_alpha(app, spec, event_id, as_of),
        importance=column_importance(app, champion),
        binning=found.binning,
    )


def windows(app: Ratoon, spec: ModelSpec, champion: Version, *, as_of: datetime) -> Windows | None:
    """Return the reference and the current window of a model; None while either has no profile."""
    dataset = app.dataset(spec.dataset)
    newest = _newest(app, dataset, champion, as_of)
    if not newest:
        return None
    trained = _training_reference(app, spec, dataset, champion)
    if trained is None:
        return None
    binning, reference = trained
    seasonal = _seasonal(app, spec, dataset, binning, newest)
    if seasonal is not None:
        reference = seasonal
    batches = {record.batch_id: record.as_of for record in newest}
    current = merge(counts_of(app, dataset, binning, batches).drop("_batch"))
    if reference.is_empty() or current.is_empty():
        return None
    return Windows(binning=binning, reference=reference, current=current, batches=batches)


def stored_references(app: Ratoon, dataset: DatasetSpec) -> list[str]:
    """Return the digests of the bins of the stored references of the champions that learn from a dataset."""
    champions = {model.name: app.ledger.champion(model.name) for model in app.project.models_of(dataset.name)}
    stored = [_stored(app, name, _key(champion, dataset)) for name, champion in champions.items() if champion]
    return [str(reference["binning"][0]) for reference in stored if not reference.is_empty()]


def column_importance(app: Ratoon, version: Version) -> dict[str, float] | None:
    """Return how much a version's predictions depend on each column; None where its evaluation doesn't say."""
    importance = app.artifacts.get_json(version.report_digest).get("column_importance")
    return None if importance is None else {name: float(share) for name, share in importance.items()}


def _alpha(app: Ratoon, spec: ModelSpec, event_id: str, as_of: datetime) -> float:
    """Return what this report may spend of the model's false-alarm budget."""
    since = min(quarter(as_of)[0], as_of - REMEMBERED)
    spent = app.ledger.drift_alphas(spec.name, since=since, except_event=event_id)
    return next_alpha(spec.monitoring.drift, [Look(at=at, alpha=alpha) for at, alpha in spent], as_of)


def _newest(app: Ratoon, dataset: DatasetSpec, champion: Version, as_of: datetime) -> list[ProfileRecord]:
    """Return the newest batches that the champion has not learned from, until they hold enough rows.

    Batches from before its window were not learned from either, and they are no news.
    """
    learned, begins = set(champion.data.get("batches", [])), champion.data.get("event_time_min")
    found: list[ProfileRecord] = []
    for limit in _PAGES:
        found = []
        for record in app.ledger.profiles(dataset.name, limit=limit, until=as_of):
            newest = record.event_time_max
            is_old = begins is not None and newest is not None and newest < datetime.fromisoformat(begins)
            if record.batch_id in learned or is_old or not record.rows_kept:
                continue
            found.append(record)
            if sum(one.rows_kept for one in found) >= _CURRENT_ROWS:
                return found
    return found


def _training_reference(
    app: Ratoon, spec: ModelSpec, dataset: DatasetSpec, champion: Version
) -> tuple[Binning, pl.DataFrame] | None:
    """Return the bins and the counts of what the champion learned from; made once per version, then stored."""
    key = _key(champion, dataset)
    stored = _stored(app, spec.name, key)
    binning = None if stored.is_empty() else load_binning(app, dataset, str(stored["binning"][0]))
    if binning is not None:
        return binning, stored
    made = _summed(app, dataset, champion) or _counted(app, dataset, champion)
    if made is not None:
        app.lake.append_references(spec.name, key, made[1], as_of=champion.promoted_at)
    return made


def _key(champion: Version, dataset: DatasetSpec) -> str:
    """Name a version's reference; another one is made when the contract's columns change."""
    types = {name: column.type for name, column in dataset.contract.columns.items()}
    return derive_id("reference", champion.artifact_digest, digest_json(types))


def _stored(app: Ratoon, model: str, key: str) -> pl.DataFrame:
    return app.lake.scan_references(model, schema=PROFILE_SCHEMA, key=key).drop("_batch", "_as_of").collect()


def _summed(app: Ratoon, dataset: DatasetSpec, champion: Version) -> tuple[Binning, pl.DataFrame] | None:
    """Add up the stored profiles of the champion's batches, where their bins still resolve what they hold."""
    learned = learned_batches(app, champion)
    digests = {record.binning for record in learned}
    binning = load_binning(app, dataset, next(iter(digests))) if len(digests) == 1 else None
    if binning is None or len(learned) != len(champion.data.get("batches", [])):
        return None
    counts = merge(counts_of(app, dataset, binning, {row.batch_id: row.as_of for row in learned}).drop("_batch"))
    return (binning, counts) if resolves(counts, binning) else None


def _counted(app: Ratoon, dataset: DatasetSpec, champion: Version) -> tuple[Binning, pl.DataFrame] | None:
    """Make bins of the champion's own rows, in one pass over them; None where they are too few."""
    learned = learned_batches(app, champion)
    if not learned:
        return None
    rows = batch_rows(app, dataset, {record.batch_id: record.as_of for record in learned}).drop("_batch")
    try:
        made = make_reference(rows, dataset.contract)
    except EmptyWindowError:
        return None
    return keep_binning(app, made.binning), made.profile


def learned_batches(app: Ratoon, champion: Version) -> list[ProfileRecord]:
    """Return the profiled batches that a version learned from."""
    learned = set(champion.data.get("batches", []))
    known = app.ledger.profiles(champion.data["dataset"], limit=None, until=champion.promoted_at)
    return [record for record in known if record.batch_id in learned]


def _seasonal(
    app: Ratoon, spec: ModelSpec, dataset: DatasetSpec, binning: Binning, newest: Sequence[ProfileRecord]
) -> pl.DataFrame | None:
    """Add up the batches of the same weekday or season as the newest one; None where the reference is the training's."""
    window = spec.monitoring.drift.reference
    current = _middle(newest[0])
    match window:
        case TrainingReference():
            return None
        case SameWeekday():
            reaches_back = timedelta(weeks=window.weeks)
        case SameSeason():
            reaches_back = timedelta(days=366 * window.years) + window.within
        case _:
            assert_never(window)
    ids = {record.batch_id for record in newest}
    since = newest[0].as_of - reaches_back - _LATE
    known = app.ledger.profiles(dataset.name, limit=None, until=newest[0].as_of, since=since)
    chosen = {
        record.batch_id: record.as_of
        for record in known
        if record.batch_id not in ids and is_same_season(window, _middle(record), current)
    }
    return merge(counts_of(app, dataset, binning, chosen).drop("_batch"))


def is_same_season(window: SameWeekday | SameSeason, then: datetime, now: datetime) -> bool:
    """Return whether an earlier instant belongs to the seasonal reference of a later one.

    Example:
        >>> from datetime import UTC
        >>> monday, weeks = datetime(2013, 5, 6, tzinfo=UTC), SameWeekday(kind="same_weekday", weeks=8)
        >>> [is_same_season(weeks, monday - timedelta(days=days), monday) for days in (7, 8, 56, 63)]
        [True, False, True, False]
    """
    age = now - then
    if age <= timedelta(0):
        return False
    if isinstance(window, SameWeekday):
        return then.weekday() == now.weekday() and age < timedelta(weeks=window.weeks, days=1)
    whole_years = range(1, window.years + 1)
    return any(abs(age - timedelta(days=365.2425 * years)) <= window.within for years in whole_years)


def _middle(record: ProfileRecord) -> datetime:
    """Return the middle of a batch's event times, or its as-of time where it has none."""
    if record.event_time_min is None or record.event_time_max is None:
        return record.as_of
    return record.event_time_min + (record.event_time_max - record.event_time_min) / 2
