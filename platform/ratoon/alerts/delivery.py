"""From what was seen to what people are told: raise, look after, deliver."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ratoon.alerts.channels import Channel
from ratoon.alerts.decide import (
    Decay,
    alerts_of_batch,
    alerts_of_model,
    alerts_of_retrain,
    alerts_of_worker,
)
from ratoon.alerts.messages import compose, wait_after
from ratoon.ledger import Ledger
from ratoon.ledger.records import AlertResolved, Severity
from ratoon.policy.values import Decision
from ratoon.settings import Settings

_LEASE_S = 120.0
_LEAST_SILENCE_S = 60.0
_FORGOTTEN_AFTER = timedelta(days=1)
_MOST_PER_ROUND = 20


def raise_batch_alerts(
    ledger: Ledger, dataset: str, *, batch_id: str, as_of: datetime, diagnosis: Mapping[str, Any], incident: str | None
) -> None:
    """Raise and resolve what a batch's diagnosis brings about; doing it again for the same batch changes nothing.

    Args:
        ledger: Where alerts live.
        dataset: Broken data is one alert of the dataset, however many models look at it.
        batch_id: The batch.
        as_of: When it was taken.
        diagnosis: As JSON.
        incident: What the alert is grouped by; by default the dataset and the batch.
    """
    group = incident or f"{dataset}/{batch_id}"
    changes = alerts_of_batch(dataset, incident=group, diagnosis=diagnosis, open_keys=ledger.open_alert_keys())
    if changes:
        ledger.apply_alerts(f"dataset {dataset}/{batch_id}", changes, as_of=as_of)


def raise_alerts(
    ledger: Ledger,
    model: str,
    *,
    event_id: str,
    as_of: datetime,
    drift: Mapping[str, Any] | None = None,
    diagnosis: Mapping[str, Any] | None = None,
    performance: Sequence[Mapping[str, Any]] = (),
    decision: Decision | None = None,
    decay: Decay | None = None,
    incident: str,
) -> None:
    """Raise and resolve what one step of a model brings about; doing it again for the same event changes nothing.

    Args:
        ledger: Where alerts live.
        model: The model's name.
        event_id: The event that the step is about.
        as_of: The step's time.
        drift: The drift report as JSON.
        diagnosis: The batch's diagnosis as JSON: drift of broken data is no drift.
        performance: The cohorts that were measured.
        decision: What was decided.
        decay: What the change-point detection says.
        incident: What the alerts are grouped by: all models that one batch troubles come in one message.
    """
    changes = alerts_of_model(
        model,
        incident=incident,
        drift=drift,
        diagnosis=diagnosis,
        performance=performance,
        decision=decision,
        decay=decay,
        open_keys=ledger.open_alert_keys(),
    )
    if changes:
        ledger.apply_alerts(f"model {model}/{event_id}", changes, as_of=as_of)


def look_after_alerts(ledger: Ledger, settings: Settings, channels: Mapping[str, Channel], *, now: datetime) -> int:
    """Notice how retrains ended and which workers are silent, then tell what is due; return the messages sent.

    A replay tells nobody: its alerts are about the past. What is still open when the clock is real again is told then.

    Args:
        ledger: Where alerts live.
        settings: Of the worker that looks.
        channels: Of :func:`~ratoon.alerts.channels.channels_of`.
        now: This host's time.
    """
    _note_endings(ledger, is_replay=settings.clock == "event")
    if settings.clock == "event":
        return 0
    _note_silence(ledger, max(_LEAST_SILENCE_S, 3 * settings.lease_s), now)
    return deliver_due(ledger, channels, at_least=settings.alert_severity, window_s=settings.alert_window_s)


def deliver_due(
    ledger: Ledger, channels: Mapping[str, Channel], *, at_least: Severity = "info", window_s: float = 0
) -> int:
    """Write the messages that are due and try every delivery that is due; return how many arrived.

    A delivery is taken by a guarded update, so that several callers may do so at once. After a crash it is
    tried again under the same message id. A channel that fails is noted and left alone until the next round, so
    that one that hangs costs the others one time-out a round.

    Args:
        ledger: Where alerts live.
        channels: By name.
        at_least: Milder alerts are listed, not told.
        window_s: Time for which an incident gathers its alerts.
    """
    willing = sorted(channels)
    ledger.write_messages(willing, compose, at_least=at_least, window_s=window_s)
    n_delivered = 0
    for _ in range(_MOST_PER_ROUND):
        claim = ledger.claim_delivery(willing, lease_s=_LEASE_S) if willing else None
        if claim is None:
            break
        answer = channels[claim.channel].send(claim.message)
        if answer.is_delivered:
            ledger.report_delivered(claim)
            n_delivered += 1
        else:
            again = None if answer.is_final else wait_after(claim.attempt)
            ledger.report_undelivered(claim, error=answer.detail, again_after_s=again)
            willing.remove(claim.channel)
    return n_delivered


def _note_endings(ledger: Ledger, *, is_replay: bool) -> None:
    for retrain in ledger.retrains_without_alerts():
        changes = alerts_of_retrain(retrain, open_keys=ledger.open_alert_keys())
        ended = retrain.as_of if is_replay or retrain.finished_at is None else retrain.finished_at
        ledger.apply_alerts(retrain.retrain_id, changes, as_of=ended)


def _note_silence(ledger: Ledger, after_s: float, now: datetime) -> None:
    silent = {}
    for worker in ledger.silent_workers(after_s=after_s):
        if worker.seen_at < now - _FORGOTTEN_AFTER:
            ledger.retire_worker(worker.name)
            continue
        raised = alerts_of_worker(worker, silent_s=after_s)
        silent[raised.key] = worker
        ledger.apply_alerts(f"worker {worker.name}/{worker.seen_at.isoformat()}", [raised], as_of=now)
    for alert in ledger.alerts(kind="worker_silent"):
        if alert.key not in silent:
            over = AlertResolved(key=alert.key, reason="the worker is back, or was taken out of service")
            ledger.apply_alerts(f"{alert.alert_id}/over", [over], as_of=now)
