"""The states of a retrain and of a batch, and which arrows join them."""

from enum import StrEnum


class RetrainState(StrEnum):
    """Where a retrain is.

    ::

        REQUESTED -> DISPATCHED -> RUNNING -> TRAINED -> EVALUATED -> PROMOTED | REJECTED
        any that is not terminal -> CANCELLING -> CANCELLED
        RUNNING, lease expired or released -> DISPATCHED, or FAILED at the attempt cap or the deadline

    A retrain that is being evaluated stays TRAINED and holds a lease.
    """

    REQUESTED = "REQUESTED"
    DISPATCHED = "DISPATCHED"
    RUNNING = "RUNNING"
    TRAINED = "TRAINED"
    EVALUATED = "EVALUATED"
    PROMOTED = "PROMOTED"
    REJECTED = "REJECTED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing may change any more."""
        return self in TERMINAL


TERMINAL = frozenset({RetrainState.PROMOTED, RetrainState.REJECTED, RetrainState.CANCELLED, RetrainState.FAILED})
"""States that never change."""

ACTIVE = tuple(state for state in RetrainState if state not in TERMINAL)
"""States in which a retrain still occupies its model, in the order of the way through."""


class BatchState(StrEnum):
    """Where a batch is. A refused batch may be claimed again: its bytes can be good under a corrected contract."""

    CLAIMED = "CLAIMED"
    INGESTED = "INGESTED"
    REFUSED = "REFUSED"
