"""Cost of profiles: a report with a stored reference, a window of many batches, a wide frame.

Run ``python -m tests.benchmarks.bench_profiles [report|window|wide] [sizes ...]``; each side runs in a fresh process.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from tests.benchmarks.figures import Begin, Benchmark, Figure, medians, mib, seconds

from ratoon.profiles import encode, make_reference, merge, profile

_FLOATS, _CATEGORIES = 50, 10
_WIDE_ROWS = 300_000
_SAMPLE = 50_000


class Taken(NamedTuple):
    """What one side took."""

    wall: float
    cpu: float
    peak: float


def measure(side: str, folder: Path) -> Taken:
    """Run one side in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("profile_side.py")), side, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Taken(**json.loads(done.stdout))


def make_frame(n_rows: int, seed: int) -> pl.DataFrame:
    """Return 50 float columns (a third of them skewed, a fifth with 2 % nulls) and 10 of text with 3 to 50 values."""
    random = np.random.default_rng(seed)
    columns: dict[str, object] = {}
    for i in range(_FLOATS):
        values = random.normal(size=n_rows) if i % 3 else random.lognormal(size=n_rows)
        is_null = random.random(n_rows) < (0 if i % 5 else 0.02)
        columns[f"x{i:02}"] = pl.select(pl.when(~pl.Series(is_null)).then(pl.Series(values))).to_series()
    for i in range(_CATEGORIES):
        names = np.array([f"value {k}" for k in range(3 + 5 * i + i // 5)])
        weights = 1 / np.arange(1, len(names) + 1)
        columns[f"c{i}"] = names[random.choice(len(names), n_rows, p=weights / weights.sum())]
    return pl.DataFrame(columns)


def _ratios(ours: Sequence[Taken], theirs: Sequence[Taken], of: Callable[[Taken], float]) -> list[float]:
    return [of(a) / of(b) for a, b in zip(ours, theirs, strict=True)]


def report(n_rows: int = 1_000_000, repeats: int = 3) -> Benchmark:
    """Measure a report with a stored reference beside reading the current file."""
    begin = Begin()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = make_frame(n_rows, 1)
        frame.write_parquet(folder / "reference.parquet")
        reference = make_reference(frame)
        (folder / "binning.json").write_text(reference.binning.to_json())
        (folder / "reference.profile").write_bytes(encode(reference.profile))
        make_frame(n_rows, 2).write_parquet(folder / "current.parquet")
        del frame
        taken: dict[str, list[Taken]] = {side: [] for side in ("read", "stream", "report", "make")}
        for _ in range(repeats):
            for side, values in taken.items():
                values.append(measure(side, folder))
        sizes = (folder / "current.parquet").stat().st_size, (folder / "reference.profile").stat().st_size
    return Benchmark(
        title="Drift report with a stored reference",
        method=(
            f"{n_rows:,} rows x {_FLOATS + _CATEGORIES} columns ({_FLOATS} floats, {_CATEGORIES} texts), "
            f"{mib(sizes[0])} of Parquet; the stored reference has as many rows and is {sizes[1] / 1024:.0f} KiB. "
            "The report profiles the file (bins, moments, joint matrix of the floats, values of the texts) and compares "
            "it with the reference. Fresh processes, imports aside; the peak is VmHWM, imports and all."
        ),
        command=f"python -m tests.benchmarks.bench_profiles report {n_rows} {repeats}",
        figures=_report_figures(taken),
        load=begin.load,
        started=begin.at,
    )


def _report_figures(taken: dict[str, list[Taken]]) -> list[Figure]:
    rows = []
    for of, what, show in (
        (lambda one: one.wall, "wall", seconds),
        (lambda one: one.cpu, "CPU", seconds),
        (lambda one: one.peak, "peak memory", mib),
    ):
        read = medians("", [of(one) for one in taken["read"]], show).figure
        for side, text in (
            ("report", "report"),
            ("stream", "bare polars streams the file"),
            ("make", "reference made"),
        ):
            rows.append(
                medians(
                    f"{text}: {what}",
                    [of(one) for one in taken[side]],
                    show,
                    peer=f"polars reads the file: {read}",
                    ratios=_ratios(taken[side], taken["read"], of),
                )
            )
    return rows


def window(n_batches: int = 10_000, n_columns: int = 100, repeats: int = 3) -> Benchmark:
    """Measure the sum of many stored profiles."""
    begin = Begin()
    random = np.random.default_rng(3)
    n_texts = n_columns // 10
    frame = pl.DataFrame(
        {f"x{i:03}": random.normal(size=600) for i in range(n_columns - n_texts)}
        | {f"c{i:03}": random.choice(np.array(list("abcdefgh")), 600) for i in range(n_texts)}
    )
    binning = make_reference(frame).binning
    parts = [profile(frame[start : start + 60], binning) for start in range(0, 600, 60)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = pl.concat([parts[i % len(parts)] for i in range(n_batches)], rechunk=True)
        table.write_parquet(folder / "profiles.parquet")
        n_joint, n_rows, size = len(binning.joint), table.height, table.estimated_size()
        _check_window(table, parts, n_batches)
        del table
        taken = [measure("window", folder) for _ in range(repeats)]
    return Benchmark(
        title="A window of many batches",
        method=(
            f"The stored profiles of {n_batches:,} batches x {n_columns} columns, with a joint matrix of {n_joint} columns "
            f"({n_rows:,} rows, {mib(size)}), as a frame in memory; added up to one profile. Fresh processes."
        ),
        command=f"python -m tests.benchmarks.bench_profiles window {n_batches} {n_columns} {repeats}",
        figures=[
            medians("merge: wall", [one.wall for one in taken], seconds, peer="limit: 1 s"),
            medians("merge: CPU", [one.cpu for one in taken], seconds),
            medians("merge: peak memory, the table and all", [one.peak for one in taken], mib),
        ],
        load=begin.load,
        started=begin.at,
    )


def _check_window(table: pl.DataFrame, parts: list[pl.DataFrame], n_batches: int) -> None:
    whole = merge(table)
    by_hand = {
        row["column"]: n_batches * sum(part.filter(column=row["column"])["n"].item() for part in parts) // len(parts)
        for row in whole.iter_rows(named=True)
    }
    if n_batches % len(parts) == 0 and dict(zip(whole["column"], whole["n"], strict=True)) != by_hand:
        raise SystemExit("the window's rows are not those of its batches")


def wide(n_rows: int = 3_000_000, n_columns: int = 1_000, repeats: int = 1) -> Benchmark:
    """Measure the profile of a frame that doesn't fit into memory."""
    begin = Begin()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, start in enumerate(range(0, n_rows, _WIDE_ROWS)):
            n = min(_WIDE_ROWS, n_rows - start)
            values = np.random.default_rng(number).standard_normal((n_columns, n), dtype=np.float32)
            part = pl.DataFrame({f"x{i:04}": values[i] for i in range(n_columns)})
            part.write_parquet(folder / f"wide-{number:02}.parquet", compression="lz4")
            if not number:
                binning = make_reference(part.head(_SAMPLE)).binning
        (folder / "binning.json").write_text(binning.to_json())
        del part, values
        size = sum(file.stat().st_size for file in folder.glob("wide-*.parquet"))
        taken: dict[str, list[Taken]] = {"sums": [], "wide": []}
        for _ in range(repeats):
            for side, found in taken.items():
                found.append(measure(side, folder))
    ours, theirs = taken["wide"], taken["sums"]
    peer = f"polars sums each column: {medians('', [one.wall for one in theirs], seconds).figure}"
    return Benchmark(
        title="Profile of a wide frame",
        method=(
            f"{n_rows:,} rows x {n_columns:,} columns of float32, {mib(size)} in files of {_WIDE_ROWS:,} rows, profiled in "
            f"stored bins with a joint matrix of {len(binning.joint)} columns. Fresh processes; the peak is VmHWM."
        ),
        command=f"python -m tests.benchmarks.bench_profiles wide {n_rows} {n_columns} {repeats}",
        figures=[
            medians(
                "profile: wall",
                [one.wall for one in ours],
                seconds,
                peer=peer,
                ratios=_ratios(ours, theirs, lambda one: one.wall),
            ),
            medians(
                "profile: CPU",
                [one.cpu for one in ours],
                seconds,
                peer=f"polars sums: {medians('', [one.cpu for one in theirs], seconds).figure}",
                ratios=_ratios(ours, theirs, lambda one: one.cpu),
            ),
            medians("profile: peak memory", [one.peak for one in ours], mib, peer="limit: 4,096 MiB"),
            medians("polars sums: peak memory", [one.peak for one in theirs], mib),
        ],
        load=begin.load,
        started=begin.at,
    )


def run(*, quick: bool = False) -> list[Benchmark]:
    """Measure everything; a quick run has small data."""
    if quick:
        return [report(100_000, 1), window(1_000, 100, 1), wide(20_000, 200, 1)]
    return [report(), window(), wide()]


_RUNS: dict[str, Callable[..., Benchmark]] = {"report": report, "window": window, "wide": wide}


def main(arguments: list[str]) -> None:
    """Run one benchmark with its sizes, or all of them."""
    done = [_RUNS[arguments[0]](*map(int, arguments[1:]))] if arguments else run()
    for benchmark in done:
        print(f"{benchmark.title} (load {benchmark.load:.2f}): {benchmark.method}")
        for row in benchmark.figures:
            print(f"  {row.what}: {row.figure} ({row.spread}); {row.peer}; ratio {row.ratio}")


if __name__ == "__main__":
    main(sys.argv[1:])
