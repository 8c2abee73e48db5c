"""What the ledger is told of each ending."""

from typing import Any, cast

import pytest

from ratoon.errors import BackendError, FencedError
from ratoon.ledger.records import ArtifactRecord, Claim, EvaluationRecord, Retrain
from ratoon_workers import report as report_module
from ratoon_workers.report import report
from ratoon_workers.supervise import Ending, Kind

ARTIFACT = {"digest": "d", "size": 1, "metrics": {}, "data": {}, "code": {}, "params": {}, "refs": {}, "kind": "train"}
VERDICT = {"verdict": "reject", "reasons": ["worse"], "report_digest": "r", "metrics": {}, "n_rows": 1, "checks": []}


class FakeLedger:
    """Remembers what it was told; raises the given errors first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.told: list[tuple[Any, ...]] = []

    def _hear(self, *what: Any) -> Any:
        if self.errors:
            raise self.errors.pop(0)
        self.told.append(what)
        return Retrain.model_construct(retrain_id="r", state="REJECTED")

    def report_trained(self, retrain_id: str, fence: int, *, artifact: ArtifactRecord) -> None:
        self._hear("trained", fence, artifact.digest)

    def report_evaluated(self, retrain_id: str, fence: int, *, evaluation: EvaluationRecord) -> None:
        self._hear("evaluated", fence, evaluation.verdict)

    def conclude(self, retrain_id: str) -> Retrain:
        return cast("Retrain", self._hear("conclude"))

    def release(self, retrain_id: str, fence: int, *, error: dict[str, Any], retryable: bool) -> Retrain:
        return cast("Retrain", self._hear("release", fence, error.get("code"), retryable))

    def hand_back(self, retrain_id: str, fence: int, *, error: dict[str, Any]) -> Retrain:
        return cast("Retrain", self._hear("hand_back", fence, error.get("code")))

    def confirm_cancelled(self, retrain_id: str, fence: int | None) -> Retrain:
        return cast("Retrain", self._hear("cancelled", fence))


def claim(stage: str = "train") -> Claim:
    return Claim.model_construct(retrain=Retrain.model_construct(retrain_id="r"), stage=stage, fence=4, attempt=1)


def ending(kind: Kind, payload: dict[str, Any]) -> Ending:
    return Ending(kind=kind, payload=payload)


@pytest.mark.parametrize(
    ("kind", "payload", "told"),
    [
        ("outcome", ARTIFACT, [("trained", 4, "d")]),
        ("error", {"code": "RT-DATA", "retryable": False}, [("release", 4, "RT-DATA", False)]),
        ("crashed", {"code": "RT-TRAIN", "retryable": True}, [("release", 4, "RT-TRAIN", True)]),
        ("stopped", {"code": "RT-STACK", "retryable": True}, [("hand_back", 4, "RT-STACK")]),
        ("deadline", {"code": "RT-TRAIN", "retryable": False}, [("release", 4, "RT-TRAIN", False)]),
        ("error", {}, [("release", 4, None, False)]),
        ("cancelled", {}, [("cancelled", 4)]),
        ("fenced", {}, []),
        ("silent", {}, []),
        ("outcome", {"digest": 1}, [("release", 4, "RT-TRAIN", False)]),
    ],
)
def test_each_ending_is_one_message_to_the_ledger(
    kind: Kind, payload: dict[str, Any], told: list[tuple[Any, ...]]
) -> None:
    ledger = FakeLedger()
    report(claim(), ending(kind, payload), ledger, patience_s=0)
    assert ledger.told == told


def test_a_verdict_is_recorded_and_then_concluded() -> None:
    ledger = FakeLedger()
    assert report(claim("evaluate"), ending("outcome", VERDICT), ledger, patience_s=0) == "rejected"
    assert ledger.told == [("evaluated", 4, "reject"), ("conclude",)]


def test_a_result_that_comes_too_late_is_dropped() -> None:
    assert report(claim(), ending("outcome", ARTIFACT), FakeLedger(FencedError("taken over")), patience_s=0) == "fenced"


def test_a_ledger_that_is_away_is_asked_again_and_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "_PAUSE_S", 0)
    back = FakeLedger(BackendError("away"), BackendError("away"))
    assert report(claim(), ending("outcome", ARTIFACT), back, patience_s=30) == "trained"
    with pytest.raises(BackendError):
        report(claim(), ending("outcome", ARTIFACT), FakeLedger(BackendError("away")), patience_s=0)
