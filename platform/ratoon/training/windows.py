"""Cuts rows by time: which train, which stop the training early, which judge. Pure, over sorted event times.

All times are microseconds since 1970 in UTC, ascending; a cut is an index into them.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Window = timedelta | Literal["all"]

MAX_HOLDOUT_SHARE = 0.3
"""However long the holdout is declared, this share of the rows at most is kept from the judged training."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Return an aware instant as microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the UTC instant of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=int(micros))


def holdout_start(times: Times, holdout: timedelta, unseen_after: datetime | None) -> int:
    """Return the index of the first row that judges; ``len(times)`` when none may.

    The holdout is the newest ``holdout`` of time, cut to rows newer than ``unseen_after`` (the champion's
    training data) and to :data:`MAX_HOLDOUT_SHARE` of the rows. Every row before the index is strictly older
    than every row from it on: rows of one instant are never split.

    Args:
        times: Event times, ascending, at least one.
        holdout: Length of the holdout.
        unseen_after: The champion has seen rows up to and including this instant.
    """
    last_trained = max(math.ceil(len(times) * (1 - MAX_HOLDOUT_SHARE)) - 1, 0)
    boundary = max(int(times[-1]) - holdout // _MICROSECOND, int(times[last_trained]))
    if unseen_after is not None:
        boundary = max(boundary, to_micros(unseen_after))
    return int(np.searchsorted(times, boundary, side="right"))


def window_start(times: Times, end: int, window: Window) -> int:
    """Return the index of the first row of a window that ends just before index ``end`` (``end`` > 0).

    A window of 30 days holds the rows less than 30 days older than the row before ``end``.
    """
    if window == "all":
        return 0
    oldest = int(times[end - 1]) - window // _MICROSECOND
    return int(np.searchsorted(times[:end], oldest, side="right"))


def validation_start(start: int, end: int, share: float) -> int:
    """Return the index at which the newest ``share`` of the rows ``start..end`` begins; at least one row each side."""
    return min(max(end - math.ceil((end - start) * share), start + 1), end - 1)
