"""Watches one trainer through one attempt: renews the lease, and ends it when it must not go on."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from ratoon.errors import BackendError, FencedError
from ratoon.ledger.records import Claim, Retrain
from ratoon.ledger.states import RetrainState
from ratoon_workers.retrainlog import RetrainLog
from ratoon_workers.trainer import Trainer

_LONGEST_BEAT_S = 1.0
_WAIT_S = 0.2

Kind = Literal["outcome", "error", "crashed", "deadline", "stopped", "cancelled", "fenced", "silent"]
"""How an attempt ended.

outcome: the trainer answered · error: it said what is wrong · crashed: it ended without a word ·
deadline: the retrain's time is over · stopped: the worker shuts down · cancelled: somebody asked for it ·
fenced: somebody else has the work · silent: the ledger could not be reached for so long that somebody else may
have it.
"""


class LeaseBook(Protocol):
    """What supervision needs of the ledger."""

    def renew(self, retrain_id: str, fence: int, *, lease_s: float, progress: dict[str, Any] | None) -> None:
        """Prolong the lease."""

    def retrain(self, retrain_id: str) -> Retrain:
        """Return the retrain as it is now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended, with the trainer's answer or the error's record."""

    kind: Kind
    payload: dict[str, Any] = field(default_factory=dict)


def supervise(
    claim: Claim,
    order: str,
    trainer: Trainer,
    ledger: LeaseBook,
    log: RetrainLog,
    *,
    lease_s: float,
    is_stopping: Callable[[], bool],
    now: Callable[[], datetime],
) -> Ending:
    """Hand a trainer its order and watch it to its end; it is dead when this returns.

    Args:
        claim: The right to do the work.
        order: One line of JSON.
        trainer: A process that waits for its order.
        ledger: Where the lease is renewed.
        log: Gets the trainer's own output and its progress.
        lease_s: Length of the lease; it is renewed every second, or three times in that time if that is more often.
        is_stopping: Whether the worker shuts down.
        now: The ledger's clock, for the deadline.
    """
    watch = _Watch(
        claim=claim, trainer=trainer, ledger=ledger, log=log, lease_s=lease_s, is_stopping=is_stopping, now=now
    )
    try:
        trainer.send(order)
        return watch.until_the_end()
    finally:
        trainer.kill()


@dataclass(slots=True, kw_only=True)
class _Watch:
    claim: Claim
    trainer: Trainer
    ledger: LeaseBook
    log: RetrainLog
    lease_s: float
    is_stopping: Callable[[], bool]
    now: Callable[[], datetime]
    progress: dict[str, Any] | None = None
    renewed_at: float = field(default_factory=time.monotonic)
    beat_at: float = field(default_factory=time.monotonic)

    def until_the_end(self) -> Ending:
        while not self.trainer.is_drained:
            was_alive = self.trainer.is_alive()
            ending = self._listen() or self._reason_to_stop()
            if ending is not None:
                return ending
            if not was_alive:
                # What it started may keep its pipes open for ever.
                break
        return self._silent_exit()

    def _listen(self) -> Ending | None:
        messages, logged = self.trainer.read(_WAIT_S)
        self.log.write(logged)
        for message in messages:
            match message["type"]:
                case "outcome":
                    return Ending(kind="outcome", payload=message.get("outcome", message))
                case "error":
                    return Ending(kind="error", payload=message.get("error", message))
                case "progress":
                    self._note_progress(message)
                case _:
                    continue
        return None

    def _reason_to_stop(self) -> Ending | None:
        if self.is_stopping():
            return _ending(
                "stopped", "RT-STACK", "the worker was stopped; the retrain goes on with the next one", retryable=True
            )
        if self._is_past_deadline():
            return _past_deadline()
        if time.monotonic() - self.beat_at >= min(_LONGEST_BEAT_S, self.lease_s / 3):
            return self._beat()
        return None

    def _beat(self) -> Ending | None:
        self.beat_at = time.monotonic()
        try:
            self.ledger.renew(
                self.claim.retrain.retrain_id, self.claim.fence, lease_s=self.lease_s, progress=self.progress
            )
        except FencedError as exc:
            return self._why_fenced(exc)
        except BackendError as exc:
            self.log.write([f"the lease could not be renewed: {exc}"])
            if time.monotonic() - self.renewed_at > self.lease_s * 2 / 3:
                return Ending(kind="silent", payload=exc.to_record())
        else:
            self.renewed_at = self.beat_at
        return None

    def _why_fenced(self, error: FencedError) -> Ending:
        try:
            found = self.ledger.retrain(self.claim.retrain.retrain_id)
        except BackendError:
            return Ending(kind="fenced", payload=error.to_record())
        if found.fence == self.claim.fence and found.state is RetrainState.CANCELLING:
            return Ending(kind="cancelled", payload=error.to_record())
        if found.fence == self.claim.fence and found.state is self.claim.retrain.state:
            return _past_deadline()
        return Ending(kind="fenced", payload=error.to_record())

    def _is_past_deadline(self) -> bool:
        deadline = self.claim.retrain.deadline_at
        return deadline is not None and self.now() > deadline

    def _note_progress(self, message: dict[str, Any]) -> None:
        self.progress = {name: value for name, value in message.items() if name != "type"}
        self.log.write(["progress " + " ".join(f"{name}={value}" for name, value in self.progress.items())])

    def _silent_exit(self) -> Ending:
        code = self.trainer.wait()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        text = f"the trainer ended {how} and gave no answer; its log says more ({self.log.path})"
        return _ending("crashed", "RT-TRAIN", text, retryable=True)


def _ending(kind: Kind, code: str, message: str, *, retryable: bool) -> Ending:
    return Ending(kind=kind, payload={"code": code, "retryable": retryable, "message": message})


def _past_deadline() -> Ending:
    text = "the retrain's deadline passed; raise training.timeout, or make the training faster"
    return _ending("deadline", "RT-TRAIN", text, retryable=False)
