"""Two Parquet files of 60 columns with seven known shifts between them, made in chunks from a seed."""

from pathlib import Path

import numpy as np
import polars as pl

N_NUMBERS, N_CATEGORIES = 50, 10
SHIFTS = {
    "n00": "mean +0.1 sd",
    "n06": "mean +0.25 sd",
    "n12": "mean +0.5 sd",
    "n18": "variance x 1.5",
    "n24": "nulls 0 to 5 %",
    "c03": "top two swapped",
    "c05": "new category 3 %",
}
"""What differs in the current file, by column."""

_CHUNK_ROWS = 100_000
_SHARES = {"n06": 0.25, "n00": 0.1, "n12": 0.5}


def write_files(folder: Path, n_rows: int) -> tuple[Path, Path]:
    """Write the reference and the current file, a chunk in memory at a time; return their places."""
    return _write(folder, "reference", n_rows, seed=1), _write(folder, "current", n_rows, seed=2)


def _write(folder: Path, name: str, n_rows: int, *, seed: int) -> Path:
    parts = folder / f"{name}-parts"
    parts.mkdir()
    for number, start in enumerate(range(0, n_rows, _CHUNK_ROWS)):
        chunk = make_chunk(min(_CHUNK_ROWS, n_rows - start), (seed, number), is_shifted=name == "current")
        chunk.write_parquet(parts / f"{number:05}.parquet")
    whole = folder / f"{name}.parquet"
    pl.scan_parquet(parts / "*.parquet").sink_parquet(whole, row_group_size=_CHUNK_ROWS)
    for part in parts.iterdir():
        part.unlink()
    return whole


def make_chunk(n_rows: int, seed: tuple[int, int], *, is_shifted: bool) -> pl.DataFrame:
    """Return rows of 50 numbers of four shapes and 10 categories of 3 to 48 values, all independent."""
    random = np.random.default_rng(seed)
    numbers = {f"n{at:02}": _numbers(random, n_rows, at) for at in range(N_NUMBERS)}
    categories = {f"c{at:02}": _categories(random, n_rows, 3 + 5 * at) for at in range(N_CATEGORIES)}
    frame = pl.DataFrame(numbers | categories)
    return _shifted(frame, random) if is_shifted else frame


def _numbers(random: np.random.Generator, n_rows: int, at: int) -> np.ndarray:
    """Draw a column: every sixth normal (those that shift), else lognormal, uniform, gamma or rounded."""
    match at % 6:
        case 0 | 1:
            return random.normal(size=n_rows)
        case 2:
            return random.lognormal(size=n_rows)
        case 3:
            return random.uniform(size=n_rows)
        case 4:
            return random.gamma(2.0, size=n_rows)
        case _:
            return np.round(random.normal(scale=100, size=n_rows))


def _categories(random: np.random.Generator, n_rows: int, n_values: int) -> np.ndarray:
    weights = 1.0 / np.arange(1, n_values + 1)
    values = np.array([f"value {number}" for number in range(n_values)])
    return values[random.choice(n_values, n_rows, p=weights / weights.sum())]


def _shifted(frame: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    is_null, is_new = (pl.Series(random.random(frame.height) < share) for share in (0.05, 0.03))
    swap = {"value 0": "value 1", "value 1": "value 0"}
    return frame.with_columns(
        *(pl.col(name) + share for name, share in _SHARES.items()),
        n18=pl.col("n18") * np.sqrt(1.5),
        n24=pl.when(~is_null).then("n24"),
        c03=pl.col("c03").replace(swap),
        c05=pl.when(is_new).then(pl.lit("never seen")).otherwise("c05"),
    )
