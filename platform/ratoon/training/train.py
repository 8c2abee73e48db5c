"""Trains a candidate: several windows, each judged on the newest matured rows; the best is refitted with them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon import __version__
from ratoon.errors import TrainingError
from ratoon.evaluation.metrics import better_by, metric_value, undefined_reason
from ratoon.instants import format_duration
from ratoon.registry.store import ArtifactStore
from ratoon.training import xgb
from ratoon.training.features import FeatureFunction, load_features
from ratoon.training.labels import Classes, encode_label, find_classes, naive_baseline
from ratoon.training.manifest import Blobs, CodeOrigin, DataOrigin, Holdout, Manifest, WindowResult
from ratoon.training.matrix import FeatureContract, check_rowwise, compute_features, encode, learn_contract
from ratoon.training.orders import TrainOrder, TrainOutcome
from ratoon.training.rows import FrameSource, LabelledRows, label_of, read_training_rows
from ratoon.training.windows import Times, Window, from_micros, holdout_start, validation_start, window_start

MIN_TRAINING_ROWS = 50
"""A window with fewer rows before the holdout is not fitted."""

Progress = Callable[[dict[str, Any]], None]
"""Told what happens: a ``phase``, and where it applies window, round, metric, value, rows."""


@dataclass(frozen=True, slots=True)
class Table:
    """Features and labels of all rows that an order can use, ascending by event time."""

    features: pl.DataFrame
    label: NDArray[np.float32]
    classes: Classes | None
    times: Times
    batch: pl.Series | None
    split: int
    """Index of the first row of the holdout; the number of rows when there is none."""

    @property
    def n_rows(self) -> int:
        """Rows in all."""
        return len(self.times)

    def batches_from(self, start: int) -> list[str]:
        """Return the ids of the batches that the rows from ``start`` on came in, sorted."""
        return [] if self.batch is None else sorted(self.batch[start:].unique().drop_nulls().cast(pl.String).to_list())

    def encoded(self, start: int, end: int, contract: FeatureContract) -> xgb.Rows:
        """Return the rows ``start..end`` as the estimator takes them."""
        return xgb.Rows(encode(self.features.slice(start, end - start), contract), self.label[start:end])


@dataclass(frozen=True, slots=True)
class _Span:
    """A candidate window, and the index of its first row."""

    window: Window
    start: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A window that was fitted without the holdout."""

    window: Window
    start: int
    contract: FeatureContract
    fit: xgb.Fit
    result: WindowResult


@dataclass(frozen=True, slots=True)
class Candidate:
    """Everything that a training found: the window that won, and its refit with the holdout."""

    judged: Judged
    windows: list[WindowResult]
    contract: FeatureContract
    final: xgb.Fit
    params: dict[str, Any]


def train(
    order: TrainOrder, source: FrameSource, store: ArtifactStore, progress: Progress = lambda _: None
) -> TrainOutcome:
    """Fit a candidate and store it.

    The same order over the same table versions gives the same bytes, and therefore the same digest.

    Args:
        order: What to train.
        source: Gives the matured rows.
        store: Where the artifact goes: blobs first, the manifest last, so that a manifest is always complete.
        progress: Told of every phase and round.

    Raises:
        TrainingError: Nothing can be learned from these rows, or the feature function fails. Not retryable.
    """
    function = load_features(order.project_root, order.features)
    table = _table(order, function, read_training_rows(source, order), progress)
    params = xgb.parameters(
        order.task,
        order.training.params,
        metric=order.metric,
        n_classes=len(table.classes) if table.classes else None,
        threads=order.threads,
        seed=order.seed,
    )
    judged, results = _tournament(order, table, params, progress)
    contract, final = _refit(table, judged, params, progress)
    progress({"phase": "store"})
    candidate = Candidate(judged, results, contract, final, params)
    blobs: Blobs = {"model": store.put(final.model), "judged": store.put(judged.fit.model)}
    manifest = _manifest(order, function, table, candidate, blobs)
    data = manifest.to_bytes()
    return _outcome(manifest, store.put(data), len(data) + len(final.model) + len(judged.fit.model))


def _table(order: TrainOrder, function: FeatureFunction, rows: LabelledRows, progress: Progress) -> Table:
    """Compute features and labels; the raw frame is freed with ``rows`` when this returns."""
    label = label_of(order.contract, order.dataset)
    progress({"phase": "features", "n_rows": rows.frame.height})
    inputs, excluded = _columns(order)
    features = compute_features(function, rows.frame, inputs, excluded)
    check_rowwise(function, rows.frame, features, inputs, excluded)
    classes = find_classes(rows.label, order.task, label.allowed)
    split = holdout_start(rows.times, order.training.holdout, order.champion.data_until if order.champion else None)
    return Table(features, encode_label(rows.label, order.task, classes), classes, rows.times, rows.batch, split)


def _columns(order: TrainOrder) -> tuple[list[str], list[str]]:
    return list(order.contract.columns), list(dict.fromkeys([*order.contract.entity_key, order.contract.event_time]))


def _tournament(
    order: TrainOrder, table: Table, params: dict[str, Any], progress: Progress
) -> tuple[Judged, list[WindowResult]]:
    """Fit each window without the holdout and return the one that is best on it (the first where none can be told)."""
    fitted: list[Judged] = []
    results: list[WindowResult] = []
    for window in order.training.windows:
        start = window_start(table.times, table.split, window) if table.split else 0
        note = _unusable(table, start, order) or next(
            (f"the same rows as window {_name(other.window)}" for other in fitted if other.start == start), ""
        )
        if note:
            oldest = from_micros(table.times[min(start, table.n_rows - 1)])
            results.append(
                WindowResult(window=_name(window), n_rows=table.split - start, event_time_min=oldest, note=note)
            )
            continue
        fitted.append(_fit_window(order, table, _Span(window, start), params, progress))
        results.append(fitted[-1].result)
    if not fitted:
        raise TrainingError(
            f"{order.model}: no window can be trained on {table.n_rows:,} labelled rows of {order.dataset} "
            f"({table.split:,} before the holdout): "
            + "; ".join(f"{result.window}: {result.note}" for result in results)
            + "; wait for more labelled rows, or shorten training.holdout"
        )
    return _best(order, fitted), results


def _unusable(table: Table, start: int, order: TrainOrder) -> str:
    n_rows = table.split - start
    if n_rows < MIN_TRAINING_ROWS:
        return f"{n_rows} rows, fewer than {MIN_TRAINING_ROWS}"
    learned = table.label[start : validation_start(start, table.split, order.training.validation)]
    if order.task != "regression" and np.all(learned == learned[0]):
        return f"all {len(learned)} rows have the same label"
    return ""


def _fit_window(order: TrainOrder, table: Table, span: _Span, params: dict[str, Any], progress: Progress) -> Judged:
    name, start, training = _name(span.window), span.start, order.training
    contract = learn_contract(table.features.slice(start, table.split - start))
    rows = table.encoded(start, table.n_rows, contract)
    stop = validation_start(start, table.split, training.validation) - start
    end = table.split - start
    stopped = xgb.fit(
        rows.slice(0, stop),
        rows.slice(stop, end),
        params,
        rounds=training.rounds,
        patience=training.early_stopping_rounds,
        on_round=_reporter(progress, "fit", name, training.rounds),
    )
    # The champion learned from rows as new as those that stopped this fit: judged without them, a candidate looks stale.
    report = _reporter(progress, "fit again", name, stopped.rounds)
    fit = xgb.fit(rows.slice(0, end), None, params, rounds=stopped.rounds, on_round=report)
    value = _holdout_metric(order, rows.slice(end, rows.features.height), fit)
    progress({"phase": "judge", "window": name, "metric": order.metric, "value": value, "round": fit.rounds})
    result = WindowResult(
        window=name, n_rows=end, event_time_min=from_micros(table.times[start]), rounds=fit.rounds, metric=value
    )
    return Judged(span.window, start, contract, fit, result)


def _holdout_metric(order: TrainOrder, holdout: xgb.Rows, fit: xgb.Fit) -> float | None:
    if undefined_reason(order.metric, holdout.label):
        return None
    return metric_value(
        order.metric, holdout.label, xgb.predict(xgb.load(fit.model), holdout.features, threads=order.threads)
    )


def _best(order: TrainOrder, fitted: list[Judged]) -> Judged:
    best = fitted[0]
    for other in fitted[1:]:
        new, old = other.result.metric, best.result.metric
        if new is not None and (old is None or better_by(order.metric, new, old) > 0):
            best = other
    return best


def _refit(table: Table, judged: Judged, params: dict[str, Any], progress: Progress) -> tuple[FeatureContract, xgb.Fit]:
    """Fit the winning window once more with the holdout in it, for the number of rounds that was best."""
    start = window_start(table.times, table.n_rows, judged.window)
    contract = learn_contract(table.features.slice(start, table.n_rows - start))
    rows = table.encoded(start, table.n_rows, contract)
    report = _reporter(progress, "refit", _name(judged.window), judged.fit.rounds)
    return contract, xgb.fit(rows, None, params, rounds=judged.fit.rounds, on_round=report)


def _reporter(progress: Progress, phase: str, window: str, rounds: int) -> xgb.OnRound:
    def report(done: int, metric: str | None, value: float | None) -> None:
        told: dict[str, Any] = {"phase": phase, "window": window, "round": done, "rounds": rounds}
        progress(told if metric is None else told | {"metric": metric, "value": value})

    return report


def _name(window: Window) -> str:
    return window if isinstance(window, str) else format_duration(window)


def _manifest(
    order: TrainOrder, function: FeatureFunction, table: Table, candidate: Candidate, blobs: Blobs
) -> Manifest:
    judged = candidate.judged
    inputs, excluded = _columns(order)
    return Manifest(
        model=order.model,
        retrain_id=order.retrain_id,
        task=order.task,
        blobs=blobs,
        features={"model": candidate.contract, "judged": judged.contract},
        inputs=inputs,
        excluded=excluded,
        label=label_of(order.contract, order.dataset).column,
        classes=table.classes,
        baseline=naive_baseline(table.label[judged.start : table.split], order.task, table.classes),
        params=candidate.params,
        rounds=candidate.final.rounds,
        window=_name(judged.window),
        windows=candidate.windows,
        metric=order.metric,
        holdout=Holdout(
            after=from_micros(table.times[table.split - 1]),
            until=from_micros(table.times[-1]),
            n_rows=table.n_rows - table.split,
        ),
        importance=candidate.final.importance,
        data=_data_origin(order, table, window_start(table.times, table.n_rows, judged.window)),
        code=CodeOrigin(
            features=order.features,
            features_digest=function.digest,
            ratoon=__version__,
            estimator=xgb.VERSION,
            environment=order.environment,
        ),
        spec_digest=order.spec_digest,
    )


def _data_origin(order: TrainOrder, table: Table, start: int) -> DataOrigin:
    return DataOrigin(
        dataset=order.dataset,
        rows_version=order.rows_version,
        labels_version=order.labels_version,
        as_of=order.as_of,
        n_rows=table.n_rows - start,
        event_time_min=from_micros(table.times[start]),
        event_time_max=from_micros(table.times[-1]),
        batches=table.batches_from(start),
    )


def _outcome(manifest: Manifest, digest: str, size: int) -> TrainOutcome:
    stored = manifest.model_dump(mode="json")
    chosen = next(result for result in manifest.windows if result.window == manifest.window)
    return TrainOutcome(
        digest=digest,
        size=size,
        metrics={
            "metric": manifest.metric,
            "holdout": chosen.metric,
            "windows": stored["windows"],
            "rounds": manifest.rounds,
            "importance": manifest.importance,
        },
        data=stored["data"]
        | {"window": manifest.window, "holdout": stored["holdout"], "data_until": stored["data"]["event_time_max"]},
        code=stored["code"],
        params=manifest.params,
        refs={"model": manifest.blobs["model"], "judged": manifest.blobs["judged"]},
        notes=[f"window {result.window} was not fitted: {result.note}" for result in manifest.windows if result.note],
    )
