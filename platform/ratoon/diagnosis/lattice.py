"""Whether values lie on the steps that a measure is made in: tenths of a degree, whole knots, whole seats."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from ratoon.diagnosis.counted import Column, Vector
from ratoon.diagnosis.units import AS_IT_IS, Unit

_FINEST: Final = 2e-3
"""Smallest step that says anything, in spreads of the reference."""
_ROUNDING: Final = 1e-5
"""What is no difference between two values, in spreads of the reference."""
_NEAR: Final = 0.04
"""How near to a step a value must be, in steps: by chance, 8 % of the values are."""
_MISSED: Final = 40.0
_UNSURE: Final = 10.0
_MODERATE: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """The steps of a column in its reference, and the batch's values.

    The binning's edges are values of the reference, so that its steps are known without its rows. A column in another
    unit misses them, and meets them again with the mistake undone, whatever the season.
    """

    origin: float
    step: float
    values: Vector | None

    @classmethod
    def of(cls, column: Column, values: Vector | None) -> Self:
        """Return the steps that the edges of a column's binning are whole multiples of; step 0 where there are none."""
        edges, spread = np.asarray(column.binning.edges), column.binning.scale or 1.0
        # The edge just below a value of a large share, or below the smallest value, is no value itself.
        is_value = np.append(np.diff(edges) > 1e-6 * np.maximum(1.0, np.abs(edges[:-1])), [True] * (len(edges) > 0))
        edges = edges[is_value.astype(bool)]
        if values is None or len(edges) < 6:
            return cls(origin=0.0, step=0.0, values=values)
        step = 0.0
        for gap in np.diff(edges).tolist():
            step = _common_step(gap, step, _ROUNDING * spread)
        return cls(origin=float(edges[-1]), step=step if step >= _FINEST * spread else 0.0, values=values)

    def share(self, unit: Unit) -> float | None:
        """Return the share of the values that lie on a step once a mistake is undone; None where it can't be known."""
        if self.values is None or not self.step or not len(self.values):
            return None
        steps = (np.asarray(unit.undone(self.values)) - self.origin) / self.step
        return float(np.mean(np.abs(steps - np.round(steps)) <= _NEAR))

    def penalties(self, unit: Unit) -> tuple[float, float]:
        """Return what speaks against the values as they are, and against the mistake.

        Where steps say nothing, a moderate factor is less credible than a large one: the world moves by factors of two.
        """
        own, undone = self.share(AS_IT_IS), self.share(unit)
        if own is None or undone is None or min(own, undone) > 0.9:
            return 0.0, 0.0 if max(abs(unit.factor), 1 / abs(unit.factor)) >= _MODERATE else _UNSURE
        return _MISSED * max(0.0, undone - own), _MISSED * max(0.0, own - undone)


def _common_step(one: float, other: float, rounding: float) -> float:
    """Return the largest number that both are multiples of, up to rounding (Euclid's algorithm)."""
    while other > rounding:
        left = one % other
        one, other = other, min(left, other - left)
    return one
