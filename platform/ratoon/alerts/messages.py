"""How alerts read in a message, and how long a delivery that failed waits. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ratoon.identity import derive_id
from ratoon.instants import format_instant
from ratoon.ledger.alerts import SEVERITIES
from ratoon.ledger.records import Alert, AlertMessage, Transition

WAITS_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds from a failed attempt to the next: about three days in all. Source: Standard Webhooks, "Retries"."""

_LONGEST_TITLE = 200


def compose(alerts: Sequence[Alert], transition: Transition) -> tuple[str, str]:
    """Return title and text (Markdown) of a message about alerts of one incident, the worst first."""
    ranked = sorted(alerts, key=lambda alert: (-SEVERITIES.index(alert.severity), alert.key))
    worst = ranked[0]
    more = f" and {len(ranked) - 1} more" if len(ranked) > 1 else ""
    word = worst.severity.capitalize() if transition == "raised" else "Resolved"
    title = f"{word}: {worst.title}{more}"
    part = _raised if transition == "raised" else _resolved
    return title[:_LONGEST_TITLE], "\n\n".join(part(alert) for alert in ranked)


def webhook_payload(message: AlertMessage) -> dict[str, Any]:
    """Return a message as a webhook carries it: ``type``, ``timestamp`` and ``data`` (Standard Webhooks, "Payload")."""
    return {
        "type": f"alert.{message.transition}",
        "timestamp": format_instant(message.created_at),
        "data": {
            "incident": message.incident,
            "severity": message.severity,
            "title": message.title,
            "text": message.text,
            "alerts": message.alerts,
        },
    }


def trial_message(now: datetime) -> AlertMessage:
    """Return a message that only says that a channel works."""
    return AlertMessage(
        message_id=derive_id("message", "test", format_instant(now)),
        incident="test",
        transition="raised",
        severity="info",
        title="Ratoon's alerts arrive here",
        text="This is a test. Nothing needs your attention.",
        alerts=[],
        created_at=now,
    )


def wait_after(attempt: int) -> float | None:
    """Return the seconds to wait after so many failed attempts; None gives the delivery up.

    Example:
        >>> wait_after(1), wait_after(10)
        (5, None)
    """
    return WAITS_S[attempt - 1] if attempt <= len(WAITS_S) else None


def _raised(alert: Alert) -> str:
    times = f"seen {alert.count} times since" if alert.count > 1 else "seen at"
    hint = f"{times} {format_instant(alert.first_seen)} · `ratoon mute {alert.key} --for 1d --reason ...`"
    return f"**{alert.title}** ({alert.severity})\n\n{alert.text}\n\n{hint}"


def _resolved(alert: Alert) -> str:
    who = "" if alert.resolved_by in (None, "ratoon") else f" by {alert.resolved_by}"
    return f"**{alert.title}** is resolved{who}: {alert.reason}"
