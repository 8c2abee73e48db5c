"""What one process of the pool has: its ledger, its spare trainer, and the flag that tells it to stop."""

import os
import signal
import socket
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from celery import Celery, current_app
from celery.signals import worker_process_init, worker_process_shutdown

from ratoon.broker import publisher
from ratoon.ledger import Ledger
from ratoon.ledger.records import Claim, Refusal, Stage
from ratoon.settings import Settings
from ratoon.stack.tether import die_with_parent
from ratoon_workers.orders import order_line
from ratoon_workers.report import report
from ratoon_workers.retrainlog import RetrainLog
from ratoon_workers.spare import Spare
from ratoon_workers.supervise import Ending, supervise
from ratoon_workers.sweeping import sweep
from ratoon_workers.trainer import Trainer, trainer_environment

STOP_SIGNAL = signal.SIGURG
"""Tells a pool process to give its work back. A process that does not listen yet ignores this signal."""

_SETTLE_S = 15.0
"""Time that a starting stack has for itself before the spare trainers import."""


class Child:
    """Does the work of one pool process."""

    def __init__(self, settings: Settings, *, trainer: list[str], spares: bool) -> None:
        self.settings = settings
        self.ledger = Ledger(settings.ledger_url)
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self.is_stopping = False
        environment = trainer_environment(settings, os.environ)
        self.spare = Spare(
            lambda settle_s: Trainer(trainer, environment, settings.project, settle_s=settle_s), keep=spares
        )

    def work(self, retrain_id: str, stage: Stage) -> str:
        """Claim a stage of a retrain, supervise it, report; return what became of it in one word."""
        claim = self.ledger.claim(retrain_id, stage, owner=self.owner, lease_s=self.settings.lease_s)
        if isinstance(claim, Refusal):
            return f"refused: {claim.reason}"
        with RetrainLog(self.settings.logs / "retrains", retrain_id) as log:
            log.write([f"{stage}: attempt {claim.attempt} on {self.owner}"])
            ending = self._supervise(claim, log)
            result = report(claim, ending, self.ledger, patience_s=self.settings.lease_s)
            log.write(
                [f"{stage}: attempt {claim.attempt} ended: {result} {ending.payload.get('message', '')}".rstrip()]
            )
        if not self.is_stopping:
            self.spare.prepare()
        return result

    def sweep(self) -> int:
        """Repair and send what is due, once; return the number of messages sent."""
        return sweep(self.ledger, publisher(self.settings), resend_after_s=self.settings.lease_s)

    def close(self) -> None:
        """End the spare trainer."""
        self.spare.close()

    def _supervise(self, claim: Claim, log: RetrainLog) -> Ending:
        candidate = self.ledger.artifact(claim.retrain.retrain_id) if claim.stage == "evaluate" else None
        return supervise(
            claim,
            order_line(claim, self.settings, candidate=candidate.digest if candidate else None),
            self.spare.take(),
            self.ledger,
            log,
            lease_s=self.settings.lease_s,
            is_stopping=lambda: self.is_stopping,
            now=lambda: datetime.now(UTC),
        )


def child_of(app: Celery) -> Child:
    """Return what this pool process has; it is made when the process starts."""
    child: Child = app.ratoon_child
    return child


def start_child(**_: Any) -> None:
    """Make what the process needs, tie it to the worker, and start its spare trainer."""
    die_with_parent(os.getppid())
    conf = current_app.conf
    child = Child(Settings(**conf.ratoon_settings), trainer=conf.ratoon_trainer, spares=conf.ratoon_spares)
    current_app.ratoon_child = child

    def stop(_number: int, _frame: FrameType | None) -> None:
        child.is_stopping = True

    signal.signal(STOP_SIGNAL, stop)
    child.spare.prepare(settle_s=_SETTLE_S)


def stop_child(**_: Any) -> None:
    """End the spare trainer together with the process."""
    child_of(current_app).close()


worker_process_init.connect(start_child)
worker_process_shutdown.connect(stop_child)
