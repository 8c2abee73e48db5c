"""How a command's answer reaches its reader: rich on a terminal, plain text elsewhere, JSON on request."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, TextIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of texts.

    Attributes:
        columns: Headings.
        rows: Cells, one text per column.
        title: What the table shows.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A line that opens a part of the answer."""

    text: str


Block = str | Heading | Table

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def answer(record: Any, blocks: Iterable[Block], *, as_json: bool, stream: TextIO | None = None) -> None:
    """Write an answer.

    Args:
        record: The answer as data; written when ``as_json``.
        blocks: The same for people.
        as_json: Whether a program asked.
        stream: Standard output unless given.
    """
    target = stream or sys.stdout
    if as_json:
        target.write(json.dumps(to_data(record), indent=2, ensure_ascii=False) + "\n")
    elif target.isatty():
        _write_rich(blocks, target)
    else:
        target.write("".join(f"{text}\n" for block in blocks for text in plain(block)))
    target.flush()


def to_data(value: Any) -> Any:  # noqa: PLR0911 - one line per kind of value
    """Return a value as JSON-ready data: dataclasses and pydantic models become mappings, instants ISO 8601 texts."""
    from ratoon.instants import format_duration, format_instant

    match value:
        case None | bool() | int() | float() | str() if not isinstance(value, Enum):
            return value
        case Enum():
            return value.value
        case datetime():
            return format_instant(value)
        case timedelta():
            return format_duration(value)
        case Path():
            return str(value)
        case Mapping():
            return {str(key): to_data(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [to_data(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if dataclasses.is_dataclass(value):
        return {field.name: to_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value.model_dump(mode="json")


def plain(block: Block) -> list[str]:
    """Return the lines of a block without colour or frame.

    Example:
        >>> plain(Table(columns=["model", "version"], rows=[["flights", "3"]]))
        ['model    version', 'flights  3']
    """
    match block:
        case Heading(text=text):
            return ["", text]
        case Table(columns=columns, rows=rows, title=title):
            grid = [columns, *rows]
            widths = [max(len(row[index]) for row in grid) for index in range(len(columns))]
            lines = [
                "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in grid
            ]
            return [*([title] if title else []), *lines]
        case _:
            return [block]


def _write_rich(blocks: Iterable[Block], target: TextIO) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(file=target, highlight=False)
    for block in blocks:
        match block:
            case Heading(text=text):
                console.print()
                console.print(Text(text, style="bold"))
            case Table(columns=columns, rows=rows, title=title):
                table = RichTable(
                    *columns, box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False
                )
                for row in rows:
                    table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
                console.print(table)
            case _:
                console.print(Text(block))
