"""Runs benchmarks and writes ``docs/reference/benchmarks.md``.

``python -m tests.benchmarks.run [--quick] [NAME ...]``: all of them, or those that are named.
"""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import (
    bench_changepoint,
    bench_diagnosis,
    bench_drift_null,
    bench_drift_peers,
    bench_drift_power,
    bench_drift_year,
    bench_estimation,
    bench_event_to_champion,
    bench_history,
    bench_ingest,
    bench_profiles,
    bench_stack,
    bench_training_memory,
)
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


def sections(*, quick: bool) -> dict[str, Callable[[], list[Benchmark]]]:
    """Return every benchmark by the name by which it can be run alone, in the order of the page."""
    n_rows, repeats = (200_000, 1) if quick else (1_000_000, 3)
    few = 20 if quick else 200
    return {
        "event": lambda: [bench_event_to_champion.run(weeks=6 if quick else 16, repeats=repeats)],
        "stack": lambda: [bench_stack.run(repeats=1 if quick else 2, rest_s=5 if quick else 30)],
        "ingest": lambda: [ingest(n_rows, 2 if quick else 5)],
        "training_memory": lambda: [bench_training_memory.run(n_rows, repeats)],
        "profile": lambda: [bench_profiles.report(100_000 if quick else 1_000_000, 1 if quick else 7)],
        "window": lambda: [bench_profiles.window(1_000 if quick else 10_000, 100, 1 if quick else 3)],
        "wide": lambda: [bench_profiles.wide(20_000, 200, 1) if quick else bench_profiles.wide()],
        "history": lambda: [bench_history.run((10, 200, 2_000), 20, 200) if quick else bench_history.run()],
        "drift_peers": lambda: [bench_drift_peers.run(50_000, 3) if quick else bench_drift_peers.run()],
        "drift_null": lambda: [bench_drift_null.run(few, 2, (500, 5_000) if quick else bench_drift_null.SIZES)],
        "drift_power": lambda: [bench_drift_power.run(few)],
        "drift_year": lambda: [bench_drift_year.run(4 if quick else 60)],
        "diagnosis": lambda: [bench_diagnosis.run(2 if quick else 12)],
        "estimation": lambda: [bench_estimation.run(1, 4) if quick else bench_estimation.run()],
        "changepoint": lambda: [bench_changepoint.run(4 if quick else 40)],
    }


def main(names: list[str], *, quick: bool) -> None:
    """Run benchmarks and put their sections into the page, in the place of older ones.

    Args:
        names: Which; all when empty.
        quick: Small data, few repeats: to see that everything runs.
    """
    known = sections(quick=quick)
    if unknown := sorted(set(names) - set(known)):
        raise SystemExit(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}")
    where = machine()
    for name in names or list(known):
        start = time.perf_counter()
        found = known[name]()
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        for done in found:
            bench_event_to_champion.show(done.figures, done.notes)
            if not quick:
                PAGE.write_text(with_section(PAGE.read_text(encoding="utf-8"), render(done, where)), encoding="utf-8")
    print("nothing is written by a quick run" if quick else f"written: {PAGE}")


def with_section(page: str, section: str) -> str:
    """Return the page with a section in the place of the one of the same title, or at its end."""
    _, *before = page.split("\n## ")
    kept = [f"## {text}".rstrip() + "\n" for text in before]
    title = section.splitlines()[0]
    places = [place for place, text in enumerate(kept) if text.splitlines()[0] == title]
    if places:
        kept[places[0]] = section
    else:
        kept.append(section)
    return _HEAD + "\n".join(kept)


if __name__ == "__main__":
    main([word for word in sys.argv[1:] if not word.startswith("-")], quick="--quick" in sys.argv[1:])
