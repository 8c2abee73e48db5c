"""The self-test as a picture."""

from typing import Final

from markupsafe import Markup

from ratoon.drift.selftest import SelfTest, ShiftKind
from ratoon.report.power import PowerPoint, Unit, power_picture

_KINDS: Final[dict[ShiftKind, tuple[str, Unit]]] = {
    "mean": ("mean moves, in spreads", ""),
    "variance": ("variance", "times"),
    "nulls": ("more missing values", "share"),
    "new_category": ("rows of a new category", "share"),
    "swap": ("top two values change places", ""),
}


def self_test_picture(test: SelfTest, *, target: float = 0.95) -> Markup:
    """Draw what a self-test found: per kind of shift, how often it was seen, with Wilson's 95 % interval.

    Args:
        test: The self-test.
        target: The power that is drawn as enough.
    """
    points = [
        PowerPoint(kind=kind, unit=unit, size=shift.size, power=shift.power, low=low, high=high)
        for shift in test.shifts
        for kind, unit in [_KINDS[shift.kind]]
        for low, high in [wilson(shift.n_found, shift.n_reports)]
    ]
    return power_picture(
        points, false_alarms=test.false_alarms, reports=test.repeats, target=target, n_rows=test.n_rows
    )


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927, JASA 22(158)).

    Example:
        Three of four: Wilson's interval for p = .75, n = 4 is (.301, .954).

        >>> [round(end, 3) for end in wilson(3, 4)]
        [0.301, 0.954]
    """
    z = 1.959964
    share, width = hits / n, z * z / n
    middle = (share + width / 2) / (1 + width)
    half = z / (1 + width) * (share * (1 - share) / n + width / (4 * n)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
