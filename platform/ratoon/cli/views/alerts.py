"""How alerts read, and what became of the messages about them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ratoon.cli.output import Block, Heading, Table
from ratoon.cli.views.words import age, count, instant

if TYPE_CHECKING:
    from ratoon.alerts import Answer
    from ratoon.ledger.records import Alert, Delivery, Mute, Severity

_RANKS = ("info", "warning", "critical")


def alert_blocks(
    alerts: Sequence["Alert"],
    mutes: Sequence["Mute"],
    deliveries: Sequence["Delivery"],
    now: datetime,
    *,
    at_least: "Severity" = "info",
) -> Iterator[Block]:
    """Yield the alerts, the mutes that hold, and the messages that did not arrive.

    Args:
        alerts: In the order in which they are shown.
        mutes: Those that hold.
        deliveries: Of the messages about the alerts.
        now: The time that ages count up to.
        at_least: Milder alerts are not sent.
    """
    if not alerts:
        yield "nothing is open"
    else:
        columns = ["severity", "key", "what", "seen", "last seen", "state", "told"]
        yield Table(columns=columns, rows=[_row(alert, mutes, deliveries, now, at_least) for alert in alerts])
    if mutes:
        rows = [[mute.pattern, instant(mute.until), mute.actor, mute.reason] for mute in mutes]
        yield Heading(text="Mutes")
        yield Table(columns=["pattern", "until", "by", "reason"], rows=rows)
    failing = [delivery for delivery in deliveries if delivery.delivered_at is None and delivery.error is not None]
    if failing:
        yield Heading(text="Messages that did not arrive")
        yield Table(
            columns=["channel", "attempts", "again at", "answer"],
            rows=[[d.channel, str(d.attempts), instant(d.due_at), d.error or "-"] for d in failing],
        )


def answer_blocks(answers: Mapping[str, "Answer"]) -> Iterator[Block]:
    """Yield what each channel answered to a test message."""
    if not answers:
        yield "no channel is set: alert_urls and webhook_urls are empty"
        return
    rows = [["ok" if found.is_delivered else "fail", name, found.detail] for name, found in answers.items()]
    yield Table(columns=["", "channel", "answer"], rows=rows)


def _row(
    alert: "Alert", mutes: Sequence["Mute"], deliveries: Sequence["Delivery"], now: datetime, at_least: "Severity"
) -> list[str]:
    seen = "once" if alert.count == 1 else f"{alert.count} times since {instant(alert.first_seen)}"
    state = "open" if alert.state == "open" else f"resolved by {alert.resolved_by}: {alert.reason}"
    last = f"{instant(alert.last_seen)} ({age(alert.last_seen, now)} ago)"
    return [alert.severity, alert.key, alert.title, seen, last, state, _told(alert, mutes, deliveries, at_least)]


def _told(alert: "Alert", mutes: Sequence["Mute"], deliveries: Sequence["Delivery"], at_least: "Severity") -> str:
    muted = [mute for mute in mutes if mute.covers(alert.key)]
    if muted:
        return f"muted until {instant(max(mute.until for mute in muted))}"
    mine = [delivery for delivery in deliveries if delivery.message_id == alert.message_id]
    if not mine:
        return "listed only" if _RANKS.index(alert.severity) < _RANKS.index(at_least) else "not yet"
    missing = [delivery for delivery in mine if delivery.delivered_at is None]
    if not missing:
        return f"yes ({count(len(mine), 'channel')})"
    given_up = sum(delivery.due_at is None for delivery in missing)
    how = f", {given_up} given up" if given_up else ""
    return f"{len(mine) - len(missing)} of {count(len(mine), 'channel')}{how}"
