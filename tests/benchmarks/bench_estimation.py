"""Performance estimated without labels, beside NannyML's CBPE, and how wrong it is where P(y|x) changes.

Run ``python -m tests.benchmarks.bench_estimation [chunks]``: so many chunks (all 42 without) are estimated in the
importance-weighted form, which fits one domain classifier for each. NannyML runs in an environment of its own
(:mod:`tests.benchmarks.peers.environments`), on the US-census set that its package ships.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import xgboost
from numpy.typing import NDArray
from tests.benchmarks.figures import Begin, Benchmark, Figure, medians
from tests.benchmarks.flights_scores import static_scores
from tests.benchmarks.peers.environments import environment, last_line

from ratoon.evaluation.metrics import metric_value
from ratoon.performance import (
    Calibration,
    EstimateHistory,
    calibrate,
    calibrate_histogram,
    check,
    density_ratio,
    estimate,
    estimate_all,
    estimate_histogram,
    make_estimate,
    score_histogram,
)
from ratoon.performance.estimation import EstimatedMetric, Expected, expected_metric

Array = NDArray[np.float64]

CHUNK_ROWS = 5_000
METRICS: dict[EstimatedMetric, str] = {"auc": "roc_auc", "accuracy": "accuracy", "f1": "f1"}
"""Ours, and NannyML's name."""

_SCRIPT = Path(__file__).with_name("peers") / "nannyml_cbpe.py"
_NOT_FEATURES = ("id", "year", "employed", "prediction", "predicted_probability")
_LABELS_LATER = 2
"""Chunks after which a chunk's labels are known, in the streams."""


@dataclass(frozen=True, slots=True)
class Census:
    """The census set: scores and labels, features as numbers, and what NannyML made of it."""

    peer: dict  # type: ignore[type-arg]
    reference_score: Array
    reference_label: Array
    score: Array
    label: Array
    reference_features: Array
    features: Array

    @property
    def chunks(self) -> list[slice]:
        """Return NannyML's chunks of the analysis rows."""
        return [slice(int(first), int(last) + 1) for first, last in self.peer["chunks"]]


def ask_nannyml(repeats: int) -> dict:  # type: ignore[type-arg]
    """Let NannyML estimate, in its own environment; return what its script prints."""
    found = environment("nannyml")
    if found.python is None:
        raise SystemExit(f"NannyML {found.reason}")
    command = [str(found.python), str(_SCRIPT), str(CHUNK_ROWS), str(repeats)]
    env = os.environ | {"NML_DISABLE_USAGE_LOGGING": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode != 0:
        raise SystemExit(f"NannyML failed: {last_line(done.stderr)}")
    answer: dict = json.loads(done.stdout.splitlines()[-1])  # type: ignore[type-arg]
    return answer


def read_census(peer: dict) -> Census:  # type: ignore[type-arg]
    """Read the set from the files of NannyML's package."""
    folder = Path(peer["folder"])
    reference = pl.read_parquet(folder / "employment_MA_reference.pq")
    analysis = pl.read_parquet(folder / "employment_MA_analysis.pq")
    target = pl.read_parquet(folder / "employment_MA_analysis_target.pq")
    names = [name for name in analysis.columns if name not in _NOT_FEATURES]
    both = pl.concat(
        [frame.select(pl.col(names).cast(pl.String).cast(pl.Float64, strict=False)) for frame in (reference, analysis)]
    )
    features = both.to_numpy()
    return Census(
        peer=peer,
        reference_score=reference["predicted_probability"].to_numpy(),
        reference_label=reference["employed"].cast(pl.Float64).to_numpy(),
        score=analysis["predicted_probability"].to_numpy(),
        label=analysis.select("id")
        .join(target, on="id", how="left", maintain_order="left")["employed"]
        .cast(pl.Float64)
        .to_numpy(),
        reference_features=features[: reference.height],
        features=features[reference.height :],
    )


def timed(
    census: Census, repeats: int
) -> tuple[list[dict[EstimatedMetric, Expected]], list[list[float]], list[list[float]]]:
    """Estimate every chunk as NannyML did; return the estimates and the seconds (wall, CPU) to fit and to estimate."""
    fits, estimates, found = [], [], []
    for _ in range(repeats):
        begin = time.perf_counter(), time.process_time()
        fitted = calibrate(census.reference_score, census.reference_label)
        middle = time.perf_counter(), time.process_time()
        found = [estimate_all(list(METRICS), census.score[chunk], fitted) for chunk in census.chunks]
        end = time.perf_counter(), time.process_time()
        fits.append([middle[0] - begin[0], middle[1] - begin[1]])
        estimates.append([end[0] - middle[0], end[1] - middle[1]])
    return found, fits, estimates


def realised(metric: EstimatedMetric, label: Array, score: Array) -> float:
    """Compute a metric from labels; f1 is ours with the label as its own probability."""
    if metric == "f1":
        return expected_metric("f1", score, label, np.ones(len(label)))[0]
    return metric_value(metric, label, score)


def domain_weights(census: Census, chunk: slice, *, rounds: int = 30) -> Array:
    """Weigh the reference's rows by how much they look like a chunk's.

    Two halves, each judged by a classifier of the other: its answer on a row that it learned would tell that row apart.
    """
    new = census.features[chunk]
    n = len(census.reference_features)
    rows = np.concatenate([census.reference_features, new])
    is_new = np.concatenate([np.zeros(n), np.ones(len(new))])
    half = np.random.default_rng(0).permutation(len(rows)) % 2
    params = {
        "objective": "binary:logistic",
        "max_depth": 4,
        "eta": 0.2,
        "min_child_weight": 20,
        "nthread": 2,
        "seed": 0,
    }
    weights = np.empty(n)
    for side in (0, 1):
        learn, judge = half != side, np.flatnonzero(half[:n] == side)
        booster = xgboost.train(params, xgboost.QuantileDMatrix(rows[learn], is_new[learn]), num_boost_round=rounds)
        answer = booster.predict(xgboost.DMatrix(rows[judge]))
        n_new = int(is_new[learn].sum())
        weights[judge] = density_ratio(answer, n_reference=int(learn.sum()) - n_new, n_new=n_new)
    return weights


def against_nannyml(census: Census, repeats: int) -> tuple[list[Figure], list[dict[EstimatedMetric, Expected]]]:
    """Compare values and times."""
    found, fits, estimates = timed(census, repeats)
    figures = [
        Figure(
            what=f"largest difference to NannyML's {theirs}, {len(found)} chunks",
            figure=f"{max(abs(one[ours].value - their) for one, their in zip(found, census.peer['estimated'][theirs], strict=True)):.1e}",
            peer="limit: 1e-4",
        )
        for ours, theirs in METRICS.items()
    ]
    both = [[a + b for a, b in zip(fit, part, strict=True)] for fit, part in zip(fits, estimates, strict=True)]
    their_both = [
        [a + b for a, b in zip(fit, part, strict=True)]
        for fit, part in zip(census.peer["fit"], census.peer["estimate"], strict=True)
    ]
    rows = (
        ("fit and estimate", both, their_both),
        ("fit", fits, census.peer["fit"]),
        ("estimate", estimates, census.peer["estimate"]),
    )
    for what, ours, theirs in rows:
        for place, clock in enumerate(("wall", "CPU")):
            mine, other = [spent[place] for spent in ours], [spent[place] for spent in theirs]
            figures.append(
                medians(
                    f"{what}, {clock}",
                    mine,
                    lambda value: f"{value * 1000:.0f} ms",
                    peer=f"NannyML: {statistics.median(other) * 1000:.0f} ms",
                    ratios=[a / b for a, b in zip(mine, other, strict=True)],
                )
            )
    return figures, found


def accuracy_of(
    census: Census, plain: list[dict[EstimatedMetric, Expected]], n_weighted: int
) -> tuple[list[Figure], list[str]]:
    """Compare estimates with what came, on the chunks that the weighted form is run for."""
    chosen = np.linspace(0, len(census.chunks) - 1, n_weighted).round().astype(int).tolist()
    fitted = calibrate(census.reference_score, census.reference_label)
    begin = time.perf_counter()
    weighted: list[Calibration] = [
        calibrate(census.reference_score, census.reference_label, domain_weights(census, census.chunks[place]))
        for place in chosen
    ]
    spent = time.perf_counter() - begin
    by_bin = calibrate_histogram(score_histogram(census.reference_score, census.reference_label))
    figures, binned = [], []
    for metric in METRICS:
        constant = realised(metric, *_sorted(census.reference_label, census.reference_score))
        errors: dict[str, list[float]] = {"constant": [], "plain": [], "weighted": []}
        for place, calibration in zip(chosen, weighted, strict=True):
            chunk = census.chunks[place]
            label, score = _sorted(census.label[chunk], census.score[chunk])
            came = realised(metric, label, score)
            errors["constant"].append(abs(constant - came))
            errors["plain"].append(abs(plain[place][metric].value - came))
            errors["weighted"].append(abs(estimate(metric, score, calibration).value - came))
            counted = score_histogram(score, np.full(len(score), np.nan))
            coarse = estimate_histogram(metric, counted, by_bin)
            binned.append((abs(coarse.value - estimate(metric, score, fitted).value), coarse.binning_error))
        mean = {name: float(np.mean(values)) for name, values in errors.items()}
        figures += [
            Figure(
                what=f"{metric}: mean absolute error, plain CBPE",
                figure=f"{mean['plain']:.4f}",
                peer=f"nothing changed: {mean['constant']:.4f}",
                ratio=f"{mean['plain'] / mean['constant']:.2f}",
                repeats=len(chosen),
            ),
            Figure(
                what=f"{metric}: mean absolute error, importance-weighted",
                figure=f"{mean['weighted']:.4f}",
                peer=f"plain CBPE: {mean['plain']:.4f}",
                ratio=f"{mean['weighted'] / mean['plain']:.2f}",
                repeats=len(chosen),
            ),
        ]
    figures.append(
        Figure(
            what="from 200 score bins: largest difference to raw scores",
            figure=f"{max(difference for difference, _ in binned):.1e}",
            peer=f"its stated binning error: up to {max(stated for _, stated in binned):.1e}",
            repeats=len(binned),
        )
    )
    note = f"{len(chosen)} domain classifiers (two halves each, 30 rounds of depth 4) took {spent:.0f} s; estimating with them costs what plain CBPE costs."
    return figures, [note]


def _sorted(label: Array, score: Array) -> tuple[Array, Array]:
    order = np.argsort(score, kind="stable")
    return label[order], score[order]


def made_stream(seed: int, *, drifts: bool, n_chunks: int = 60, rows: int = 2_000) -> tuple[list[Array], list[Array]]:
    """Make chunks of scores and labels: covariates always move; from the middle on, P(y|x) turns if it ``drifts``.

    The model is the truth of the first half; the reference is chunk 0.
    """
    rng = np.random.default_rng(seed)
    scores, labels = [], []
    for place in range(n_chunks):
        x = rng.normal(loc=[0.4 * np.sin(place / 5), 0.0], size=(rows, 2))
        model = 1 / (1 + np.exp(-(1.5 * x[:, 0] + x[:, 1])))
        turn = min(1.0, max(0.0, (place - n_chunks / 2) / 10)) if drifts else 0.0
        truth = 1 / (1 + np.exp(-((1.5 - 2.0 * turn) * x[:, 0] + x[:, 1])))
        scores.append(model)
        labels.append((rng.random(rows) < truth).astype(np.float64))
    return scores, labels


def watch_stream(
    what: str, scores: Sequence[Array], labels: Sequence[Array], metric: EstimatedMetric
) -> tuple[list[Figure], list[str]]:
    """Estimate chunk by chunk, labels known two chunks later, and see what the bands and their trust were worth."""
    fitted = calibrate(scores[0], labels[0])
    constant = metric_value(metric, labels[0], scores[0])  # type: ignore[arg-type]
    history, shown, came, trusted, plain_inside = EstimateHistory(), [], [], [], []
    for place in range(1, len(scores)):
        band = make_estimate(metric, estimate(metric, scores[place], fitted), history, reference=constant)
        shown.append(band)
        trusted.append(band.trusted)
        came.append(metric_value(metric, labels[place], scores[place]))  # type: ignore[arg-type]
        plain_inside.append(abs(came[-1] - band.value) <= 1.645 * band.sampling_error)
        if (ready := place - 1 - _LABELS_LATER) >= 0:
            history = check(history, str(ready), shown[ready], came[ready])
    inside = [band.low <= value <= band.high for band, value in zip(shown, came, strict=True)]
    width = [(band.high - band.low) / 2 for band in shown]
    error = [abs(band.value - value) for band, value in zip(shown, came, strict=True)]
    half = len(shown) // 2
    figures = [
        Figure(
            what=f"{what}: realised {metric} inside the band",
            figure=f"{np.mean(inside):.0%}",
            peer=f"sampling band alone: {np.mean(plain_inside):.0%}; promised 90%",
            repeats=len(shown),
        ),
        Figure(
            what=f"{what}: mean absolute error, first and second half",
            figure=f"{np.mean(error[:half]):.4f}, {np.mean(error[half:]):.4f}",
            peer=f"half-width of the band: {np.mean(width[:half]):.4f}, {np.mean(width[half:]):.4f}",
            repeats=len(shown),
        ),
        Figure(
            what=f"{what}: chunks in which the estimate was trusted, first and second half",
            figure=f"{np.mean(trusted[_LABELS_LATER + 9 : half]):.0%}, {np.mean(trusted[half:]):.0%}",
            peer="from the ninth checked chunk on",
            repeats=len(shown),
        ),
    ]
    return figures, [f"{what}, the last chunk: {shown[-1].sentence} (realised: {came[-1]:.4g})"]


def flights_by_week() -> tuple[list[Array], list[Array]]:
    """Return the scores and labels of a static model of real flights, week by week."""
    weeks = static_scores().partition_by("week", maintain_order=True)
    whole = [week for week in weeks if week.height > 1_000]
    return [week["score"].to_numpy() for week in whole], [week["label"].to_numpy() for week in whole]


def run(repeats: int = 5, n_weighted: int = 42) -> Benchmark:
    """Measure everything and return the benchmark."""
    begin = Begin()
    census = read_census(ask_nannyml(repeats))
    figures, plain = against_nannyml(census, repeats)
    more, notes = accuracy_of(census, plain, min(n_weighted, len(plain)))
    figures += more
    streams: list[tuple[str, Callable[[], tuple[list[Array], list[Array]]]]] = [
        ("made stream, only covariates move", lambda: made_stream(1, drifts=False)),
        ("made stream, P(y|x) turns in the middle", lambda: made_stream(1, drifts=True)),
        ("flights by week, one model for the year", flights_by_week),
    ]
    for what, make in streams:
        found, told = watch_stream(what, *make(), "accuracy")
        figures, notes = figures + found, notes + told
    return Benchmark(
        title="Performance without labels",
        method=(
            f"NannyML's US-census employment set (reference {len(census.reference_score):,} rows, analysis "
            f"{len(census.score):,}, chunks of {CHUNK_ROWS:,}): CBPE of accuracy, AUROC and F1 with sampling error, by "
            "NannyML 0.13.1 in its own environment and by Ratoon, arrays in memory on both sides. Then streams whose "
            f"labels are known {_LABELS_LATER} chunks later: what the band says and what came."
        ),
        command=f"python -m tests.benchmarks.bench_estimation {n_weighted}",
        figures=figures,
        notes=notes,
        load=begin.load,
        started=begin.at,
    )


if __name__ == "__main__":
    done = run(repeats=3, n_weighted=int(sys.argv[1]) if len(sys.argv) > 1 else 42)
    for row in done.figures:
        print(f"{row.what:75} {row.figure:>18}  {row.peer:50} {row.ratio:>5}  {row.repeats:3}  {row.spread}")
    print(*done.notes, sep="\n")
