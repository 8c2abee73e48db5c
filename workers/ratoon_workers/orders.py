"""Turns what the ledger keeps into the line that a trainer reads."""

import json
from typing import Any

from ratoon.ledger.records import Claim, Version
from ratoon.settings import Settings
from ratoon.training.orders import EvaluateOrder, TrainOrder


def order_line(claim: Claim, settings: Settings, *, candidate: str | None = None) -> str:
    """Return the order of a claim as one line of JSON.

    The ledger's order names no secret and no machine: the store's credentials, the thread budget and the
    memory limit are the worker's own. Fields that only the other stage knows are left out.

    Args:
        claim: The right to do the work.
        settings: The worker's.
        candidate: Digest of the artifact to be judged, for an evaluation.
    """
    kind = TrainOrder if claim.stage == "train" else EvaluateOrder
    order: dict[str, Any] = claim.order | {
        "kind": claim.stage,
        "retrain_id": claim.retrain.retrain_id,
        "threads": settings.threads,
        "memory_mb": settings.train_memory_mb,
        "storage_options": settings.storage_options,
    }
    if claim.stage == "evaluate":
        order |= {"candidate": candidate, "champion": _champion(claim.champion)}
    return json.dumps({name: value for name, value in order.items() if name in kind.model_fields})


def _champion(version: Version | None) -> dict[str, Any] | None:
    if version is None or version.data_until is None:
        return None
    return {
        "artifact": version.artifact_digest,
        "version": version.version,
        "data_until": version.data_until.isoformat(),
    }
