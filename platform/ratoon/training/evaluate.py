"""Judges a stored candidate: champion, candidate and baseline score the same rows, which none of them has seen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon.errors import TrainingError
from ratoon.evaluation.compare import compare
from ratoon.evaluation.gate import Evidence, judge
from ratoon.evaluation.report import build_report, flat_metrics, metric_over_time
from ratoon.evaluation.rules import evaluate_rules
from ratoon.instants import format_instant
from ratoon.performance import score_sums
from ratoon.registry.store import ArtifactStore
from ratoon.training.importance import column_importance
from ratoon.training.labels import align_classes, baseline_scores, encode_label
from ratoon.training.manifest import Manifest
from ratoon.training.orders import EvaluateOrder, EvaluateOutcome
from ratoon.training.rows import FrameSource, LabelledRows, read_holdout_rows
from ratoon.training.scoring import Scorer
from ratoon.training.windows import from_micros, to_micros

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Champion:
    scores: Array | None
    absent: str | None
    features_changed: bool = False


def evaluate(
    order: EvaluateOrder,
    source: FrameSource,
    store: ArtifactStore,
    progress: Callable[[dict[str, Any]], None] = lambda _: None,
) -> EvaluateOutcome:
    """Judge a candidate and store the report.

    The candidate is judged by its blob ``judged``, which has not seen the holdout; the champion by the model that
    serves, on rows newer than its data. So no model is judged on rows that it was trained on.

    Args:
        order: What to judge.
        source: Gives the matured rows; at the training's table versions they are the same rows.
        store: Holds the artifacts and takes the report.
        progress: Told of every phase.

    Raises:
        CorruptArtifactError: An artifact's bytes are not those of its digest.
        TrainingError: The candidate can't score the rows.
    """
    candidate = Scorer.load(store, order.candidate, order.project_root, blob="judged", threads=order.threads)
    Scorer.load(store, order.candidate, order.project_root)  # what would serve is parsed here first, not in a server
    after, until = _holdout(order, candidate.manifest)
    progress({"phase": "read"})
    rows = read_holdout_rows(source, order, after, until)
    progress({"phase": "score", "n_rows": rows.frame.height})
    scores = {"candidate": candidate.predict(rows.frame)}
    champion = _score_champion(order, store, candidate.manifest, rows)
    if champion.scores is not None:
        scores["champion"] = champion.scores
    scores["baseline"] = baseline_scores(candidate.manifest.baseline, rows.frame.height, order.task)
    progress({"phase": "compare"})
    label = encode_label(rows.label, order.task, candidate.classes)
    evidence = _evidence(order, rows, label, scores, champion.absent)
    verdict = judge(order.gate, evidence)
    notes = _notes(order, candidate, champion)
    report = build_report(
        model=order.model,
        retrain_id=order.retrain_id,
        artifacts={"candidate": order.candidate, "champion": order.champion.artifact if order.champion else None},
        gate=order.gate,
        evidence=evidence,
        verdict=verdict,
        holdout=(from_micros(after), from_micros(until)),
        over_time=metric_over_time(order.gate.metric, rows.times, label, scores),
        notes=notes,
    )
    progress({"phase": "explain"})
    report["column_importance"] = column_importance(
        candidate.predict,
        rows.frame,
        [name for name in candidate.manifest.inputs if name not in candidate.manifest.excluded],
        seed=order.seed,
    )
    judged = rows.frame.select(score=_column("score", scores["candidate"]), label=rows.label)
    report["reference_scores"] = score_sums(judged, order.task, classes=candidate.classes).model_dump(mode="json")
    return EvaluateOutcome(
        candidate=order.candidate,
        verdict=verdict.verdict,
        reasons=verdict.reasons,
        report_digest=store.put_json(report),
        metrics=flat_metrics(evidence),
        n_rows=evidence.n_rows,
        checks=verdict.checks,
        features_changed=champion.features_changed or candidate.features_changed,
        notes=notes,
    )


def _holdout(order: EvaluateOrder, manifest: Manifest) -> tuple[int, int]:
    after = to_micros(manifest.holdout.after)
    if order.champion is not None:
        after = max(after, to_micros(order.champion.data_until))
    return after, to_micros(manifest.holdout.until)


def _score_champion(order: EvaluateOrder, store: ArtifactStore, candidate: Manifest, rows: LabelledRows) -> _Champion:
    """Score the champion, or say why it can't be compared with.

    A champion that today's feature code can't serve any more is no standard to hold a candidate to: refusing would
    keep it in place for ever.
    """
    if order.champion is None:
        return _Champion(None, "this is the model's first version")
    try:
        scorer = Scorer.load(store, order.champion.artifact, order.project_root, threads=order.threads)
        if scorer.manifest.task != order.task:
            return _Champion(
                None,
                f"version {order.champion.version} is a {scorer.manifest.task} model; {order.task} is declared now",
            )
        scores = scorer.predict(rows.frame)
    except TrainingError as exc:
        return _Champion(
            None,
            f"version {order.champion.version} can't be scored with today's feature code: {exc.message}",
            features_changed=True,
        )
    if scorer.classes and candidate.classes:
        scores = align_classes(scores, scorer.classes, candidate.classes)
    return _Champion(scores, None, scorer.features_changed)


def _evidence(
    order: EvaluateOrder, rows: LabelledRows, label: NDArray[np.float32], scores: dict[str, Array], absent: str | None
) -> Evidence:
    others = {name: values for name, values in scores.items() if name != "candidate"}
    compared = compare(
        order.gate.metric, label, scores["candidate"], others, confidence=order.gate.confidence, seed=order.seed
    )
    values, gains = (compared.values, compared.gains) if compared else ({}, {})
    return Evidence(
        n_rows=len(label),
        candidate=values.get("candidate"),
        champion=values.get("champion"),
        baseline=values.get("baseline"),
        gain=gains.get("champion"),
        baseline_gain=gains.get("baseline"),
        champion_absent=absent,
        rules=evaluate_rules(_rule_frame(rows, scores), order.gate.rules),
    )


def _rule_frame(rows: LabelledRows, scores: dict[str, Array]) -> pl.DataFrame:
    empty = pl.Series("champion_score", [None] * rows.frame.height, dtype=pl.Float64)
    columns = {"score": "candidate", "champion_score": "champion", "baseline_score": "baseline"}
    return rows.frame.with_columns(
        rows.label.alias("label"),
        *(_column(name, scores[of]) if of in scores else empty for name, of in columns.items()),
    )


def _column(name: str, scores: Array) -> pl.Series:
    return pl.Series(
        name,
        scores.tolist() if scores.ndim > 1 else scores,
        dtype=pl.List(pl.Float64) if scores.ndim > 1 else pl.Float64,
    )


def _notes(order: EvaluateOrder, candidate: Scorer, champion: _Champion) -> list[str]:
    notes = []
    if candidate.features_changed:
        notes.append(
            f"{order.features} changed between training and evaluation: the candidate was scored with the new code"
        )
    if champion.features_changed and order.champion is not None:
        notes.append(
            f"{order.features} changed since champion version {order.champion.version} was trained: "
            "it was scored with today's code"
        )
    if order.champion is not None:
        notes.append(
            f"champion version {order.champion.version} has seen data until {format_instant(order.champion.data_until)}"
        )
    return notes
