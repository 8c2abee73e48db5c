"""Runs every benchmark and writes ``docs/reference/benchmarks.md``: ``python -m tests.benchmarks.run [--quick]``."""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import bench_event_to_champion, bench_ingest, bench_stack, bench_training_memory
from tests.benchmarks.figures import Begin, Benchmark, medians, render, seconds

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "benchmarks.md"

_HEAD = """# Benchmarks

Written by `make bench`; every figure is what that run measured, on the machine that is named. Figures are medians;
ratios are medians of each repeat's ratio to its peer or limit. The load is the machine's (last minute) when the
benchmark began: above 0.5 or so, something else was running, or the benchmark before had just ended.

"""


def ingest(n_rows: int, repeats: int) -> Benchmark:
    """Measure the ingest through :mod:`tests.benchmarks.bench_ingest`."""
    begin, frame = Begin(), bench_ingest.make_frame(n_rows)
    bare, ratoon, halves = [], [], set()
    for _ in range(repeats):
        for taken, side in ((bare, bench_ingest.ingest_bare), (ratoon, bench_ingest.ingest_with_ratoon)):
            spent, heights = bench_ingest.measure(side, frame)
            taken.append(spent)
            halves.add(heights)
    if len(halves) != 1:
        raise SystemExit(f"the two sides parted the rows differently: {halves}")
    (kept, bad) = halves.pop()
    return Benchmark(
        title="Ingest",
        method=(
            f"{n_rows:,} rows x 20 columns in memory under 10 rules: {kept:,} kept, {bad:,} quarantined. Ratoon validates, "
            "keeps every reason, and appends to two Delta tables; bare polars evaluates the same expressions and writes two "
            "Parquet files."
        ),
        command=f"python tests/benchmarks/bench_ingest.py {n_rows}",
        figures=[
            medians(
                "validate and append",
                ratoon,
                seconds,
                peer=f"bare polars: {statistics.median(bare):.2f} s",
                ratios=[a / b for a, b in zip(ratoon, bare, strict=True)],
            ),
            medians("bare polars", bare, seconds),
        ],
        load=begin.load,
        started=begin.at,
    )


def machine() -> str:
    """Return what the benchmarks ran on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    packages = ", ".join(f"{name} {version(name)}" for name in ("polars", "xgboost", "deltalake", "dagster"))
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}, {packages}"
    )


def main(*, quick: bool) -> None:
    """Run everything and write the page."""
    n_rows, repeats = (200_000, 1) if quick else (1_000_000, 3)
    todo: list[Callable[[], Benchmark]] = [
        lambda: bench_event_to_champion.run(weeks=6 if quick else 16, repeats=repeats),
        lambda: bench_stack.run(repeats=1 if quick else 2, rest_s=5 if quick else 30),
        lambda: ingest(n_rows, 2 if quick else 5),
        lambda: bench_training_memory.run(n_rows, repeats),
    ]
    where, sections = machine(), []
    how = "A quick run (`--quick`): small data, few repeats.\n\n" if quick else ""
    for benchmark in todo:
        start = time.perf_counter()
        done = benchmark()
        print(f"{done.title}: {time.perf_counter() - start:.0f} s", flush=True)
        bench_event_to_champion.show(done.figures, done.notes)
        sections.append(render(done, where))
        PAGE.write_text(_HEAD + how + "\n".join(sections), encoding="utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main(quick="--quick" in sys.argv[1:])
