"""The ledger as Prometheus reads it: ``python -m ratoon.stack.exposition`` serves it on 127.0.0.1."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ratoon.ledger import Ledger
from ratoon.ledger.alerts import SEVERITIES
from ratoon.ledger.measurements import Figures
from ratoon.settings import Settings, load_settings

Family = CounterMetricFamily | GaugeMetricFamily


class LedgerCollector(Collector):
    """Reads the ledger at every scrape; nothing is kept between two."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterable[Family]:
        """Return the ledger's metric families."""
        return families(self._ledger.figures())

    def describe(self) -> Iterable[Family]:
        """Return nothing: the ledger is first read at a scrape."""
        return ()


def exposition(ledger: Ledger) -> str:
    """Return a ledger's metrics in Prometheus' text format."""
    return generate_latest(_registry(ledger)).decode()


def families(figures: Figures) -> Iterator[Family]:
    """Yield the metric families of a ledger's figures."""
    yield from _champions(figures)
    yield from _measurements(figures)
    yield from _datasets(figures)
    yield from _plumbing(figures)


def serve(settings: Settings) -> None:
    """Serve ``/metrics`` on 127.0.0.1 until the process ends."""
    _, thread = start_http_server(
        settings.metrics_port, addr="127.0.0.1", registry=_registry(Ledger(settings.ledger_url))
    )
    thread.join()


def _registry(ledger: Ledger) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(LedgerCollector(ledger))
    return registry


def _champions(figures: Figures) -> Iterator[Family]:
    version = _gauge("champion_version", "Version of the model's champion; 0 while there is none.", "model")
    age = _gauge("champion_data_age_seconds", "Age of the newest event in the champion's training data.", "model")
    active = _gauge("retrain_active", "1 while a retrain of the model has not ended.", "model")
    reference = _gauge("performance_reference", "The champion's metric at its own evaluation.", "model")
    for row in figures.champions:
        version.add_metric([row.model], row.version)
        active.add_metric([row.model], int(row.has_active_retrain))
        if row.data_until is not None:
            age.add_metric([row.model], (figures.now - row.data_until).total_seconds())
        if row.promoted_metric is not None:
            reference.add_metric([row.model], row.promoted_metric)
    retrains = _counter("retrains", "Retrains that ended, by outcome.", "model", "outcome")
    for (model, state), n in figures.retrains.items():
        retrains.add_metric([model, state.lower()], n)
    decisions = _counter("decisions", "Decisions, by outcome.", "model", "outcome")
    for (model, outcome), n in figures.decisions.items():
        decisions.add_metric([model, outcome], n)
    yield from (version, age, active, reference, retrains, decisions)


def _measurements(figures: Figures) -> Iterator[Family]:
    performance = _gauge("performance", "The champion's metric over its matured rows.", "model", "metric")
    matured = _gauge("performance_matured_rows", "Matured rows behind the metric.", "model", "metric")
    maturity = _gauge(
        "performance_maturity_ratio", "Share of the champion's predictions with a label.", "model", "metric"
    )
    for row in figures.performance:
        labels = [row.model, row.metric]
        matured.add_metric(labels, row.n_matured)
        maturity.add_metric(labels, row.maturity)
        if row.value is not None:
            performance.add_metric(labels, row.value)
    flagged = _gauge("drift_flagged_columns", "Columns that the newest drift report flags.", "model")
    worst = _gauge("drift_worst_score", "Largest bias-corrected PSI of the newest drift report.", "model")
    for report in figures.drift:
        flagged.add_metric([report.model], report.n_drifted)
        if report.worst_score is not None:
            worst.add_metric([report.model], report.worst_score)
    yield from (performance, matured, maturity, flagged, worst)


def _datasets(figures: Figures) -> Iterator[Family]:
    rows = _counter("ingested_rows", "Rows that were taken.", "dataset")
    quarantined = _counter("quarantined_rows", "Rows that broke the contract.", "dataset")
    batches = _counter("batches", "Files, by what became of them.", "dataset", "outcome")
    for dataset in figures.datasets:
        rows.add_metric([dataset.dataset], dataset.rows_kept)
        quarantined.add_metric([dataset.dataset], dataset.rows_quarantined)
        batches.add_metric([dataset.dataset, "ingested"], dataset.n_batches)
        batches.add_metric([dataset.dataset, "refused"], dataset.n_refused)
    yield from (rows, quarantined, batches)


def _plumbing(figures: Figures) -> Iterator[Family]:
    alerts = _gauge("alerts_open", "Open alerts, by severity.", "severity")
    for severity in SEVERITIES:
        alerts.add_metric([severity], figures.alerts.get(severity, 0))
    failing = _gauge("alert_deliveries_failing", "Messages about alerts that a channel did not take yet.")
    failing.add_metric([], figures.undelivered)
    unsent = _gauge("outbox_unsent_messages", "Messages that did not reach the broker yet.")
    unsent.add_metric([], figures.unsent)
    heartbeat = _gauge("worker_heartbeat_age_seconds", "Time since a worker's last sign of life.", "worker")
    for worker in figures.workers:
        heartbeat.add_metric([worker.name], (figures.now - worker.seen_at).total_seconds())
    yield from (alerts, failing, unsent, heartbeat)


def _gauge(name: str, text: str, *labels: str) -> Any:
    return GaugeMetricFamily(f"ratoon_{name}", text, labels=labels)


def _counter(name: str, text: str, *labels: str) -> Any:
    return CounterMetricFamily(f"ratoon_{name}", text, labels=labels)


if __name__ == "__main__":
    serve(load_settings())
