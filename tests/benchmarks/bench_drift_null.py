"""How often a drift report raises an alarm when nothing changed.

Run ``python -m tests.benchmarks.bench_drift_null [repeats] [processes]``. Every report makes the bins on one sample of a
population, profiles it and a second one of the same size, and compares both with the default settings. The second
verdict of each report has its effect gates open, so that only the correction holds the error.
"""

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from tests.benchmarks.drift_populations import POPULATIONS
from tests.benchmarks.figures import Begin, Benchmark, Figure

from ratoon.drift import DriftReport, DriftSettings, compare
from ratoon.profiles import make_binning, profile

SIZES = (500, 5_000, 100_000)
OPEN = DriftSettings(
    min_effect=1e-9, null_rate_change=1e-9, new_category_share=1e-9, correlation_change=1e-9, alpha=0.05
)
_CHUNK = 10


@dataclass
class Counted:
    """Alarms of some reports, and what raised them."""

    n_reports: int = 0
    alarms: int = 0
    open_alarms: int = 0
    blamed: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Counted") -> None:
        """Add the counts of other reports."""
        self.n_reports += other.n_reports
        self.alarms += other.alarms
        self.open_alarms += other.open_alarms
        self.blamed += other.blamed


def blame(report: DriftReport) -> list[str]:
    """Name what raised an alarm."""
    found = [f"{column.column}: {', '.join(column.reasons)}" for column in report.columns if column.flagged]
    pairs = report.joint.pairs if report.joint is not None else []
    return found + [f"{pair.first} with {pair.second}" for pair in pairs]


def count(population: str, n_rows: int, seeds: range) -> Counted:
    """Make one report per seed."""
    counted = Counted()
    for seed in seeds:
        rows = POPULATIONS[population](np.random.default_rng([seed, n_rows]), 2 * n_rows)
        reference, current = rows[:n_rows], rows[n_rows:]
        binning = make_binning(reference)
        sides = profile(reference, binning), profile(current, binning)
        report = compare(*sides, binning=binning)
        counted.n_reports += 1
        counted.alarms += report.alarm
        counted.open_alarms += compare(*sides, OPEN).alarm
        counted.blamed.update(blame(report))
    return counted


def measure(repeats: int, processes: int, sizes: tuple[int, ...] = SIZES) -> dict[tuple[str, int], Counted]:
    """Count the alarms of every population and size; large samples first, since they take longest."""
    found: dict[tuple[str, int], Counted] = {}
    with ProcessPoolExecutor(processes) as pool:
        jobs = [
            (key, pool.submit(count, *key, range(start, min(start + _CHUNK, repeats))))
            for key in ((name, n) for n in sorted(sizes, reverse=True) for name in POPULATIONS)
            for start in range(0, repeats, _CHUNK)
        ]
        for key, job in jobs:
            found.setdefault(key, Counted()).add(job.result())
    return found


def run(repeats: int = 200, processes: int = 2, sizes: tuple[int, ...] = SIZES) -> Benchmark:
    """Measure, and return the table."""
    begin, found = Begin(), measure(repeats, processes, sizes)
    figures = [
        Figure(
            what=f"{population}, n = {n:,}",
            figure=f"{counted.alarms / counted.n_reports:.1%}",
            peer=f"at most {0.02 if n < 5_000 else 0.01:.0%}",
            repeats=counted.n_reports,
            spread=f"{counted.open_alarms / counted.n_reports:.1%}",
        )
        for (population, n), counted in sorted(found.items(), key=lambda item: (item[0][1], item[0][0]))
    ]
    blamed = sum((counted.blamed for counted in found.values()), Counter[str]())
    shown = ", ".join(f"{what} ({times})" for what, times in blamed.most_common(8)) or "nothing"
    return Benchmark(
        title="Drift: false alarms when nothing changed",
        method=(
            "Share of reports with any alarm over 30 columns and their pairs; both sides are samples of one population. "
            "The last column but one is the share with every effect gate open and alpha .05: what the correction "
            "holds alone: at most 5 % but for the luck of so many reports (200 have a standard error of 1.5 points)."
        ),
        command=f"python -m tests.benchmarks.bench_drift_null {repeats} {processes}",
        figures=figures,
        notes=[f"Blamed in all reports: {shown}."],
        load=begin.load,
        started=begin.at,
    )


def main(repeats: int = 200, processes: int = 2, *sizes: int) -> None:
    """Print the table's rows."""
    done = run(repeats, processes, sizes or SIZES)
    for row in done.figures:
        print(f"{row.what}: {row.figure} ({row.peer}); gates open {row.spread}")
    print(*done.notes, sep="\n")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
