"""How values become metadata and Markdown. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

Metadata = dict[str, Any]
"""What an asset or a check says, by label."""

_MOST_ROWS = 40
_CELL = 160


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], *, limit: int = _MOST_ROWS) -> str:
    """Return a Markdown table of at most ``limit`` rows, with a line that says how many more there are."""
    every = list(rows)
    lines = [_line(header), "|" + "---|" * len(header), *(_line(row) for row in every[:limit])]
    if len(every) > limit:
        lines.append(f"\n… and {len(every) - limit} more")
    return "\n".join(lines)


def scalars(values: Mapping[str, Any], prefix: str = "") -> Metadata:
    """Return every number and short text of nested data by its dotted path: numbers are what Dagster plots."""
    found: Metadata = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        match value:
            case bool():
                found[path] = dg.MetadataValue.bool(value)
            case int() | float():
                found[path] = value
            case str() if value:
                found[path] = value if len(value) <= _CELL else value[: _CELL - 1] + "…"
            case Mapping():
                found |= scalars(value, f"{path}.")
    return found


def charted(picture: str) -> Metadata:
    """Return a chart as metadata, or nothing where there is none."""
    return {"chart": dg.MetadataValue.md(picture)} if picture else {}


def instant(name: str, value: datetime | None) -> Metadata:
    """Return an instant as metadata, or nothing where it is unknown."""
    return {name: dg.MetadataValue.timestamp(value)} if value is not None else {}


def error_text(error: Any) -> str:
    """Return an error's record as one line."""
    return (
        f"{error.get('code', '')} {error.get('message', '')}".strip()
        if isinstance(error, Mapping)
        else str(error or "")
    )


def plain(values: Any) -> Any:
    """Return data with every instant as text, so that it is JSON."""
    match values:
        case Mapping():
            return {str(key): plain(value) for key, value in values.items()}
        case list() | tuple():
            return [plain(value) for value in values]
        case datetime():
            return values.isoformat()
        case _:
            return values


def _line(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(value: Any) -> str:
    text = f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")[:_CELL]
