"""What Prometheus reads: families from figures, and the process that serves them."""

import os
import socket
import subprocess
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ratoon.errors import StackError
from ratoon.ledger import Ledger
from ratoon.ledger.measurements import (
    ChampionFigures,
    DatasetFigures,
    DriftFigures,
    Figures,
    PerformanceFigures,
)
from ratoon.ledger.records import WorkerRow
from ratoon.settings import Settings
from ratoon.stack.exposition import LedgerCollector, exposition
from ratoon.stack.preflight import check_port
from ratoon.stack.roster import roster

NOW = datetime(2026, 1, 5, tzinfo=UTC)
FIGURES = Figures(
    now=NOW,
    champions=[
        ChampionFigures(
            model="delays",
            version=3,
            data_until=NOW - timedelta(days=2),
            promoted_metric=0.71,
            has_active_retrain=True,
        ),
        ChampionFigures(model="new", version=0, data_until=None, promoted_metric=None, has_active_retrain=False),
    ],
    retrains={("delays", "PROMOTED"): 3, ("delays", "FAILED"): 1},
    decisions={("delays", "retrain"): 5, ("delays", "wait"): 40},
    performance=[PerformanceFigures(model="delays", metric="auc", value=0.68, n_matured=900, maturity=0.75)],
    drift=[DriftFigures(model="delays", n_drifted=2, worst_score=0.31)],
    datasets=[DatasetFigures(dataset="flights", n_batches=45, n_refused=1, rows_kept=9_000, rows_quarantined=12)],
    alerts={"critical": 1},
    undelivered=2,
    unsent=4,
    workers=[WorkerRow(name="worker@a", seen_at=NOW - timedelta(seconds=7))],
)


class FakeLedger:
    """Gives the same figures at every question."""

    def figures(self) -> Figures:
        return FIGURES


def samples() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    ledger: Any = FakeLedger()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition(ledger))
        for sample in family.samples
    }


def test_every_figure_is_a_sample_with_its_labels() -> None:
    delays = ("model", "delays")
    assert samples() == {
        ("ratoon_champion_version", (delays,)): 3,
        ("ratoon_champion_version", (("model", "new"),)): 0,
        ("ratoon_champion_data_age_seconds", (delays,)): 2 * 86_400,
        ("ratoon_retrain_active", (delays,)): 1,
        ("ratoon_retrain_active", (("model", "new"),)): 0,
        ("ratoon_performance_reference", (delays,)): 0.71,
        ("ratoon_retrains_total", (delays, ("outcome", "promoted"))): 3,
        ("ratoon_retrains_total", (delays, ("outcome", "failed"))): 1,
        ("ratoon_decisions_total", (delays, ("outcome", "retrain"))): 5,
        ("ratoon_decisions_total", (delays, ("outcome", "wait"))): 40,
        ("ratoon_performance", (("metric", "auc"), delays)): 0.68,
        ("ratoon_performance_matured_rows", (("metric", "auc"), delays)): 900,
        ("ratoon_performance_maturity_ratio", (("metric", "auc"), delays)): 0.75,
        ("ratoon_drift_flagged_columns", (delays,)): 2,
        ("ratoon_drift_worst_score", (delays,)): 0.31,
        ("ratoon_ingested_rows_total", (("dataset", "flights"),)): 9_000,
        ("ratoon_quarantined_rows_total", (("dataset", "flights"),)): 12,
        ("ratoon_batches_total", (("dataset", "flights"), ("outcome", "ingested"))): 45,
        ("ratoon_batches_total", (("dataset", "flights"), ("outcome", "refused"))): 1,
        ("ratoon_alerts_open", (("severity", "info"),)): 0,
        ("ratoon_alerts_open", (("severity", "warning"),)): 0,
        ("ratoon_alerts_open", (("severity", "critical"),)): 1,
        ("ratoon_alert_deliveries_failing", ()): 2,
        ("ratoon_outbox_unsent_messages", ()): 4,
        ("ratoon_worker_heartbeat_age_seconds", (("worker", "worker@a"),)): 7,
    }


def test_the_ledger_is_first_read_at_a_scrape() -> None:
    assert list(LedgerCollector(None).describe()) == []  # type: ignore[arg-type]


def test_the_metrics_are_a_child_only_where_they_have_a_port(tmp_path: Path) -> None:
    def names(port: int) -> list[str]:
        settings = Settings(project=tmp_path, metrics_port=port, broker_url="amqp://h")
        return [child.name for child in roster(settings, environ={})]

    assert names(9_464) == [*names(0), "metrics"]


def test_a_busy_metrics_port_is_refused_by_its_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(StackError, match="RATOON_METRICS_PORT"):
            check_port(taken.getsockname()[1], setting="metrics_port")


@pytest.mark.integration
def test_the_child_serves_the_ledger_as_it_is_at_each_scrape(tmp_path: Path) -> None:
    (tmp_path / "ratoon.toml").touch()
    (tmp_path / ".ratoon").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings(project=tmp_path, metrics_port=port, broker_url="amqp://h")
    ledger = Ledger(settings.ledger_url)
    ledger.migrate()
    child = roster(settings, environ=os.environ)[-1]
    process = subprocess.Popen(
        child.command, env=dict(child.env), cwd=child.cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        deadline = time.monotonic() + 60
        while not child.probe():
            assert process.poll() is None, process.stdout and process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "ratoon_champion_version{" not in scrape(port)
        ledger.ensure_model("delays", "flights")
        assert 'ratoon_champion_version{model="delays"} 0.0' in scrape(port)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    with pytest.raises(URLError):
        scrape(port)


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        content: bytes = response.read()
    return content.decode()
