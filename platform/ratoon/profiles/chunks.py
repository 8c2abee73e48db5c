"""Reads a frame in pieces, each column of it once."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

CHUNK_ROWS: Final = 1 << 17
"""Rows of a piece: enough that a comparison costs more than its planning, few enough to stay near the processor."""

MOST_COLUMNS: Final = 100
"""Columns that are read together: a plan of many thousand expressions is slow to make."""

_MOST_CELLS: Final = 1 << 25
"""Values that are held in memory at once where whole columns are needed: 256 MiB of numbers."""


def chunks(frame: pl.DataFrame | pl.LazyFrame, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield a frame's rows in order, in pieces of at most :data:`CHUNK_ROWS`; a lazy frame is streamed.

    A piece may lie in memory in several parts, as the frame was stored: laying them together would cost as much as
    all the counting.
    """
    pieces = (
        [frame.select(names)]
        if isinstance(frame, pl.DataFrame)
        else frame.select(names).collect_batches(chunk_size=CHUNK_ROWS, maintain_order=True)
    )
    for piece in pieces:
        yield from piece.iter_slices(CHUNK_ROWS)


def column_groups(frame: pl.DataFrame | pl.LazyFrame, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield all rows of some columns at a time: so few that they fit into memory, at most 100."""
    width = max(1, min(MOST_COLUMNS, _MOST_CELLS // max(1, count_rows(frame))))
    for start in range(0, len(names), width):
        part = frame.select(names[start : start + width])
        yield part if isinstance(part, pl.DataFrame) else part.collect(engine="streaming")


def count_rows(frame: pl.DataFrame | pl.LazyFrame) -> int:
    """Return how many rows a frame has."""
    return frame.height if isinstance(frame, pl.DataFrame) else int(frame.select(pl.len()).collect().item())


def fits_in_memory(frame: pl.DataFrame | pl.LazyFrame, n_columns: int) -> bool:
    """Return whether so many columns of a frame are few enough values to be held at once."""
    return count_rows(frame) * n_columns <= _MOST_CELLS
