"""Faults of single values: missing ones, and defaults in their place."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ratoon.diagnosis.counted import Column
from ratoon.diagnosis.delivery import finding, listed, percent
from ratoon.diagnosis.values import BatchFacts, Finding

BURST: Final = 0.25
"""Rise of the missing share over all that was seen before: a snow storm leaves a fifth of the flights without a
plane, so less is no sign of a fault."""
_DEFAULTS: Final = (0.0, -1.0, -9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0, 1900.0, 1970.0)
_FILLED: Final = 0.05
_FILLED_KNOWN: Final = 0.25
"""Rise of the share of a default that the column holds anyway: a calm day has more zeros of wind."""

TopText = Callable[[Column], tuple[str, float] | None]
"""Gives the most frequent value of a text column that its binning doesn't list, and its share of all rows."""


Pile = Callable[[str, float], tuple[float, float] | None]
"""Gives the share of all rows at one value of a numeric column, and how far its nearest other value is; None where the
rows aren't at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A default in the place of values."""

    column: Column
    value: float | str
    share: float
    rise: float
    replaces_nulls: bool


def missing_rise(column: Column) -> float:
    """Return by how much the missing share exceeds all that was seen before."""
    return column.now.missing_share - max(column.most("missing_share"), 0.0)


def null_burst(columns: Mapping[str, Column]) -> list[Column]:
    """Return the columns whose missing share rose beyond all that was seen before, and beyond its usual range."""
    found = []
    for column in columns.values():
        past = [*column.of_past("missing_share"), column.reference.missing_share]
        if missing_rise(column) >= max(BURST, 0.75 * (max(past) - min(past))) or _is_empty(column, past):
            found.append(column)
    return found


def _is_empty(column: Column, past: Sequence[float]) -> bool:
    """Return whether a column that always held values holds none, however often they were missing."""
    return column.now.n >= 100 and column.now.n_values == 0 and max(past) < 0.9


def null_finding(found: Sequence[Column]) -> Finding:
    """Return the finding of columns that lost their values."""
    names = [column.name for column in found]
    worst = max(found, key=lambda column: column.now.missing_share - column.most("missing_share"))
    now, before = worst.now.missing_share, worst.most("missing_share")
    return finding(
        "null_burst",
        f"{listed(names)} lost values: {percent(now)} of the rows have no {worst.name}, at most {percent(before)} "
        "before; look at the source of "
        + ("this column" if len(names) == 1 else "these columns")
        + ", and fetch the batch again.",
        {"missing": now, "most missing before": before, "columns": len(names)},
        columns=names,
        confidence=float(np.clip(0.6 + (now - before), 0, 0.99)),
    )


def default_fill(column: Column, facts: BatchFacts, top_text: TopText, pile: Pile) -> Fill | None:
    """Return the default that took the place of values, if one did."""
    if column.now.n < 100:
        return None
    if column.binning.kind == "numeric":
        refused = facts.reason_share(f"min:{column.name}") + facts.reason_share(f"max:{column.name}")
        fills = (_filled(column, value, refused, pile) for value in _DEFAULTS)
        return max((fill for fill in fills if fill is not None), key=lambda fill: fill.rise, default=None)
    top = top_text(column)
    if top is None or column.binning.kind not in ("category", "identifier"):
        return None
    value, share = top
    fell = column.least("missing_share") - column.now.missing_share
    replaces_nulls = fell >= 0.7 * share
    if share >= _FILLED and (replaces_nulls or _is_default_text(value)):
        return Fill(column=column, value=value, share=share, rise=share, replaces_nulls=replaces_nulls)
    return None


def _is_default_text(value: str) -> bool:
    return value.strip().lower() in (
        "",
        "na",
        "n/a",
        "nan",
        "none",
        "null",
        "nil",
        "unknown",
        "missing",
        "undefined",
        "-",
        "?",
    )


def _filled(column: Column, value: float, refused: float, pile: Pile) -> Fill | None:
    """Judge a default by the bin it falls in; it must be the bin's only value, or the column's end."""
    edges, now = np.asarray(column.binning.edges), column.now
    if not len(edges):
        return None
    bin_ = int(np.searchsorted(edges, value, side="left"))
    is_point = 0 < bin_ < len(edges) and edges[bin_] == value and value - edges[bin_ - 1] <= max(1.0, 1e-9 * abs(value))
    if not is_point and value not in (now.low, now.high):
        return None
    is_outside = not column.least("low") <= value <= column.most("high")
    usual = 0.0 if is_outside else float(column.past_shares("counts")[:, bin_].max())
    found, least = pile(column.name, value), column.least("missing_share")
    share = float(now.shares[bin_]) - is_outside * float(np.median(column.past_shares("counts")[:, bin_]))
    share = share if found is None else found[0]
    rise, fell = share - usual, least - now.missing_share
    replaces_nulls = fell >= _FILLED and rise >= 0.6 * fell and now.missing_share <= 0.3 * least
    is_strange = refused >= _FILLED or (is_outside and _is_apart(column, value, None if found is None else found[1]))
    if replaces_nulls or rise >= (_FILLED if is_strange else _FILLED_KNOWN):
        return Fill(column=column, value=value, share=share, rise=rise, replaces_nulls=replaces_nulls)
    return None


def _is_apart(column: Column, value: float, gap: float | None) -> bool:
    """Return whether a value lies apart from all others: fog brings zeros of visibility too, but not alone."""
    low, high = column.least("low"), column.most("high")
    gap = max(low - value, value - high) if gap is None else gap
    return value < 0 <= low or gap >= 0.3 * (column.binning.scale or 1.0)


def fill_finding(found: Sequence[Fill]) -> Finding:
    """Return the finding of columns whose values gave way to a default."""
    worst = max(found, key=lambda fill: fill.rise)
    names = [fill.column.name for fill in found]
    value = worst.value if isinstance(worst.value, str) else f"{worst.value:g}"
    shown = "one value" if worst.column.binning.pii else repr(value) if isinstance(worst.value, str) else value
    missing, usual = worst.column.now.missing_share, worst.column.reference.missing_share
    return finding(
        "default_value_fill",
        f"{listed(names)}: {percent(worst.share)} of the rows hold {shown} where that was rare before, and "
        f"{percent(missing)} are missing where {percent(usual)} usually are: a default took the place of values; "
        "send them as missing and fetch the batch again.",
        {"share": worst.share, "rise": worst.rise, "missing": missing, "usually missing": usual}
        | ({} if worst.column.binning.pii else {"value": worst.value}),
        columns=names,
        confidence=float(np.clip(0.8 + worst.rise, 0, 0.98)),
    )
