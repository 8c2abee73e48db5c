"""Tells the ledger how an attempt ended."""

import time
from collections.abc import Callable
from typing import Any, Protocol, assert_never

from pydantic import ValidationError

from ratoon.errors import BackendError, FencedError
from ratoon.ledger.records import ArtifactRecord, Claim, EvaluationRecord, Retrain
from ratoon_workers.supervise import Ending

_PAUSE_S = 0.5


class ResultBook(Protocol):
    """What a report needs of the ledger."""

    def report_trained(self, retrain_id: str, fence: int, *, artifact: ArtifactRecord) -> None:
        """Record the artifact."""

    def report_evaluated(self, retrain_id: str, fence: int, *, evaluation: EvaluationRecord) -> None:
        """Record the verdict."""

    def conclude(self, retrain_id: str) -> Retrain:
        """Promote or reject by the stored verdict."""

    def release(self, retrain_id: str, fence: int, *, error: dict[str, Any], retryable: bool) -> Retrain:
        """Give the work back, or let it fail."""

    def hand_back(self, retrain_id: str, fence: int, *, error: dict[str, Any]) -> Retrain:
        """Give the work back without counting the attempt."""

    def confirm_cancelled(self, retrain_id: str, fence: int | None) -> Retrain:
        """Confirm that the work was stopped."""


def report(claim: Claim, ending: Ending, ledger: ResultBook, *, patience_s: float) -> str:
    """Write an attempt's ending to the ledger and return what became of it, in one word.

    A ledger that can't be reached is asked again for ``patience_s`` seconds; then the lease ends, and the
    reconciler gives the work to somebody else. An answer that is not understood counts as an error.

    Raises:
        BackendError: The ledger could not be reached in time.
    """
    try:
        return _persistently(lambda: _write(claim, ending, ledger), patience_s)
    except FencedError:
        return "fenced"


def _write(claim: Claim, ending: Ending, ledger: ResultBook) -> str:
    retrain_id = claim.retrain.retrain_id
    match ending.kind:
        case "outcome":
            return _write_outcome(claim, ending.payload, ledger)
        case "cancelled":
            ledger.confirm_cancelled(retrain_id, claim.fence)
        case "fenced" | "silent":
            return ending.kind
        case "stopped":
            ledger.hand_back(retrain_id, claim.fence, error=ending.payload)
        case "error" | "crashed" | "deadline":
            retryable = bool(ending.payload.get("retryable", False))
            ledger.release(retrain_id, claim.fence, error=ending.payload, retryable=retryable)
        case _:
            assert_never(ending.kind)
    return ending.kind


def _write_outcome(claim: Claim, outcome: dict[str, Any], ledger: ResultBook) -> str:
    retrain_id = claim.retrain.retrain_id
    try:
        if claim.stage == "train":
            artifact = ArtifactRecord(**_fields(ArtifactRecord, outcome))
        else:
            evaluation = EvaluationRecord(**_fields(EvaluationRecord, outcome))
    except ValidationError as exc:
        message = f"the trainer's answer is not a {claim.stage} outcome: {exc.error_count()} fields are wrong: {exc}"
        ledger.release(
            retrain_id, claim.fence, error={"code": "RT-TRAIN", "retryable": False, "message": message}, retryable=False
        )
        return "error"
    if claim.stage == "train":
        ledger.report_trained(retrain_id, claim.fence, artifact=artifact)
        return "trained"
    ledger.report_evaluated(retrain_id, claim.fence, evaluation=evaluation)
    return str(ledger.conclude(retrain_id).state).lower()


def _fields(record: type[ArtifactRecord] | type[EvaluationRecord], outcome: dict[str, Any]) -> dict[str, Any]:
    return {name: outcome[name] for name in record.model_fields if name in outcome}


def _persistently(write: Callable[[], str], patience_s: float) -> str:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return write()
        except BackendError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE_S)
