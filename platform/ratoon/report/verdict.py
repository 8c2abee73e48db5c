"""The report in one sentence: whether somebody has to do something."""

from typing import Literal

from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.policy.values import Decision
from ratoon.report.formats import closed, count, day
from ratoon.report.values import AlertView, DecisionView, ReportData


class Summary(Strict):
    """What stands on top of a report."""

    level: Literal["quiet", "watch", "act"] = Field(
        description="quiet: nothing needs a person · watch: something moved and the policy has it in hand · "
        "act: a person should look."
    )
    headline: str
    detail: str = ""


def summarize(data: ReportData) -> Summary:
    """Say in one sentence whether a model needs somebody, the most urgent first.

    Args:
        data: The report's data.
    """
    return _broken(data) or _failing(data) or _alerting(data) or _waiting_for_champion(data) or _moved(data)


def waiting_reason(decision: DecisionView | Decision) -> str:
    """Return why a decision waits, short: what holds it back, or that nothing asked for a retrain."""
    fired = [trigger.key for trigger in decision.triggers if trigger.fired]
    if not fired:
        return "no trigger fired"
    holding = [guard.note for guard in decision.guards if not guard.passed]
    return f"{' and '.join(fired)} fired, but {'; '.join(holding) or 'a guard holds it back'}"


def _broken(data: ReportData) -> Summary | None:
    found = data.diagnosis
    if found is None or found.verdict != "broken":
        return None
    todo = {"hold": "retraining is held until it is looked at", "reingest": "deliver it again"}.get(
        found.advice, "look at it"
    )
    return Summary(level="act", headline=f"The newest batch looks broken: {todo}.", detail=closed(found.sentence))


def _failing(data: ReportData) -> Summary | None:
    retrain = next((decision.retrain for decision in data.decisions if decision.retrain is not None), None)
    if retrain is None or retrain.state.lower() != "failed":
        return None
    return Summary(
        level="act",
        headline=f"The last retrain of {day(retrain.requested_at)} failed; the champion stays.",
        detail=closed(retrain.error),
    )


def _alerting(data: ReportData) -> Summary | None:
    critical = [alert for alert in _open(data) if alert.severity in ("critical", "error")]
    if not critical:
        return None
    more = f" {count(len(critical) - 1, 'more critical alert')} open." if len(critical) > 1 else ""
    return Summary(level="act", headline=closed(critical[0].title), detail=f"{_first_line(critical[0])}{more}")


def _open(data: ReportData) -> list[AlertView]:
    return [alert for alert in data.alerts or [] if not alert.muted]


def _first_line(alert: AlertView) -> str:
    return closed(alert.sentence.strip().splitlines()[0]) if alert.sentence.strip() else ""


def _waiting_for_champion(data: ReportData) -> Summary | None:
    if data.champion is not None:
        return None
    if not data.decisions:
        return Summary(
            level="quiet",
            headline="Nothing has been decided yet.",
            detail="No batch or label file has led to a decision.",
        )
    last = data.decisions[0]
    if last.kind == "retrain":
        return Summary(level="watch", headline="The first version is on its way.", detail=closed(last.reason))
    return Summary(
        level="watch", headline="There is no champion yet.", detail=f"The policy waits: {waiting_reason(last)}."
    )


def _moved(data: ReportData) -> Summary:
    report, last = data.drift, data.decisions[0] if data.decisions else None
    drifted = report.drifted if report is not None else []
    joint = report is not None and report.joint is not None and report.joint.flagged
    policy = _policy(last)
    if drifted and report is not None:
        return Summary(
            level="watch",
            headline=f"{len(drifted)} of {count(len(report.columns), 'column')} drifted; {policy}.",
            detail=f"{_who(drifted)}{_alerts_open(data)}",
        )
    if joint:
        headline = f"Columns no longer move together as they did; {policy}."
        return Summary(level="watch", headline=headline, detail=_alerts_open(data).strip())
    if last is not None and last.kind != "wait":
        return Summary(level="watch", headline=f"{policy[0].upper()}{policy[1:]}.", detail=closed(last.reason))
    if _open(data):
        return Summary(level="watch", headline=closed(_open(data)[0].title), detail=_first_line(_open(data)[0]))
    return Summary(level="quiet", headline="Nothing needs you.", detail=_quiet(data))


def _alerts_open(data: ReportData) -> str:
    n = len(_open(data))
    return f" {count(n, 'alert')} {'is' if n == 1 else 'are'} open." if n else ""


def _who(drifted: list[str]) -> str:
    shown = ", ".join(drifted[:4])
    return f"Worst: {shown}{f' and {len(drifted) - 4} more' if len(drifted) > 4 else ''}."


def _policy(last: DecisionView | None) -> str:
    if last is None:
        return "nothing has been decided about it yet"
    if last.kind == "retrain":
        return "the policy asked for a retrain"
    return f"the policy waits because {waiting_reason(last)}"


def _quiet(data: ReportData) -> str:
    if data.drift is None:
        return "No drift report has been made yet."
    if not data.drift.judged:
        return closed(data.drift.sentence)
    return f"None of {count(len(data.drift.columns), 'column')} drifted, and no trigger fired."
