"""Faults of numeric columns: unit, sign, swapped, frozen and clipped values.

A column is surprising when its mean, spread or range is far from what its last batches let expect, in units of the
errors that such forecasts usually have. A mistake is named when the column is no surprise with the mistake undone, by
a clear margin.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np

from ratoon.diagnosis.counted import Column, Counted, Vector, forecast
from ratoon.diagnosis.delivery import finding, listed, percent
from ratoon.diagnosis.lattice import Lattice
from ratoon.diagnosis.units import AS_IT_IS, SIGN_FLIP, UNITS, Unit, ratio_text
from ratoon.diagnosis.values import Finding

Above = Callable[[str, str], float | None]
"""Gives the share of the rows where one column is above another; None where the rows aren't at hand."""

Values = Callable[[str], Vector | None]
"""Gives the values of a numeric column of the batch, nulls left out; None where the rows aren't at hand."""

SURPRISING: Final = 25.0
"""Surprise (a sum of squares) from which a column is not what was expected."""
_PLAUSIBLE: Final = 20.0
_MARGIN: Final = 20.0
_MOST: Final = 64.0
"""Most that one number adds: being far beyond far says no more, and hides what else is wrong."""
_OUTSIDE: Final = 16.0
_CALM: Final = 9.0
_ON: Final = 0.6
_SURELY_ON: Final = 0.9
_FEW: Final = 30
_MOST_SUSPECTS: Final = 12
_MANY: Final = 20
"""Past batches from which it means something that none was the other way round."""
_SOME: Final = 8
_MOST_PAIRED: Final = 100
_SHAPE_RATIO: Final = 1.5
_SHAPE_SLACK: Final = 0.1
"""Share of the values that may lie in other bins than usual: rounding after a conversion moves some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A numeric column that is surprising, and the mistake that explains it, if one does."""

    column: Column
    surprise: float
    unit: Unit | None = None
    left: float = 0.0
    """Surprise that is left with the mistake undone."""
    is_sure: bool = False
    """Whether the values themselves say so: they miss the reference's steps, and meet them with the mistake undone."""


def suspects(columns: Mapping[str, Column], values: Values) -> list[Suspect]:
    """Return the surprising numeric columns, most surprising first, each with the mistake that explains it."""
    found = [suspect for column in columns.values() if (suspect := _suspect(column, values)) is not None]
    return sorted(found, key=lambda one: (-one.surprise, one.column.name))


def surprise(column: Column, unit: Unit = AS_IT_IS) -> float:
    """Return how far a column is from what was expected, with a mistake undone: a sum of squared surprises."""
    mean, sd, low, high = unit.undone_counted(column.now)
    if not np.isfinite(mean):
        return 0.0
    total = min(column.mean_surprise(mean) ** 2, _MOST)
    if sd > 0:
        total += min(column.spread_forecast().surprise(float(np.log(sd))) ** 2, _MOST)
    lowest, highest = column.least("low"), column.most("high")
    room = (5.0 if column.is_bursty else 0.5) * (highest - lowest)
    return total + _OUTSIDE * ((low < lowest - room) + (high > highest + room))


def _suspect(column: Column, values: Values) -> Suspect | None:
    if column.binning.kind != "numeric" or column.now.n_moments < _FEW or not column.now.sd > 0:
        return None
    as_it_is, lattice = surprise(column), Lattice.of(column, values(column.name))
    own = lattice.share(AS_IT_IS)
    if as_it_is < _CALM and (own is None or own >= _ON):
        return None
    found = []
    for order, unit in enumerate(UNITS):
        left = surprise(column, unit)
        if left <= _PLAUSIBLE:
            missed, undone = lattice.penalties(unit)
            found.append((as_it_is + missed - left - undone, left + undone, as_it_is + missed, -order, unit))
    fits = [
        one
        for one in found
        if one[0] >= _MARGIN
        and one[1] <= _PLAUSIBLE
        and one[2] >= SURPRISING
        and _has_usual_shape(column, one[4], values(column.name))
    ]
    if fits:
        _, left, whole, _, unit = max(fits, key=lambda one: (one[0] - one[1], one[3]))
        is_sure = own is not None and own < _ON and (lattice.share(unit) or 0.0) >= _SURELY_ON
        return Suspect(column=column, surprise=whole, unit=unit, left=left, is_sure=is_sure)
    return Suspect(column=column, surprise=as_it_is) if as_it_is >= SURPRISING else None


def _has_usual_shape(column: Column, unit: Unit, values: Vector | None) -> bool:
    """Return whether the values, with a mistake undone, fall into the bins about as those of past batches did.

    Another unit leaves the shape as it was; heavier parcels do not. How much shapes differ is learned from the past.
    """
    past = column.past_shares("counts")
    if values is None or len(values) < _FEW or len(past) < _SOME // 2:
        return True
    past = past[past.sum(axis=1) > 0]
    past = past / past.sum(axis=1, keepdims=True)
    bins = np.searchsorted(column.binning.edges, unit.undone(values), side="left")
    now = np.bincount(bins, minlength=past.shape[1]) / len(values)
    usual = past.mean(axis=0)
    moved = 0.5 * np.abs(past - usual).sum(axis=1)
    return bool(0.5 * np.abs(now - usual).sum() <= _SHAPE_RATIO * moved.max() + _SHAPE_SLACK)


def unit_findings(found: Sequence[Suspect]) -> Iterator[Finding]:
    """Yield one finding per mistake, with all columns that suffer it."""
    for unit in sorted({one.unit for one in found if one.unit is not None}, key=UNITS.index):
        hit = [one for one in found if one.unit == unit]
        names, first = [one.column.name for one in hit], hit[0]
        what = (
            f"{listed(names)} arrived with the other sign"
            if unit == SIGN_FLIP
            else f"{listed(names)} arrived in another unit: {unit.name}"
        )
        yield finding(
            "sign_flip" if unit == SIGN_FLIP else "unit_change",
            f"{what} ({ratio_text(first.column)}); correct it at the source and fetch the batch again.",
            {
                "mistake": unit.name,
                "factor": unit.factor,
                "offset": unit.offset,
                "mean": first.column.now.mean,
                "expected mean": first.column.mean_forecast().center,
                "surprise": first.surprise,
                "surprise with the mistake undone": first.left,
            },
            columns=names,
            confidence=first.surprise / (first.surprise + first.left + 1.0),
        )


def swapped_measures(
    columns: Mapping[str, Column], found: Sequence[Suspect], above: Above
) -> tuple[str, str, float, float] | None:
    """Return two numeric columns that hold each other's values, with their surprise and what is left if swapped back."""
    pairs = [
        (one.column, other.column)
        for one, other in combinations(found[:_MOST_SUSPECTS], 2)
        if one.surprise + other.surprise >= 2 * SURPRISING
    ]
    fits = [fit for pair in pairs if (fit := _exchanged(*pair)) is not None]
    fits += [fit for a, b in _turned(columns) if (fit := _crossed(a, b, above)) is not None]
    return max(fits, key=lambda fit: fit[2] - fit[3], default=None)


def swapped_finding(one: str, other: str, before: float, left: float) -> Finding:
    """Return the finding of two columns that hold each other's values."""
    return finding(
        "swapped_columns",
        f"{one} holds what {other} held before, and {other} what {one} held; put them right at the source and fetch "
        "the batch again.",
        {"surprise": before, "surprise if swapped back": left},
        columns=[one, other],
        confidence=before / (before + left + 1.0),
    )


def _exchanged(one: Column, other: Column) -> tuple[str, str, float, float] | None:
    own = surprise(one) + surprise(other) + _missing_surprise(one) + _missing_surprise(other)
    crossed = [replace(one, now=other.now), replace(other, now=one.now)]
    left = sum(surprise(column) + _missing_surprise(column) for column in crossed)
    return (one.name, other.name, own, left) if left <= 1.5 * _PLAUSIBLE and own - left >= 2 * _MARGIN else None


def _missing_surprise(column: Column) -> float:
    shares = column.of_past("missing_share")
    expected = forecast(shares, column.reference.missing_share, guess=0.1, floor=0.02)
    return min(expected.surprise(column.now.missing_share) ** 2, _MOST)


def _turned(columns: Mapping[str, Column]) -> list[tuple[Column, Column]]:
    """Return the pairs of columns of which one had the larger mean in every batch, and has the smaller one now."""
    numeric = [one for one in columns.values() if np.isfinite(one.now.mean) and len(one.past) >= _SOME]
    numeric = numeric[:_MOST_PAIRED]
    if len(numeric) < 2:
        return []
    past = np.array([[one.mean for one in column.past[-_SOME:]] for column in numeric])
    now = np.array([column.now.mean for column in numeric])
    is_above = (past[:, None, :] > past[None, :, :]).all(axis=2) & (now[:, None] < now[None, :])
    return [(numeric[a], numeric[b]) for a, b in np.argwhere(is_above).tolist()]


def _crossed(one: Column, other: Column, above: Above) -> tuple[str, str, float, float] | None:
    """Judge two columns by their difference, which varies less than either of them where they move together."""
    pairs = [(a.mean, b.mean) for a, b in zip(one.past, other.past, strict=False)]
    past = np.array([a - b for a, b in pairs if np.isfinite(a) and np.isfinite(b)])
    now = one.now.mean - other.now.mean
    if len(past) < _SOME or not (past > 0).all():
        return None
    expected = forecast(past, float(past[-1]), guess=1.0, floor=1e-9 + 0.05 * float(np.abs(past).mean()))
    own, left, share = expected.surprise(now), expected.surprise(-now), above(one.name, other.name)
    is_apart = expected.center >= (1.0 if len(past) >= _MANY else 1.5) * expected.scale
    is_usual = -now >= float(np.quantile(past, 0.1))
    is_turned = share is not None and share <= 0.05
    marginal = surprise(replace(one, now=other.now)) + surprise(replace(other, now=one.now))
    if (
        left > 3
        or marginal > 2 * _PLAUSIBLE
        or not is_usual
        or not ((is_turned and is_apart and own >= 2.5) or own >= 4)
    ):
        return None
    return one.name, other.name, max(own, 5.0) ** 2, left**2


def constant_columns(columns: Mapping[str, Column]) -> list[Column]:
    """Return columns with one value in every row that never had one before."""
    return [column for column in columns.values() if _is_constant(column)]


def _is_constant(column: Column) -> bool:
    now = column.now
    usual = float(np.median([one.n_values / max(one.n, 1) for one in (*column.past, column.reference)]))
    if now.n_values < max(2 * _FEW, 0.3 * usual * now.n):
        return False
    is_one = now.low == now.high
    if column.binning.kind == "category" and len(column.binning.categories) > 1:
        is_one = bool(now.counts.max() == now.n_values)
    elif column.binning.kind != "numeric":
        return False
    return is_one and not any(_nearly_constant(column, one) for one in column.past)


def _nearly_constant(column: Column, one: Counted) -> bool:
    if one.n_values < _FEW or one.low == one.high:
        return True
    single = one.counts
    if column.binning.kind == "numeric":
        # A bin of one value; all rows in a wide one may still differ.
        edges = np.asarray(column.binning.edges)
        width = 1.0 if column.binning.type == "int" else 1e-9 * float(np.abs(edges).max(initial=1.0))
        single = one.counts[1:-1][np.diff(edges) <= width]
    return float(single.max(initial=0.0)) >= 0.9 * one.n_values


def constant_finding(found: Sequence[Column]) -> Finding:
    """Return the finding of columns that hold one value only."""
    names, first = [column.name for column in found], found[0]
    value = (
        first.now.low if first.binning.kind == "numeric" else first.binning.categories[int(first.now.counts.argmax())]
    )
    return finding(
        "constant_column",
        f"{listed(names)} {'holds' if len(names) == 1 else 'hold'} one value in all {first.now.n_values:,} rows "
        f"({first.name}: {_shown(first, value)}), where it varied in every batch before; "
        "look for a frozen sensor or a default at the source, and fetch the batch again.",
        {"n_values": first.now.n_values} | ({} if first.binning.pii else {"value": value}),
        columns=names,
        confidence=0.97,
    )


def _shown(column: Column, value: float | str) -> str:
    return "not shown" if column.binning.pii else (value if isinstance(value, str) else f"{value:.6g}")


def clipped(column: Column, values: Values) -> Finding | None:
    """Return the finding of a column whose largest (or smallest) values were cut to one value."""
    if column.binning.kind != "numeric" or column.now.n_values < 100 or len(column.past) < 3:
        return None
    raw, past, edges = values(column.name), column.past_shares("counts"), np.asarray(column.binning.edges)
    if raw is None or not len(edges) or column.now.low == column.now.high:
        return None
    for end, beyond in (
        (column.now.high, np.append(False, edges >= column.now.high)),
        (column.now.low, np.append(edges < column.now.low, False)),
    ):
        usual = past[:, beyond].sum(axis=1)
        at_end = float(np.mean(raw == end)) * column.now.n_values / column.now.n
        if usual.min() >= 0.02 and np.median(usual) >= 0.05 and at_end >= 0.7 * float(np.median(usual)):
            return finding(
                "clipped_values",
                f"{column.name} ends at {end:.6g}, which {percent(at_end)} of the rows hold; "
                f"{percent(float(np.median(usual)))} used to lie beyond; look for a cut or an overflow at the source.",
                {"end": end, "share at the end": at_end, "usual share beyond": float(np.median(usual))},
                columns=[column.name],
                confidence=0.9,
            )
    return None
