"""Keeps one trainer started and waiting, so that a retrain does not wait for its imports."""

from collections.abc import Callable

from ratoon_workers.trainer import Trainer


class Spare:
    """At most one waiting trainer.

    A trainer imports for seconds before it reads its order. One that waits costs memory and no time; it
    ends when its stdin does, or with the thread that made it.

    Args:
        launch: Starts a trainer that begins after so many seconds, or when it gets its order.
        keep: Whether to keep one at all; without, every trainer is started when it is needed.
    """

    def __init__(self, launch: Callable[[float], Trainer], *, keep: bool = True) -> None:
        self._launch = launch
        self._keep = keep
        self._waiting: Trainer | None = None

    def prepare(self, *, settle_s: float = 0) -> None:
        """Start a trainer to wait, unless one does; returns at once.

        Args:
            settle_s: Seconds to leave the processor to others before its imports begin.
        """
        if self._keep and not self._has_one():
            self._waiting = self._launch(settle_s)

    def take(self) -> Trainer:
        """Return the waiting trainer, or a new one where none waits (or it died)."""
        taken = self._waiting if self._has_one() else None
        self._waiting = None
        return taken or self._launch(0)

    def close(self) -> None:
        """End the waiting trainer."""
        if self._waiting is not None:
            self._waiting.kill()
            self._waiting = None

    def _has_one(self) -> bool:
        if self._waiting is not None and not self._waiting.is_alive():
            self._waiting.kill()
            self._waiting = None
        return self._waiting is not None
