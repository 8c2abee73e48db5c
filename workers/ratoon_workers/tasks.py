"""The tasks. A message carries a retrain's id and nothing else: the claim in the ledger decides whether to work."""

from typing import Any

from celery import shared_task
from celery.exceptions import Reject

from ratoon_workers.child import child_of


@shared_task(name="ratoon.train", bind=True)  # type: ignore[untyped-decorator]
def train(task: Any, retrain_id: str) -> str:
    """Train a candidate, if the ledger lets this worker have the work."""
    child = child_of(task.app)
    if child.is_stopping:
        raise Reject("the worker shuts down", requeue=True)
    return child.work(retrain_id, "train")


@shared_task(name="ratoon.evaluate", bind=True)  # type: ignore[untyped-decorator]
def evaluate(task: Any, retrain_id: str) -> str:
    """Judge a candidate and promote or reject it, if the ledger lets this worker have the work."""
    child = child_of(task.app)
    if child.is_stopping:
        raise Reject("the worker shuts down", requeue=True)
    return child.work(retrain_id, "evaluate")


@shared_task(name="ratoon.sweep", bind=True)  # type: ignore[untyped-decorator]
def sweep(task: Any) -> int:
    """Send what is unsent and repair what is stuck, once, now."""
    return child_of(task.app).sweep()
