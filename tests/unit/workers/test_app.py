"""The worker's app and the publisher: what they promise to the broker, and what they never import."""

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ratoon.broker import QUEUES, publisher, shared_config, transport_options
from ratoon.errors import BackendError
from ratoon.ledger.records import OutboxMessage
from ratoon.settings import Settings
from ratoon_workers.app import make_app

URLS = ("redis+socket:///tmp/x.sock", "redis://h:6379/0", "amqp://u@h//")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(project=tmp_path)


@pytest.mark.parametrize("modules", ["ratoon.stack.supervisor", "ratoon_workers.__main__, ratoon_workers.tasks"])
def test_a_process_that_supervises_imports_no_polars_and_no_xgboost(modules: str) -> None:
    heavy = "{'polars', 'xgboost', 'deltalake', 'dagster', 'numpy'}"
    program = f"import {modules}, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_app_travels_to_a_fresh_process_with_its_settings(settings: Settings) -> None:
    import pickle

    app = make_app(settings.model_copy(update={"lease_s": 7.0}), trainer=["-m", "other"], spares=False)
    copy = pickle.loads(pickle.dumps(app))
    assert Settings(**copy.conf.ratoon_settings).lease_s == 7
    assert copy.conf.ratoon_trainer == ["-m", "other"] and copy.conf.ratoon_spares is False
    assert copy.conf.worker_pool_start_method == "spawn"


@pytest.mark.parametrize("url", URLS)
def test_only_declared_queues_and_only_json(url: str) -> None:
    config = shared_config(url)
    assert [queue.name for queue in config["task_queues"]] == list(QUEUES)
    assert config["task_create_missing_queues"] is False
    assert config["accept_content"] == ["json"] and config["task_serializer"] == "json"


def test_rabbitmq_gets_quorum_queues_and_confirms_each_message() -> None:
    config = shared_config("amqp://h")
    assert {queue.queue_arguments["x-queue-type"] for queue in config["task_queues"]} == {"quorum"}
    assert transport_options("amqp://h") == {"confirm_publish": True}


def test_a_running_training_is_not_handed_to_a_second_worker_by_redis() -> None:
    assert transport_options("redis://h")["visibility_timeout"] >= 86_400


def test_work_is_acknowledged_late_and_taken_one_at_a_time(settings: Settings) -> None:
    conf = make_app(settings).conf
    assert conf.task_acks_late and conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.broker_connection_max_retries is None


@pytest.mark.parametrize(
    "url", ["redis+socket:///nowhere/valkey.sock", "redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//"]
)
def test_a_broker_that_is_away_is_a_backend_error_within_seconds(tmp_path: Path, url: str) -> None:
    publish = publisher(Settings(project=tmp_path, broker_url=url))
    message = OutboxMessage(
        seq=1, task="train", retrain_id="r", attempt=1, body={"retrain_id": "r", "queue": "train.cpu"}
    )
    begun = time.monotonic()
    with pytest.raises(BackendError, match="stays in the outbox"):
        publish(message)
    assert time.monotonic() - begun < 30


def test_an_order_has_what_its_stage_reads_and_the_workers_own_budget(tmp_path: Path) -> None:
    import json

    from ratoon.ledger.records import Claim, Retrain, Version
    from ratoon_workers.orders import order_line

    now = datetime(2026, 1, 1, tzinfo=UTC)
    values: dict[str, Any] = dict.fromkeys(Retrain.model_fields)
    values |= {
        "retrain_id": "r", "seq": 1, "decision_id": "d", "model": "m", "dataset": "t", "as_of": now, "order": {},
        "state": "RUNNING", "queue": "cpu", "spec_digest": "s", "deadline_s": 1.0, "max_attempts": 1, "attempt": 1,
        "fence": 1, "requested_at": now, "updated_at": now,
    }  # fmt: skip
    champion = Version(
        model="m", version=3, retrain_id="r0", artifact_digest="old", refs={}, data={}, data_until=now,
        created_at=now, promoted_at=now, metrics={}, report_digest="x", is_champion=True,
    )  # fmt: skip
    settings = Settings(project=tmp_path, train_threads=2, train_memory_mb=900, storage_options={"key": "k"})
    kept = {"model": "m", "training": {"rounds": 5}, "gate": {"metric": "auc"}, "champion": None, "threads": 64}
    retrain = Retrain.model_validate(values)
    train = Claim(retrain=retrain, stage="train", fence=1, attempt=1, order=kept)
    line = order_line(train, settings)
    assert "\n" not in line
    order = json.loads(line)
    assert order["kind"] == "train" and order["training"] == {"rounds": 5} and "gate" not in order
    assert (order["threads"], order["memory_mb"], order["storage_options"]) == (2, 900, {"key": "k"})
    evaluate = train.model_copy(update={"stage": "evaluate", "champion": champion})
    order = json.loads(order_line(evaluate, settings, candidate="new"))
    assert order["kind"] == "evaluate" and order["gate"] == {"metric": "auc"} and "training" not in order
    assert order["candidate"] == "new"
    assert order["champion"] == {"artifact": "old", "version": 3, "data_until": "2026-01-01T00:00:00+00:00"}
