"""The evaluation report: everything behind a verdict, as JSON that charts and people read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ratoon.declarations import Gate, Metric
from ratoon.evaluation.gate import Evidence, Interval, Verdict
from ratoon.evaluation.metrics import metric_value, undefined_reason
from ratoon.instants import format_instant

Array = NDArray[np.float64]
_PARTS = 20


def build_report(
    *,
    model: str,
    retrain_id: str,
    artifacts: Mapping[str, str | None],
    gate: Gate,
    evidence: Evidence,
    verdict: Verdict,
    holdout: tuple[datetime, datetime],
    over_time: list[dict[str, Any]],
    notes: list[str],
) -> dict[str, Any]:
    """Return the report of one evaluation.

    Args:
        model: The model's name.
        retrain_id: The retrain that is judged.
        artifacts: Digests of ``candidate`` and ``champion`` (None where there is none).
        gate: What was asked.
        evidence: What was measured.
        verdict: What follows.
        holdout: Event times (after, until] of the rows.
        over_time: From :func:`metric_over_time`.
        notes: What a reader should know, such as changed feature code.
    """
    measured = evidence.model_dump(mode="json")
    return {
        "format": 1,
        "model": model,
        "retrain_id": retrain_id,
        "artifacts": dict(artifacts),
        "gate": gate.model_dump(mode="json"),
        "holdout": {
            "after": format_instant(holdout[0]),
            "until": format_instant(holdout[1]),
            "n_rows": evidence.n_rows,
        },
        "metrics": {name: measured[name] for name in ("candidate", "champion", "baseline")},
        "gains": {"champion": measured["gain"], "baseline": measured["baseline_gain"]},
        "champion_absent": evidence.champion_absent,
        "verdict": verdict.verdict,
        "checks": [check.model_dump(mode="json") for check in verdict.checks],
        "over_time": over_time,
        "notes": notes,
    }


def metric_over_time(
    metric: Metric, times: NDArray[np.int64], label: NDArray[np.generic], scores: Mapping[str, Array]
) -> list[dict[str, Any]]:
    """Return a metric in up to 20 parts of equally many consecutive rows.

    Args:
        metric: What is measured.
        times: Event times, ascending, microseconds since 1970.
        label: Labels.
        scores: Scores by model.

    Returns:
        Per part: ``from`` and ``until`` (microseconds since 1970, both inside), ``n_rows``, and the metric by model,
        None where it isn't defined.
    """
    parts = [part for part in np.array_split(np.arange(len(label)), _PARTS) if len(part)]
    return [
        {"from": int(times[part[0]]), "until": int(times[part[-1]]), "n_rows": len(part)}
        | {
            name: None if undefined_reason(metric, label[part]) else metric_value(metric, label[part], score[part])
            for name, score in scores.items()
        }
        for part in parts
    ]


def flat_metrics(evidence: Evidence) -> dict[str, float | None]:
    """Return the measured values under flat names: ``candidate``, ``gain``, ``gain_low``, ``gain_high`` ..."""
    flat: dict[str, float | None] = {}
    for name in ("candidate", "champion", "baseline", "gain", "baseline_gain"):
        interval: Interval | None = getattr(evidence, name)
        flat[name] = interval.value if interval else None
        flat[f"{name}_low"] = interval.low if interval else None
        flat[f"{name}_high"] = interval.high if interval else None
    return flat
