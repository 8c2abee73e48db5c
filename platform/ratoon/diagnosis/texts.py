"""Faults of text columns: other forms, other lengths, other values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from ratoon.diagnosis.counted import Column, Vector
from ratoon.diagnosis.delivery import finding, listed, percent
from ratoon.diagnosis.values import Finding
from ratoon.profiles import LENGTHS, PATTERNS

Membership = Callable[[str, list[str]], float | None]
"""Gives the share of a text column's values that are in a list; None where the rows aren't at hand."""

_CHANGED: Final = 0.15
"""Share of the values whose form changed, beyond what it changes from batch to batch."""
_NEW: Final = 0.4
_SAME: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbled:
    """A text column whose values look different."""

    column: Column
    forms: float
    lengths: float
    new: float

    @property
    def change(self) -> float:
        """Return the largest of the three."""
        return max(self.forms, self.lengths, self.new)


def garbled(columns: Mapping[str, Column]) -> list[Garbled]:
    """Return the text columns whose forms, lengths or values changed, the most changed first."""
    found = [one for column in columns.values() if (one := _garbled(column)) is not None]
    return sorted(found, key=lambda one: (-one.change, one.column.name))


def _garbled(column: Column) -> Garbled | None:
    had_values = any(one.n_values for one in column.past)
    if not len(column.now.patterns) or column.now.n_values < 50 or not had_values:
        return None
    forms, lengths = _moved(column, "patterns"), _moved(column, "lengths")
    new = (
        column.now.rest / column.now.n_values
        - max((one.rest / one.n_values for one in (*column.past, column.reference) if one.n_values), default=0.0)
        if column.binning.kind == "category"
        else 0.0
    )
    if forms < _CHANGED and lengths < _CHANGED and new < _NEW:
        return None
    return Garbled(column=column, forms=forms, lengths=lengths, new=new)


def _moved(column: Column, what: str) -> float:
    """Return the total variation distance to the usual shares, less the largest that any past batch had."""
    past = [_normal(getattr(one, what)) for one in (*column.past, column.reference) if one.n_values]
    usual = np.median(past, axis=0)
    return _distance(_normal(getattr(column.now, what)), usual) - max(_distance(one, usual) for one in past)


def garbled_finding(found: Sequence[Garbled]) -> Finding:
    """Return the finding of text columns that look different."""
    first = found[0]
    names = [one.column.name for one in found]
    what, now, before = _largest_change(first)
    return finding(
        "text_garbled",
        f"The text of {listed(names)} changed: {percent(now)} of the values of {first.column.name} are {what}, "
        f"{percent(before)} before; look for a change of encoding, case, blanks or codes at the source.",
        {"form change": first.forms, "length change": first.lengths, "new values": first.new},
        columns=names,
        confidence=float(np.clip(0.7 + 0.3 * first.change, 0, 0.97)),
    )


def _largest_change(one: Garbled) -> tuple[str, float, float]:
    column = one.column
    if one.change == one.new:
        before = column.reference.rest / max(column.reference.n_values, 1)
        return "not among the known ones", column.now.rest / column.now.n_values, before
    what, names = ("patterns", PATTERNS) if one.forms >= one.lengths else ("lengths", LENGTHS)
    shares, usual = _normal(getattr(column.now, what)), _normal(getattr(column.reference, what))
    cell = int(np.argmax(shares - usual))
    name = names[cell] if what == "patterns" else f"{names[cell]} characters long"
    return f"of the form '{name}'" if what == "patterns" else name, float(shares[cell]), float(usual[cell])


def swapped_texts(found: Sequence[Garbled], membership: Membership) -> tuple[str, str, float, float] | None:
    """Return two text columns that hold each other's values, with the change and what is left if swapped back."""
    for one, other in combinations(found, 2):
        left = max(_as(one.column, other.column, membership), _as(other.column, one.column, membership))
        if left <= _SAME:
            return one.column.name, other.column.name, 64 * min(one.change, other.change), 64 * left
    return None


def _as(column: Column, other: Column, membership: Membership) -> float:
    """Return how far a column's present values are from another's usual ones, 0..1."""
    if not len(other.reference.patterns):
        return 1.0
    now, usual = column.now, other.reference
    far = [_distance(_normal(getattr(now, what)), _normal(getattr(usual, what))) for what in ("patterns", "lengths")]
    known = membership(column.name, other.binning.categories) if other.binning.categories else None
    rest = usual.rest / max(usual.n_values, 1)
    own_known = 1 - column.now.rest / max(column.now.n_values, 1) if column.binning.kind == "category" else 0.0
    if known is None:
        # Without the rows, two columns of one form can't be told apart.
        alike = [
            _distance(_normal(getattr(column.reference, what)), _normal(getattr(usual, what)))
            for what in ("patterns", "lengths")
        ]
        return 1.0 if max(alike) < 0.5 else max(far)
    return max(*far, 1 - rest - known, own_known)


def _normal(counts: Vector) -> Vector:
    total: Vector = counts / max(float(counts.sum()), 1.0)
    return total


def _distance(one: Vector, other: Vector) -> float:
    return 0.5 * float(np.abs(one - other).sum()) if one.shape == other.shape else 1.0
