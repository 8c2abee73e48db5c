"""The Celery app of a worker. What senders and workers share stands in :mod:`ratoon.broker`."""

from collections.abc import Sequence
from typing import Any

from celery import Celery

from ratoon.broker import DAY_S, QUEUES, publisher, shared_config, transport_options
from ratoon.settings import Settings

__all__ = ["QUEUES", "TRAINER", "make_app", "publisher"]

TRAINER = ("-m", "ratoon.training.process")
"""Arguments for the Python interpreter that start a trainer."""


def make_app(settings: Settings, *, trainer: Sequence[str] = TRAINER, spares: bool = True) -> Celery:
    """Return a worker's app.

    Args:
        settings: Travels to the pool's processes in the app's configuration.
        trainer: Arguments for the Python interpreter that start a trainer.
        spares: Keep one trainer ready in each process of the pool.
    """
    url = settings.resolved_broker_url
    app = Celery("ratoon", include=["ratoon_workers.tasks"])
    app.conf.update(
        shared_config(url),
        broker_transport_options=transport_options(url),
        ratoon_settings=settings.model_dump(mode="json"),
        ratoon_trainer=list(trainer),
        ratoon_spares=spares,
        **_WORKER,
    )
    return app


_WORKER: dict[str, Any] = {
    # A message is only acknowledged when its task has ended. That is a convenience, not what safety rests
    # on: the claim drops the copies, and the reconciler replaces what is lost.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_time_limit": DAY_S + 300,
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "worker_max_tasks_per_child": 50,
    # A forked copy of a process that used polars or OpenMP hangs; a fresh interpreter can't.
    "worker_pool_start_method": "spawn",
    # On a busy machine a fresh interpreter needs longer than the default of 4 s, and is killed for it, again and again.
    "worker_proc_alive_timeout": 60.0,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_soft_shutdown_timeout": 5,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_heartbeat": 30,
    # Nobody listens to these: the ledger knows the state of all work.
    "task_track_started": False,
    "worker_send_task_events": False,
    "worker_enable_remote_control": False,
    "worker_redirect_stdouts": False,
}
