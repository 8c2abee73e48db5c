"""How often a drift report finds a change that is there, and blames a column that did not change.

Run ``python -m tests.benchmarks.bench_drift_power [repeats] [processes]``. The population is the null experiment's
independent one; each report changes one column of the current side, another one in each repeat.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
from tests.benchmarks.drift_populations import CARDINALITIES, N_NUMERIC, independent
from tests.benchmarks.figures import Begin, Benchmark, Figure

from ratoon.drift import compare
from ratoon.profiles import make_binning, profile

Change = Callable[[pl.DataFrame, str, np.random.Generator], pl.DataFrame]
_CHUNK = 10


def move(deviations: float) -> Change:
    """Move a standard normal column."""
    return lambda rows, column, _: rows.with_columns(pl.col(column) + deviations)


def spread(factor: float) -> Change:
    """Multiply the variance of a centred column."""
    return lambda rows, column, _: rows.with_columns(pl.col(column) * factor**0.5)


def lose(share: float) -> Change:
    """Take the values of some rows."""

    def change(rows: pl.DataFrame, column: str, random: np.random.Generator) -> pl.DataFrame:
        lost = pl.Series(random.random(rows.height) < share)
        return rows.with_columns(pl.when(~lost).then(pl.col(column)))

    return change


def swap_top(rows: pl.DataFrame, column: str, _: np.random.Generator) -> pl.DataFrame:
    """Exchange the two most frequent values."""
    return rows.with_columns(pl.col(column).replace({"0": "1", "1": "0"}))


def new_value(share: float) -> Change:
    """Give some rows a value that was never seen."""

    def change(rows: pl.DataFrame, column: str, random: np.random.Generator) -> pl.DataFrame:
        hit = pl.Series(random.random(rows.height) < share)
        return rows.with_columns(pl.when(hit).then(pl.lit("new")).otherwise(pl.col(column)).alias(column))

    return change


def couple(correlation: float) -> Change:
    """Make two columns normal with a correlation; what each holds on its own stays as it is."""

    def change(rows: pl.DataFrame, column: str, random: np.random.Generator) -> pl.DataFrame:
        first, own = random.normal(size=(2, rows.height))
        other = f"n{(int(column[1:]) + 2) % N_NUMERIC:02d}"
        second = correlation * first + (1 - correlation**2) ** 0.5 * own
        return rows.with_columns(pl.Series(column, first), pl.Series(other, second))

    return change


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A change, the columns that it can happen to, and how often it must be found; 0: no figure was set."""

    what: str
    columns: tuple[str, ...]
    change: Change
    before: Change | None = None
    """What makes the state before, where that isn't the population's own."""
    wanted: dict[int, float]


NUMBERS = tuple(f"n{at:02d}" for at in range(N_NUMERIC))
FULL = NUMBERS[::2]
"""Columns without missing values."""
CATEGORIES = tuple(f"c{at}" for at in range(len(CARDINALITIES)))

SHIFTS = (
    Shift(what="mean +0.10 sd", columns=NUMBERS, change=move(0.1), wanted={}),
    Shift(what="mean +0.25 sd", columns=NUMBERS, change=move(0.25), wanted={5_000: 0.99}),
    Shift(what="mean +0.50 sd", columns=NUMBERS, change=move(0.5), wanted={5_000: 0.99, 500: 0.95}),
    Shift(what="variance x 1.5", columns=NUMBERS, change=spread(1.5), wanted={5_000: 0.99}),
    Shift(what="nulls 0 to 5 %", columns=FULL, change=lose(0.05), wanted={5_000: 0.99, 500: 0.95}),
    Shift(what="nulls 2 to 7 %", columns=NUMBERS[1::2], change=lose(0.05 / 0.98), wanted={5_000: 0.99}),
    Shift(what="top two swapped", columns=CATEGORIES, change=swap_top, wanted={5_000: 0.99}),
    Shift(
        what=f"new category 3 %, of {' to '.join(map(str, (CARDINALITIES[0], CARDINALITIES[-2])))} values",
        columns=CATEGORIES[:-1],
        change=new_value(0.03),
        wanted={5_000: 0.99, 500: 0.95},
    ),
    Shift(
        what=f"new category 3 %, of {CARDINALITIES[-1]} values",
        columns=CATEGORIES[-1:],
        change=new_value(0.03),
        wanted={5_000: 0.99},
    ),
    Shift(
        what="correlation .8 to -.8, same columns",
        columns=FULL,
        before=couple(0.8),
        change=couple(-0.8),
        wanted={5_000: 0.99},
    ),
    Shift(what="correlation 0 to .3", columns=FULL, change=couple(0.3), wanted={}),
)


@dataclass
class Counted:
    """Reports of one shift: how many found it, and how many blamed another column (or pair without one of it)."""

    n_reports: int = 0
    found: int = 0
    elsewhere: int = 0


def count(at: int, n_rows: int, seeds: range) -> Counted:
    """Make one report per seed; a rotation is found where its pair is named."""
    shift, counted = SHIFTS[at], Counted()
    for seed in seeds:
        random = np.random.default_rng([seed, n_rows, at])
        column = shift.columns[seed % len(shift.columns)]
        reference, current = independent(random, n_rows), independent(random, n_rows)
        if shift.before is not None:
            reference = shift.before(reference, column, random)
        current = shift.change(current, column, random)
        binning = make_binning(reference)
        report = compare(profile(reference, binning), profile(current, binning))
        pairs = [{pair.first, pair.second} for pair in report.joint.pairs] if report.joint is not None else []
        counted.n_reports += 1
        if "correlation" in shift.what:
            hit = {column, f"n{(int(column[1:]) + 2) % N_NUMERIC:02d}"}
            counted.found += hit in pairs
            counted.elsewhere += bool(report.drifted) or any(pair != hit for pair in pairs)
        else:
            counted.found += column in report.drifted
            counted.elsewhere += bool(set(report.drifted) - {column}) or bool(pairs)
    return counted


def run(repeats: int = 200, processes: int = 2, sizes: tuple[int, ...] = (500, 5_000)) -> Benchmark:
    """Measure every shift at every size, and return the table."""
    begin = Begin()
    totals: dict[tuple[int, int], Counted] = {}
    with ProcessPoolExecutor(processes) as pool:
        jobs = [
            ((at, n), pool.submit(count, at, n, range(start, min(start + _CHUNK, repeats))))
            for n in sizes
            for at in range(len(SHIFTS))
            for start in range(0, repeats, _CHUNK)
        ]
        for key, job in jobs:
            total, part = totals.setdefault(key, Counted()), job.result()
            total.n_reports += part.n_reports
            total.found += part.found
            total.elsewhere += part.elsewhere
    figures = [
        Figure(
            what=f"{SHIFTS[at].what}, n = {n:,}",
            figure=f"{total.found / total.n_reports:.1%}",
            peer=f"at least {SHIFTS[at].wanted[n]:.0%}" if n in SHIFTS[at].wanted else "-",
            repeats=total.n_reports,
            spread=f"{total.elsewhere / total.n_reports:.1%}",
        )
        for (at, n), total in totals.items()
    ]
    false = sum(total.elsewhere for total in totals.values()) / sum(total.n_reports for total in totals.values())
    return Benchmark(
        title="Drift: changes that are found",
        method=(
            "Share of reports that name the changed column (or pair), with 30 columns and the default settings. The last "
            "column but one is the share of reports that name anything else."
        ),
        command=f"python -m tests.benchmarks.bench_drift_power {repeats} {processes}",
        figures=figures,
        notes=[f"Over all {sum(t.n_reports for t in totals.values()):,} reports, {false:.2%} named anything else."],
        load=begin.load,
        started=begin.at,
    )


def main(repeats: int = 200, processes: int = 2, *sizes: int) -> None:
    """Print the table's rows."""
    done = run(repeats, processes, sizes or (500, 5_000))
    for row in done.figures:
        print(f"{row.what}: {row.figure} ({row.peer}); elsewhere {row.spread}")
    print(*done.notes, sep="\n")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
