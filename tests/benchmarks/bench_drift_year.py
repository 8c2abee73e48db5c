"""A year of daily looks at one model: how many runs raise a false alarm, against the stated budget.

Run ``python -m tests.benchmarks.bench_drift_year [runs] [processes] [days] [columns]``. Nothing ever changes. One reference
is drawn per run and all looks are compared with it, so that the looks depend on each other as they do in life. What is
drawn are the counts (multinomial, exactly what profiles of such rows hold) and the joint row of real normal scores; the
verdict is the real ``compare`` with the alpha that the real budget plans. A second verdict has its effect gates open, so
that the budget alone holds the error.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from tests.benchmarks.bench_drift_null import OPEN
from tests.benchmarks.figures import Begin, Benchmark, Figure

from ratoon.drift import DriftSettings, Look, compare, next_alpha
from ratoon.profiles import PROFILE_SCHEMA

_START = datetime(2025, 1, 1, 6, tzinfo=UTC)
_N_REFERENCE, _N_CURRENT = 20_000, 1_000
_BINS = 20
_MISSING = 0.02
_JOINT = 40
_SETTINGS = {
    "default thresholds": DriftSettings(),
    "effect gates open": OPEN.model_copy(update={"alpha": DriftSettings().alpha}),
}


def draw(random: np.random.Generator, n_rows: int, n_columns: int) -> pl.DataFrame:
    """Draw a profile: four fifths numbers in 20 even bins (between two empty ones), the others of 22 values (Zipf)."""
    n_numeric = n_columns * 4 // 5
    even = np.concatenate([[0.0], np.full(_BINS, 1 / _BINS), [0.0]])
    zipf = 1 / np.arange(1, _BINS + 3)
    nulls = random.binomial(n_rows, _MISSING, n_columns)
    present = n_rows - nulls
    counts = np.vstack(
        [
            random.multinomial(present[:n_numeric], even),
            random.multinomial(present[n_numeric:], zipf / zipf.sum()),
        ]
    )
    kinds = ["numeric"] * n_numeric + ["category"] * (n_columns - n_numeric)
    names = [f"{kind[0]}{at:04d}" for at, kind in enumerate(kinds)]
    listed = [None if kind == "numeric" else [f"v{place}" for place in range(_BINS + 2)] for kind in kinds]
    joint = sorted(names[:_JOINT])
    rows = pl.DataFrame(
        {
            "column": [*names, "*"],
            "kind": [*kinds, "joint"],
            "n": n_rows,
            "nulls": [*nulls.tolist(), 0],
            "counts": [*counts.tolist(), joint_counts(random, n_rows)],
            "categories": [*listed, joint],
        },
        schema_overrides=PROFILE_SCHEMA,
    )
    zeros = [name for name in ("nans", "infs", "rest", "rest_singletons") if name not in rows.columns]
    return rows.select(
        *(
            pl.col(name)
            if name in rows.columns
            else pl.lit(0 if name in zeros else ("0" * 64 if name == "binning" else None), dtype=dtype).alias(name)
            for name, dtype in PROFILE_SCHEMA.items()
        )
    )


def joint_counts(random: np.random.Generator, n_rows: int) -> list[int]:
    """Draw the joint row of 40 normal columns with correlations of .3."""
    common = random.standard_normal((n_rows, 1), dtype=np.float32)
    normal = random.standard_normal((n_rows, _JOINT), dtype=np.float32) * 0.7**0.5 + common * 0.3**0.5
    scores = np.rint(np.clip(2 * normal, -8, 8))
    products = (scores.T @ scores)[np.triu_indices(_JOINT)]
    return [int(value) for value in (*scores.sum(axis=0), *products)]


@dataclass
class Run:
    """One year under each of the settings: which quarters had a false alarm, and what was spent of each."""

    alarms: dict[str, set[int]]
    spent: dict[str, list[float]]


def live(seed: int, days: int, n_columns: int) -> Run:
    """Look every day for a year."""
    random = np.random.default_rng(seed)
    reference = draw(random, _N_REFERENCE, n_columns)
    looks: dict[str, list[Look]] = {name: [] for name in _SETTINGS}
    run = Run(alarms={name: set() for name in _SETTINGS}, spent={name: [0.0] * 4 for name in _SETTINGS})
    for day in range(days):
        now = _START + timedelta(days=day)
        current = draw(random, _N_CURRENT, n_columns)
        for name, settings in _SETTINGS.items():
            alpha = next_alpha(settings, looks[name], now)
            report = compare(reference, current, settings, alpha=alpha)
            looks[name].append(Look(at=now, alpha=alpha))
            run.spent[name][(now.month - 1) // 3] += alpha
            if report.alarm:
                run.alarms[name].add((now.month - 1) // 3)
    return run


def run(runs: int = 60, processes: int = 2, days: int = 365, n_columns: int = 500) -> Benchmark:
    """Live so many years, and return the table."""
    begin, budget = Begin(), DriftSettings().false_alarms_per_quarter
    with ProcessPoolExecutor(processes) as pool:
        lived = list(pool.map(live, range(runs), [days] * runs, [n_columns] * runs))
    n_quarters = len({((_START + timedelta(days=day)).month - 1) // 3 for day in range(days)})
    figures = []
    for name in _SETTINGS:
        quarters = sum(len(year.alarms[name]) for year in lived)
        years = sum(bool(year.alarms[name]) for year in lived)
        most = max(max(year.spent[name]) for year in lived)
        figures += [
            Figure(
                what=f"quarters with a false alarm, {name}",
                figure=f"{quarters / (runs * n_quarters):.1%}",
                peer=f"budget {budget:.0%}",
                repeats=runs * n_quarters,
                spread=f"spent at most {most:.4f}",
            ),
            Figure(
                what=f"runs with a false alarm, {name}",
                figure=f"{years / runs:.1%}",
                peer=f"budget {min(budget * n_quarters, 1):.0%}",
                repeats=runs,
            ),
        ]
    return Benchmark(
        title="Drift: a year of daily looks when nothing changes",
        method=(
            f"{days} looks at {n_columns} columns and {_JOINT * (_JOINT - 1) // 2} pairs, {_N_CURRENT:,} rows a day "
            f"against one reference of {_N_REFERENCE:,}; the budget is {budget:.0%} per calendar quarter."
        ),
        command=f"python -m tests.benchmarks.bench_drift_year {runs} {processes} {days} {n_columns}",
        figures=figures,
        load=begin.load,
        started=begin.at,
    )


def main(runs: int = 60, processes: int = 2, days: int = 365, n_columns: int = 500) -> None:
    """Print the table's rows."""
    for row in run(runs, processes, days, n_columns).figures:
        print(f"{row.what}: {row.figure} ({row.peer}, {row.repeats} of them) {row.spread}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
