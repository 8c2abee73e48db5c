"""What the year would have been without Ratoon: the same rows, scored by three simpler ways to run the model.

``never`` keeps the first champion. ``every`` trains on everything known at each arriving batch, with the model's
own parameters and as many rounds as its champions had. ``naive`` predicts the share (or mean) known so far.
Run as ``python -m ratoon.comparison PROJECT MODEL``: one JSON line per trained batch, and one with the results.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon.bootstrap import Ratoon, build
from ratoon.declarations import ModelSpec
from ratoon.errors import EmptyWindowError
from ratoon.evaluation.metrics import metric_value, undefined_reason
from ratoon.settings import load_settings
from ratoon.training import xgb
from ratoon.training.features import load_features
from ratoon.training.labels import baseline_scores, encode_label, find_classes, naive_baseline
from ratoon.training.manifest import read_manifest
from ratoon.training.matrix import compute_features, encode, learn_contract
from ratoon.training.scoring import Scorer

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyResult:
    """One way to run the model over the scored rows.

    Attributes:
        trainings: Models that were trained.
        overall: The metric over all rows at once.
        by_batch: Its mean over the batches in which it is defined.
        n_rows: Scored rows whose label is known: the same for every strategy.
        seconds: CPU seconds of this comparison's trainings; 0 for what was read from the log.
    """

    name: str
    trainings: int
    metric: str
    overall: float
    by_batch: float
    n_rows: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Year:
    """Scored rows with labels, in prediction order, and every labelled row that a training could use."""

    spec: ModelSpec
    rows: pl.DataFrame
    features: pl.DataFrame
    label: NDArray[np.float32]
    classes: Any
    batches: list[tuple[str, Any]]


def compare_strategies(
    app: Ratoon, model: str, *, on_batch: Callable[[int, int], None] | None = None
) -> list[StrategyResult]:
    """Score every matured prediction of a model again by each strategy.

    Args:
        app: The application; its lake holds the predictions.
        model: A model with a champion.
        on_batch: Told of every batch that ``every`` has trained for: how many, of how many.

    Returns:
        ratoon, every, never, naive.

    Raises:
        EmptyWindowError: The model has no matured prediction.
    """
    year = _load(app, app.model(model))
    versions = app.ledger.versions(model)
    started = time.process_time()
    every, n_trained = _retrained_on_every_batch(app, year, _rounds(app, versions), on_batch)
    seconds = time.process_time() - started
    first = Scorer.load(
        app.artifacts, min(versions, key=lambda v: v.version).artifact_digest, str(app.settings.project)
    )
    never = _per_batch(year, first.predict)
    return [
        _result("ratoon", len(app.ledger.retrains(model, limit=10_000)), year, _per_batch(year, _logged)),
        _result("retrained on every batch", n_trained, year, every, seconds),
        _result("never retrained", 1, year, never),
        _result("naive", 0, year, _naive(year)),
    ]


def _load(app: Ratoon, spec: ModelSpec) -> _Year:
    contract = app.dataset(spec.dataset).contract
    key = contract.entity_key
    predictions = app.lake.scan_predictions(spec.name).select(
        *key, "score", predicted_at="_as_of", scored_batch="_batch"
    )
    labelled = app.lake.labelled(spec.dataset, contract)
    # In the order of the trainings themselves: subsampling by row makes another model of another order.
    rows = labelled.join(predictions, on=key, how="left", maintain_order="left").collect()
    if contract.label is None or rows["score"].null_count() == rows.height:
        raise EmptyWindowError(f"model {spec.name} has no prediction whose label is known; let more batches arrive")
    function = load_features(str(app.settings.project), spec.features)
    features = compute_features(function, rows, list(contract.columns), [*key, contract.event_time])
    classes = find_classes(rows[contract.label.column], spec.task, contract.label.allowed)
    label = encode_label(rows[contract.label.column], spec.task, classes)
    rows = rows.with_columns(known_at=pl.col(contract.label.known_at))
    scored = (
        rows.filter(pl.col("score").is_not_null()).select("scored_batch", "predicted_at").unique().sort("predicted_at")
    )
    return _Year(spec, rows, features, label, classes, list(scored.iter_rows()))


def _rounds(app: Ratoon, versions: list[Any]) -> int:
    return round(median(read_manifest(app.artifacts, version.artifact_digest).rounds for version in versions))


def _retrained_on_every_batch(
    app: Ratoon, year: _Year, rounds: int, on_batch: Callable[[int, int], None] | None
) -> tuple[Scores, int]:
    params = xgb.parameters(
        year.spec.task,
        year.spec.training.params,
        metric=year.spec.gate.metric,
        n_classes=len(year.classes) if year.classes else None,
        threads=app.settings.threads,
        seed=year.spec.training.seed,
    )
    parts = []
    for done, (_, at, scored) in enumerate(_batches(year), start=1):
        known = np.flatnonzero((year.rows["known_at"] <= at).to_numpy())
        features = year.features[known]
        contract = learn_contract(features)
        fit = xgb.fit(xgb.Rows(encode(features, contract), year.label[known]), None, params, rounds=rounds)
        parts.append(
            xgb.predict(xgb.load(fit.model), encode(year.features[scored], contract), threads=app.settings.threads)
        )
        if on_batch is not None:
            on_batch(done, len(year.batches))
    return np.concatenate(parts), len(year.batches)


def _logged(rows: pl.DataFrame) -> Scores:
    """Return what the prediction log says: the champion of each time."""
    return np.array(rows["score"].to_list(), dtype=np.float64)


def _naive(year: _Year) -> Scores:
    parts = []
    for _, at, scored in _batches(year):
        known = np.flatnonzero((year.rows["known_at"] <= at).to_numpy())
        baseline = naive_baseline(year.label[known], year.spec.task, year.classes)
        parts.append(baseline_scores(baseline, len(scored), year.spec.task))
    return np.concatenate(parts)


def _per_batch(year: _Year, predict: Callable[[pl.DataFrame], Scores]) -> Scores:
    return np.concatenate([predict(year.rows[scored]) for _, _, scored in _batches(year)])


def _batches(year: _Year) -> Iterator[tuple[str, Any, NDArray[np.int64]]]:
    """Yield each scored batch with the time of its prediction and the places of its rows."""
    of = year.rows["scored_batch"]
    for batch, at in year.batches:
        yield batch, at, np.flatnonzero((of == batch).fill_null(value=False).to_numpy())


def _result(name: str, trainings: int, year: _Year, scores: Scores, seconds: float = 0.0) -> StrategyResult:
    metric, places = year.spec.gate.metric, [scored for _, _, scored in _batches(year)]
    order = np.concatenate(places)
    label = year.label[order]
    ends = np.cumsum([len(place) for place in places])
    parts = zip(np.split(label, ends[:-1]), np.split(scores, ends[:-1]), strict=True)
    values = [metric_value(metric, some, their) for some, their in parts if not undefined_reason(metric, some)]
    return StrategyResult(
        name=name,
        trainings=trainings,
        metric=metric,
        overall=metric_value(metric, label, scores),
        by_batch=float(np.mean(values)),
        n_rows=len(order),
        seconds=seconds,
    )


def main(project: str, model: str) -> None:
    """Compare in a process of its own: the supervisor of the stack must not load XGBoost."""
    app = build(load_settings(Path(project)))
    results = compare_strategies(app, model, on_batch=lambda done, of: _say({"done": done, "of": of}))
    _say({"results": [asdict(result) for result in results]})


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
