"""Ingest of 1 M rows by 20 columns under 10 rules, against bare polars with the same expressions.

Run ``python tests/benchmarks/bench_ingest.py [rows]``. Both sides start from the same frame in memory and end
with good and bad rows on disk: bare polars writes Parquet, Ratoon appends to Delta tables, with every reason.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from ratoon.contracts import Contract, validate
from ratoon.lake import Lake

_REPEATS = 5
_START = datetime(2013, 1, 1, tzinfo=UTC)


def make_frame(n_rows: int) -> pl.DataFrame:
    """Return a seeded frame of 20 columns, about 2 % of whose rows break one of the rules."""
    random = np.random.default_rng(7)
    numbers = {f"x{n}": random.normal(size=n_rows) for n in range(10)}
    counts = {f"n{n}": random.integers(0, 1_000, n_rows) for n in range(4)}
    texts = {f"s{n}": random.choice(np.array(["EWR", "JFK", "LGA", "BOS"]), n_rows) for n in range(4)}
    frame = pl.DataFrame({"id": np.arange(n_rows), **numbers, **counts, **texts}).with_columns(
        at=_START + pl.duration(seconds=pl.int_range(pl.len()))
    )
    hit = pl.Series(random.random(n_rows))
    return frame.with_columns(
        id=pl.when(hit < 0.002).then(0).otherwise("id"),
        x0=pl.when(hit.is_between(0.002, 0.006)).then(99.0).otherwise("x0"),
        x1=pl.when(hit.is_between(0.006, 0.010)).then(None).otherwise("x1"),
        s0=pl.when(hit.is_between(0.010, 0.015)).then(pl.lit("xx")).otherwise("s0"),
        n0=pl.when(hit.is_between(0.015, 0.020)).then(-5).otherwise("n0"),
    )


def make_contract() -> Contract:
    """Return the contract with ten rules: key, four ranges, two sets, a pattern, not null, one across columns."""
    columns: dict[str, dict[str, object]] = {"id": {"type": "int"}}
    columns |= {f"x{n}": {"type": "float", "nullable": n != 1} for n in range(10)}
    columns |= {f"n{n}": {"type": "int", "nullable": True} for n in range(4)}
    columns |= {f"s{n}": {"type": "category", "nullable": True} for n in range(4)}
    columns["at"] = {"type": "datetime"}
    columns["x0"]["max"] = 50
    columns["x2"]["min"] = -50
    columns["n0"]["min"] = 0
    columns["n1"]["max"] = 5_000
    columns["s0"]["allowed"] = columns["s1"]["allowed"] = ["EWR", "JFK", "LGA", "BOS"]
    columns["s2"]["pattern"] = "[A-Z]{3}"
    rules = [{"name": "order", "check": "x3 < x4 + 100"}]
    declaration = {"columns": columns, "entity_key": ["id"], "event_time": "at", "rules": rules}
    return Contract.model_validate(declaration)


def ingest_bare(frame: pl.DataFrame, folder: Path) -> tuple[int, int]:
    """Part the frame by the same ten expressions and write both halves as Parquet."""
    airports = ["EWR", "JFK", "LGA", "BOS"]
    checks = {
        "key": pl.col("id").is_first_distinct(),
        "x0": pl.col("x0") <= 50,
        "x1": pl.col("x1").is_not_null(),
        "x2": pl.col("x2") >= -50,
        "n0": pl.col("n0") >= 0,
        "n1": pl.col("n1") <= 5_000,
        "s0": pl.col("s0").is_in(airports),
        "s1": pl.col("s1").is_in(airports),
        "s2": pl.col("s2").str.contains(r"\A(?:[A-Z]{3})\z"),
        "order": pl.col("x3") < pl.col("x4") + 100,
    }
    judged = frame.with_columns(check.fill_null(value=True).alias(f"_{name}") for name, check in checks.items())
    good = pl.all_horizontal(f"_{name}" for name in checks)
    kept, bad = judged.filter(good).select(frame.columns), judged.filter(~good)
    kept.write_parquet(folder / "kept.parquet", compression="snappy")
    bad.write_parquet(folder / "bad.parquet", compression="snappy")
    return kept.height, bad.height


def ingest_with_ratoon(frame: pl.DataFrame, folder: Path) -> tuple[int, int]:
    """Validate the frame and append both halves to a new lake."""
    validation = validate(frame, make_contract())
    lake = Lake(str(folder / "lake"))
    lake.append_rows("bench", "batch-1", validation.kept, as_of=_START)
    lake.append_quarantine("bench", "batch-1", validation.quarantined, as_of=_START)
    return validation.kept.height, validation.quarantined.height


def measure(
    ingest: Callable[[pl.DataFrame, Path], tuple[int, int]], frame: pl.DataFrame
) -> tuple[float, tuple[int, int]]:
    """Return the seconds of one ingest into an empty folder, and the heights of both halves."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        heights = ingest(frame, Path(folder))
        return time.perf_counter() - start, heights


def main(n_rows: int = 1_000_000) -> float:
    """Print both medians and their ratio; return the ratio."""
    frame = make_frame(n_rows)
    seconds: dict[str, list[float]] = {"bare polars": [], "ratoon": []}
    heights = set()
    for _ in range(_REPEATS):
        for name, ingest in (("bare polars", ingest_bare), ("ratoon", ingest_with_ratoon)):
            taken, halves = measure(ingest, frame)
            seconds[name].append(taken)
            heights.add(halves)
    (kept, bad) = heights.pop()
    if heights:
        raise SystemExit("the two sides parted the rows differently")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratio = medians["ratoon"] / medians["bare polars"]
    print(f"{n_rows:,} rows x 20 columns, 10 rules: {kept:,} kept, {bad:,} quarantined")
    print(", ".join(f"{name} {value:.2f} s" for name, value in medians.items()) + f": ratio {ratio:.2f}")
    return ratio


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
