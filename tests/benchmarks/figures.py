"""What a benchmark measured, and how it is written down."""

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of a benchmark's table; every text is ready to be read."""

    what: str
    figure: str
    peer: str = "-"
    ratio: str = "-"
    repeats: int = 1
    spread: str = "-"


def medians(
    what: str,
    values: Sequence[float],
    show: Callable[[float], str],
    *,
    peer: str = "-",
    ratios: Sequence[float] = (),
) -> Figure:
    """Return the row of repeated measurements: medians, and the smallest and largest value."""
    return Figure(
        what=what,
        figure=show(statistics.median(values)),
        peer=peer,
        ratio=f"{statistics.median(ratios):.2f}" if ratios else "-",
        repeats=len(values),
        spread=f"{show(min(values))} - {show(max(values))}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A title, how it was measured, the rows, and whatever else was seen."""

    title: str
    method: str
    command: str
    figures: list[Figure]
    notes: list[str] = field(default_factory=list)
    load: float
    started: datetime


@dataclass(frozen=True, slots=True)
class Begin:
    """When a benchmark began, and how busy the machine was then (load of the last minute)."""

    load: float = field(default_factory=lambda: os.getloadavg()[0])
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def seconds(value: float) -> str:
    """Show seconds."""
    return f"{value:.2f} s"


def mib(value: float) -> str:
    """Show bytes as MiB."""
    return f"{value / (1 << 20):,.0f} MiB"


def render(benchmark: Benchmark, machine: str) -> str:
    """Return a benchmark as a section of Markdown."""
    rows = "\n".join(
        f"| {row.what} | {row.figure} | {row.peer} | {row.ratio} | {row.repeats} | {row.spread} | {benchmark.load:.2f} |"
        for row in benchmark.figures
    )
    notes = "".join(f"\n{note}\n" for note in benchmark.notes)
    return (
        f"## {benchmark.title}\n\n{benchmark.method}\n\n"
        f"{machine}; {benchmark.started:%Y-%m-%d %H:%M} UTC; `{benchmark.command}`\n\n"
        "| What | Figure | Peer or limit | Ratio | Repeats | Min - max | Load at start |\n"
        "|---|---:|---|---:|---:|---:|---:|\n"
        f"{rows}\n{notes}"
    )
