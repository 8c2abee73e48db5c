"""What a profile says of each column, for people."""

import polars as pl

from ratoon.profiles.sketch import distinct


def summary(profile: pl.DataFrame) -> pl.DataFrame:
    """Summarize a profile, one row per column, sorted by its name; the joint row is left out.

    Args:
        profile: A frame of :data:`ratoon.profiles.PROFILE_SCHEMA`.

    Returns:
        ``column`` and ``kind`` (String); ``n`` (Int64); ``missing`` (Float64): share of rows that hold null, NaN or
        infinity, null without rows; ``mean``, ``sd``, ``min``, ``max`` (Float64): of the finite values, null where
        the profile has none, times in seconds; ``distinct`` (Int64): of an identifier estimated to 2 %, of a category
        the listed values that occur, else null.
    """
    usable = pl.col("n") - pl.col("nulls") - pl.col("nans") - pl.col("infs")
    centered = pl.when(usable > 0).then(pl.col("sum") / usable)
    variance = pl.when(usable > 0).then(pl.col("sum2") / usable) - centered * centered
    rows = profile.filter(pl.col("kind") != "joint").sort("column")
    return rows.select(
        "column",
        "kind",
        "n",
        pl.when(pl.col("n") > 0).then((pl.col("n") - usable) / pl.col("n")).alias("missing"),
        (pl.col("center") + centered).alias("mean"),
        variance.clip(lower_bound=0).sqrt().alias("sd"),
        "min",
        "max",
        pl.Series("distinct", [_distinct(row) for row in rows.iter_rows(named=True)], dtype=pl.Int64),
    )


def _distinct(row: dict[str, object]) -> int | None:
    if isinstance(registers := row["registers"], bytes):
        return distinct(registers)
    counts = row["counts"]
    return sum(n > 0 for n in counts) if row["kind"] == "category" and isinstance(counts, list) else None
