"""Decides which alerts follow from what was seen, and which are over. Pure: values in, values out."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ratoon.ledger.records import AlertKind, AlertRaised, AlertResolved, Retrain, WorkerRow
from ratoon.ledger.states import RetrainState
from ratoon.policy.values import Decision, TriggerResult

Change = AlertRaised | AlertResolved

_MOST_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Decay:
    """What a change-point detection on matured loss says of a champion.

    Attributes:
        is_worse: Whether the loss is worse since some cohort.
        sentence: The finding, for a person.
        evidence: Figures behind it; JSON.
    """

    is_worse: bool
    sentence: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def key_of(subject: str, kind: AlertKind) -> str:
    """Return the key of an alert about a model, a dataset or a worker."""
    return f"{subject}/{kind}"


def alerts_of_batch(
    dataset: str, *, incident: str, diagnosis: Mapping[str, Any] | None, open_keys: Collection[str] = ()
) -> list[Change]:
    """Return what a batch's diagnosis raises or resolves.

    Broken data is critical where it is to be held back, else a warning. A later batch that is clean, or
    whose shift is real, resolves it; an unclear one changes nothing.

    Args:
        dataset: The dataset's name.
        incident: What the alert is grouped by.
        diagnosis: ``verdict``, ``advice``, ``sentence`` and ``findings`` (each with ``cause``, ``sentence``,
            ``columns``, ``confidence``), as JSON; None where there was none.
        open_keys: Keys whose alert is open: nothing else can be resolved.
    """
    if diagnosis is None:
        return []
    key = key_of(dataset, "data_broken")
    if diagnosis["verdict"] != "broken":
        is_over = diagnosis["verdict"] in ("clean", "shift") and key in open_keys
        return [AlertResolved(key=key, reason="a later batch shows no fault")] if is_over else []
    findings = list(diagnosis.get("findings", []))
    lines = [f"- {found['sentence']}" for found in findings[:_MOST_LINES]]
    raised = AlertRaised(
        key=key,
        kind="data_broken",
        severity="critical" if diagnosis["advice"] == "hold" else "warning",
        dataset=dataset,
        incident=incident,
        title=f"{dataset}: the newest batch looks broken",
        text=_paragraphs(diagnosis["sentence"], "\n".join(lines), _ADVICE.get(diagnosis["advice"], "")),
        evidence={
            "batch_id": diagnosis.get("batch_id"),
            "advice": diagnosis["advice"],
            "causes": sorted({found["cause"] for found in findings}),
        },
    )
    return [raised]


_ADVICE = {
    "hold": "No retrain starts from it. Look at the source, then send corrected data.",
    "reingest": "Send the batch again: it seems to be incomplete or doubled.",
    "wait_for_labels": "Its labels will tell whether the model still holds.",
}


def alerts_of_model(
    model: str,
    *,
    incident: str,
    drift: Mapping[str, Any] | None = None,
    diagnosis: Mapping[str, Any] | None = None,
    performance: Sequence[Mapping[str, Any]] = (),
    decision: Decision | None = None,
    decay: Decay | None = None,
    open_keys: Collection[str] = (),
) -> list[Change]:
    """Return what one step of a model raises or resolves.

    - ``drift``: the report flags something, and the data is not diagnosed as broken. Info while a retrain
      answers it, else a warning. A judged report without a flag resolves it.
    - ``performance``: the policy's performance trigger fired, or the matured loss changed for the worse.
      A warning while a retrain answers it, else critical. Only a step that measured performance
      resolves it: its trigger does not hold, and the loss is not worse.
    - ``stale_champion``: the champion is older than the policy allows, and a guard holds the retrain back.

    Args:
        model: The model's name.
        incident: What the alerts are grouped by.
        drift: The drift report as JSON; None where nothing was compared.
        diagnosis: The diagnosis of the batch as JSON.
        performance: Cohorts that this step measured, as in :class:`~ratoon.loop.reports.StepReport`.
        decision: What was decided.
        decay: What the change-point detection says.
        open_keys: Keys whose alert is open: nothing else can be resolved.
    """
    found = [
        *_drift(model, incident, drift, diagnosis, decision),
        *_performance(model, incident, performance, decision, decay),
        *_staleness(model, incident, decision),
    ]
    return [change for change in found if isinstance(change, AlertRaised) or change.key in open_keys]


def alerts_of_retrain(retrain: Retrain, *, open_keys: Collection[str] = ()) -> list[Change]:
    """Return what the end of a retrain raises or resolves; nothing for one that was cancelled.

    A failure that can't pass by itself is critical, another one a warning; a rejection is info, since the
    gate did its work. A promotion resolves whatever was open about the model.
    """
    model, incident = retrain.model, f"{retrain.model}/{retrain.retrain_id}"
    evidence = {"retrain_id": retrain.retrain_id, "decision_id": retrain.decision_id, "attempts": retrain.attempt}
    match retrain.state:
        case RetrainState.PROMOTED:
            kinds: tuple[AlertKind, ...] = (
                "candidate_rejected",
                "drift",
                "performance",
                "retrain_failed",
                "stale_champion",
            )
            reason = f"{retrain.retrain_id} brought a new champion"
            keys = [key_of(model, kind) for kind in kinds]
            return [AlertResolved(key=key, reason=reason) for key in keys if key in open_keys]
        case RetrainState.FAILED:
            error = retrain.error or {}
            raised = AlertRaised(
                key=key_of(model, "retrain_failed"),
                kind="retrain_failed",
                severity="warning" if error.get("retryable") else "critical",
                model=model,
                dataset=retrain.dataset,
                incident=incident,
                title=f"{model}: a retrain failed",
                text=_paragraphs(
                    f"{error.get('code', '')} {error.get('message', 'no error was recorded')}".strip(),
                    f"The champion stays. Log: logs/retrains/{retrain.retrain_id}.log in Ratoon's home.",
                ),
                evidence=evidence,
            )
            return [raised]
        case RetrainState.REJECTED:
            raised = AlertRaised(
                key=key_of(model, "candidate_rejected"),
                kind="candidate_rejected",
                severity="info",
                model=model,
                dataset=retrain.dataset,
                incident=incident,
                title=f"{model}: a candidate was rejected",
                text=f"The gate kept the champion. `ratoon why {model}` shows every check.",
                evidence=evidence,
            )
            return [raised]
    return []


def alerts_of_worker(worker: WorkerRow, *, silent_s: float) -> AlertRaised:
    """Return the alert about a worker that gives no sign of life."""
    return AlertRaised(
        key=key_of(worker.name, "worker_silent"),
        kind="worker_silent",
        severity="warning",
        incident=f"workers/{worker.seen_at:%Y-%m-%dT%H:%M}",
        title=f"worker {worker.name} is silent",
        text=f"It gave no sign of life for more than {silent_s:.0f} s. Its work goes to another worker once the lease "
        "ends. `ratoon status` shows whether the stack is up, `ratoon doctor` tests it.",
        evidence={"worker": worker.name, "seen_at": worker.seen_at.isoformat()},
    )


def _drift(
    model: str,
    incident: str,
    drift: Mapping[str, Any] | None,
    diagnosis: Mapping[str, Any] | None,
    decision: Decision | None,
) -> Iterator[Change]:
    is_broken = diagnosis is not None and diagnosis["verdict"] == "broken"
    if drift is None or is_broken:
        return
    from ratoon.drift.values import DriftReport  # its package loads scipy, which a worker's main process does without

    report = DriftReport.model_validate(drift)
    if not report.judged:
        return
    key = key_of(model, "drift")
    if not report.alarm:
        yield AlertResolved(key=key, reason="the newest report shows no drift")
        return
    flagged = [f"- {row.sentence}" for row in report.columns if row.flagged]
    n_flagged = len(report.drifted)
    what = f"{n_flagged} of {len(report.columns)} columns drifted" if n_flagged else "columns no longer move together"
    yield AlertRaised(
        key=key,
        kind="drift",
        severity="info" if _answers(decision) else "warning",
        model=model,
        incident=incident,
        title=f"{model}: {what}",
        text=_paragraphs(report.sentence, "\n".join(flagged[:_MOST_LINES]), _decided(decision)),
        evidence={"drifted": report.drifted, "worst_score": report.worst_score, "alpha": report.alpha},
    )


def _performance(
    model: str,
    incident: str,
    cohorts: Sequence[Mapping[str, Any]],
    decision: Decision | None,
    decay: Decay | None,
) -> Iterator[Change]:
    trigger = _trigger(decision, "performance")
    is_worse = decay is not None and decay.is_worse
    key = key_of(model, "performance")
    if not is_worse and (trigger is None or not trigger.fired):
        if (cohorts or decay is not None) and (trigger is None or (trigger.value is not None and trigger.streak == 0)):
            yield AlertResolved(key=key, reason="the performance on matured rows is back")
        return
    notes = [trigger.note] if trigger is not None and trigger.fired else []
    notes += [decay.sentence] if decay is not None and decay.is_worse else []
    yield AlertRaised(
        key=key,
        kind="performance",
        severity="warning" if _answers(decision) else "critical",
        model=model,
        incident=incident,
        title=f"{model}: the performance on matured rows fell",
        text=_paragraphs(*notes, _decided(decision)),
        evidence={
            "value": None if trigger is None else trigger.value,
            "threshold": None if trigger is None else trigger.threshold,
            "cohorts": [cohort["cohort"] for cohort in cohorts][:_MOST_LINES],
            **(decay.evidence if decay is not None else {}),
        },
    )


def _staleness(model: str, incident: str, decision: Decision | None) -> Iterator[Change]:
    trigger = _trigger(decision, "max_age")
    if decision is None or trigger is None or trigger.value is None:
        return
    key = key_of(model, "stale_champion")
    if not trigger.fired or decision.outcome == "retrain":
        if not trigger.fired:
            yield AlertResolved(key=key, reason="the champion is young enough again")
        return
    held = [f"- {guard.note}" for guard in decision.guards if not guard.passed]
    yield AlertRaised(
        key=key,
        kind="stale_champion",
        severity="warning",
        model=model,
        incident=incident,
        title=f"{model}: the champion is too old, and no retrain may start",
        text=_paragraphs(trigger.note, "\n".join(held)),
        evidence={"value": trigger.value, "threshold": trigger.threshold, "unit": trigger.unit},
    )


def _trigger(decision: Decision | None, kind: str) -> TriggerResult | None:
    """Return the result of a kind's trigger: one that fired before one that did not."""
    of_kind = [] if decision is None else [item for item in decision.triggers if item.kind == kind]
    return max(of_kind, key=lambda item: (item.fired, item.streak), default=None)


def _answers(decision: Decision | None) -> bool:
    return decision is not None and decision.outcome == "retrain"


def _decided(decision: Decision | None) -> str:
    return "" if decision is None else f"Decided: {decision.outcome}. {decision.reason}"


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)
