"""How the rows that broke a contract read."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ratoon.cli.output import Block, Heading, Table
from ratoon.cli.views.words import instant, number

if TYPE_CHECKING:
    import polars as pl

_MASK = "***"
_LONGEST = 100


def quarantined_rows(frame: "pl.LazyFrame", limit: int) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Return the number of rows per reason, most frequent first, and the newest rows.

    Args:
        frame: ``_batch: String``, ``_as_of: Datetime[us, UTC]``, ``_row: UInt32``, ``row: String`` (JSON),
            ``reasons: List[String]``; one row per quarantined row.
        limit: Number of rows to return.
    """
    import polars as pl

    reasons = (
        frame.select(pl.col("reasons").explode())
        .group_by("reasons")
        .len()
        .sort("len", "reasons", descending=[True, False])
        .collect()
    )
    newest = frame.sort("_as_of", "_row", descending=[True, False]).head(limit).collect()
    return dict(reasons.iter_rows()), newest.to_dicts()


def masked(row: Mapping[str, Any], hidden: Collection[str]) -> dict[str, Any]:
    """Return a row with its personal data masked."""
    return {name: _MASK if name in hidden and value is not None else value for name, value in row.items()}


def quarantine_blocks(dataset: str, counts: Mapping[str, int], rows: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    """Yield the reasons with their counts, then the newest rows."""
    if not counts:
        yield f"{dataset}: no row is in quarantine"
        return
    yield Table(columns=["reason", "rows"], rows=[[reason, number(count)] for reason, count in counts.items()])
    yield Heading(text=f"The newest {len(rows)} rows")
    yield Table(columns=["batch", "row", "as of", "reasons", "content"], rows=[_row(row) for row in rows])


def _row(row: Mapping[str, Any]) -> list[str]:
    content = json.dumps(row["row"], ensure_ascii=False)
    shown = content if len(content) <= _LONGEST else content[: _LONGEST - 1] + "…"
    return [str(row["_batch"]), str(row["_row"]), instant(row["_as_of"]), ", ".join(row["reasons"]), shown]
