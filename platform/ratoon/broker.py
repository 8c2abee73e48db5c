"""How a message of the ledger's outbox reaches the workers: queues, transport, and the publisher."""

import threading
from collections.abc import Callable
from typing import Any

from ratoon.errors import BackendError
from ratoon.ledger.records import OutboxMessage
from ratoon.settings import Settings

QUEUES = ("control", "evaluate", "train.cpu", "train.gpu")
"""Every queue there is; none is made by naming it."""

DAY_S = 86_400
"""Time after which a transport may hand a message to a second worker: longer than any training."""

_SEND_TIMEOUT_S = 3
_QUORUM_SCHEMES = frozenset({"amqp", "amqps", "pyamqp"})
_REDIS_SCHEMES = frozenset({"redis", "rediss", "valkey"})


def publisher(settings: Settings) -> Callable[[OutboxMessage], None]:
    """Return the function that sends a message of the outbox and returns once the broker has it.

    It raises :class:`ratoon.errors.BackendError` within seconds where the broker can't be reached. One
    pool of connections serves all messages, from any thread. Celery is imported at the first message.
    """
    lock = threading.Lock()
    made: list[Any] = []

    def publish(message: OutboxMessage) -> None:
        with lock:
            if not made:
                made.append(_sender(settings.resolved_broker_url))
        made[0](message)

    return publish


def shared_config(broker_url: str) -> dict[str, Any]:
    """Return the Celery settings that senders and workers must agree on.

    JSON only, and queues that are declared, never made by a message. RabbitMQ gets quorum queues, which
    survive the loss of a node.
    """
    quorum = scheme_of(broker_url) in _QUORUM_SCHEMES
    arguments = {"x-queue-type": "quorum", "x-consumer-timeout": DAY_S * 1_000} if quorum else None
    return {
        "broker_url": broker_url,
        "task_queues": [_queue(name, arguments) for name in QUEUES],
        "task_default_queue": "control",
        "task_default_routing_key": "control",
        "task_default_queue_type": "quorum" if quorum else "classic",
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
    }


def transport_options(broker_url: str) -> dict[str, Any]:
    """Return the transport's options: on Redis a message counts as lost after a day; RabbitMQ confirms each one.

    A message that is taken up twice does nothing, since the second claim is refused; and one that is lost
    is sent again by the reconciler. So the transport's own time-out can be long.
    """
    if not is_redis(broker_url):
        return {"confirm_publish": True}
    keepalive = {} if broker_url.startswith("redis+socket") else {"socket_keepalive": True}
    return {"visibility_timeout": DAY_S, "unacked_restore_throttle": 1, "socket_timeout": 30} | keepalive


def is_redis(broker_url: str) -> bool:
    """Say whether a broker URL names a Redis or Valkey server."""
    return scheme_of(broker_url) in _REDIS_SCHEMES


def scheme_of(broker_url: str) -> str:
    """Return the transport that a URL names, without what follows a plus sign."""
    return broker_url.split(":", 1)[0].split("+", 1)[0]


def _sender(broker_url: str) -> Callable[[OutboxMessage], None]:
    from celery import Celery
    from kombu.exceptions import KombuError

    options = transport_options(broker_url)
    if is_redis(broker_url):
        options |= {"socket_timeout": _SEND_TIMEOUT_S, "socket_connect_timeout": _SEND_TIMEOUT_S}
    app = Celery("ratoon-publisher", set_as_current=False)
    app.conf.update(
        shared_config(broker_url),
        broker_transport_options=options,
        broker_connection_timeout=_SEND_TIMEOUT_S,
    )

    def send(message: OutboxMessage) -> None:
        try:
            app.send_task(
                f"ratoon.{message.task}",
                args=[message.retrain_id],
                queue=message.body["queue"],
                task_id=f"{message.retrain_id}:{message.task}:{message.attempt}",
                retry=False,
            )
        except (KombuError, OSError) as exc:
            raise BackendError(
                f"the broker did not take the message {message.task} of {message.retrain_id}: {exc}; "
                "it stays in the outbox and is sent again"
            ) from exc

    return send


def _queue(name: str, arguments: dict[str, Any] | None) -> Any:
    from kombu.entity import Queue

    return Queue(name, routing_key=name, queue_arguments=arguments)  # type: ignore[no-untyped-call]
