"""What is told about alerts: messages made once, and tried per channel until they arrive."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from ratoon.identity import derive_id
from ratoon.ledger.alerts import SEVERITIES, mutes_in
from ratoon.ledger.engine import Database, Transaction
from ratoon.ledger.records import Alert, AlertMessage, Delivery, DeliveryClaim, Severity, Transition
from ratoon.ledger.tables import ALERT, ALERT_DELIVERY, ALERT_MESSAGE

Compose = Callable[[Sequence[Alert], Transition], tuple[str, str]]
"""Returns title and text (Markdown) of a message about alerts of one incident."""

_TOLD = {
    "alert_id",
    "key",
    "kind",
    "severity",
    "model",
    "dataset",
    "title",
    "text",
    "evidence",
    "state",
    "count",
    "first_seen",
    "last_seen",
    "resolved_by",
    "reason",
}


class Deliveries(Database):
    """The messages about alerts and their way to the channels."""

    def write_messages(
        self, channels: Sequence[str], compose: Compose, *, at_least: Severity = "info", window_s: float = 0
    ) -> int:
        """Write a message for each incident that has something to tell since ``window_s``; return how many.

        Alerts of one incident that are due together come in one message; muted ones wait until their mute
        ends. Nothing is written while there is no channel. Any number of callers may do so at once: what
        is told is taken by a guarded update, so that nothing is told twice.

        Args:
            channels: Names of the channels that get it.
            compose: Makes title and text; pure.
            at_least: Milder alerts are not told; one that grows worse is.
            window_s: Time for which an incident gathers its alerts.
        """
        if not channels:
            return 0
        with self.reading() as tx:
            waiting = [Alert.of(row) for row in tx.rows(select(ALERT).where(ALERT.c.due_since.is_not(None)))]
            mutes, ripe = (mutes_in(tx) if waiting else []), tx.now - timedelta(seconds=window_s)
        groups: dict[tuple[str, str], list[Alert]] = {}
        mildest = SEVERITIES.index(at_least)
        for alert in waiting:
            is_muted = any(mute.covers(alert.key) for mute in mutes)
            if not is_muted and SEVERITIES.index(alert.severity) >= mildest:
                groups.setdefault((alert.incident, alert.state), []).append(alert)
        due = [group for group in groups.values() if min(a.due_since for a in group if a.due_since) <= ripe]
        return sum(self._write_message(group, channels, compose) for group in due)

    def claim_delivery(self, channels: Sequence[str], *, lease_s: float) -> DeliveryClaim | None:
        """Return the right to try the delivery that is due longest, or None where none is due.

        Nobody else tries it for ``lease_s``; a claimant that dies is followed by another, who sends the
        same message id.
        """
        while (seen := self._due(channels)) is not None:
            with self.writing() as tx:
                row = tx.change(
                    ALERT_DELIVERY,
                    ALERT_DELIVERY.c.message_id == seen.message_id,
                    ALERT_DELIVERY.c.channel == seen.channel,
                    ALERT_DELIVERY.c.attempts == seen.attempts,
                    ALERT_DELIVERY.c.due_at == seen.due_at,
                    attempts=seen.attempts + 1,
                    due_at=tx.now + timedelta(seconds=lease_s),
                )
                if row is None:
                    continue
                found = select(ALERT_MESSAGE).where(ALERT_MESSAGE.c.message_id == row.message_id)
                message = AlertMessage.of(tx.connection.execute(found).one())
                return DeliveryClaim(message=message, channel=row.channel, attempt=row.attempts)
        return None

    def report_delivered(self, claim: DeliveryClaim) -> None:
        """Note that a channel took a message, whoever else may have tried meanwhile."""
        with self.writing() as tx:
            undelivered = (*_of(claim), ALERT_DELIVERY.c.delivered_at.is_(None))
            if tx.change(ALERT_DELIVERY, *undelivered, delivered_at=tx.now, due_at=None, error=None) is not None:
                tx.audit("alert.delivered", claim.message.message_id, channel=claim.channel, attempt=claim.attempt)

    def report_undelivered(self, claim: DeliveryClaim, *, error: str, again_after_s: float | None) -> None:
        """Note why a channel did not take a message, and when it is tried again; None gives it up."""
        with self.writing() as tx:
            due = None if again_after_s is None else tx.now + timedelta(seconds=again_after_s)
            mine = (
                *_of(claim),
                ALERT_DELIVERY.c.delivered_at.is_(None),
                ALERT_DELIVERY.c.attempts == claim.attempt,
            )
            if tx.change(ALERT_DELIVERY, *mine, due_at=due, error=error) is not None:
                action = "alert.given_up" if due is None else "alert.undelivered"
                subject, attempt = claim.message.message_id, claim.attempt
                tx.audit(action, subject, channel=claim.channel, attempt=attempt, error=error)

    def deliveries(self, message_ids: Sequence[str]) -> list[Delivery]:
        """Return the deliveries of some messages, by message and channel."""
        order = (ALERT_DELIVERY.c.message_id, ALERT_DELIVERY.c.channel)
        query = select(ALERT_DELIVERY).where(ALERT_DELIVERY.c.message_id.in_(message_ids)).order_by(*order)
        with self.reading() as tx:
            return [Delivery.of(row) for row in tx.rows(query)]

    def failing_deliveries(self, channels: Sequence[str], *, limit: int = 100) -> list[Delivery]:
        """Return the deliveries to some channels that were tried and did not arrive, newest first."""
        tried = (ALERT_DELIVERY.c.delivered_at.is_(None), ALERT_DELIVERY.c.error.is_not(None))
        order = (ALERT_DELIVERY.c.created_at.desc(), ALERT_DELIVERY.c.message_id, ALERT_DELIVERY.c.channel)
        query = select(ALERT_DELIVERY).where(*tried, ALERT_DELIVERY.c.channel.in_(channels)).order_by(*order)
        with self.reading() as tx:
            return [Delivery.of(row) for row in tx.rows(query.limit(limit))]

    def _due(self, channels: Sequence[str]) -> Delivery | None:
        waits = (ALERT_DELIVERY.c.delivered_at.is_(None), ALERT_DELIVERY.c.channel.in_(channels))
        query = select(ALERT_DELIVERY).where(*waits)
        with self.reading() as tx:
            order = (ALERT_DELIVERY.c.due_at, ALERT_DELIVERY.c.message_id, ALERT_DELIVERY.c.channel)
            row = tx.first(query.where(ALERT_DELIVERY.c.due_at <= tx.now).order_by(*order).limit(1))
        return None if row is None else Delivery.of(row)

    def _write_message(self, group: list[Alert], channels: Sequence[str], compose: Compose) -> bool:
        with self.writing() as tx:
            taken = [told for told in (_take(tx, alert) for alert in _in_order(group)) if told is not None]
            if not taken:
                return False
            message_id = derive_id("message", *(f"{a.alert_id}/{a.state}/{a.severity}" for a in taken))
            transition: Transition = "raised" if taken[0].state == "open" else "resolved"
            title, text = compose(taken, transition)
            tx.add(
                ALERT_MESSAGE,
                message_id=message_id,
                incident=taken[0].incident,
                transition=transition,
                severity=max((alert.severity for alert in taken), key=SEVERITIES.index),
                title=title,
                text=text,
                alerts=[alert.model_dump(mode="json", include=_TOLD) for alert in taken],
                created_at=tx.now,
            )
            for channel in channels:
                key = {"message_id": message_id, "channel": channel}
                tx.add(ALERT_DELIVERY, **key, attempts=0, due_at=tx.now, created_at=tx.now)
            for alert in taken:
                tx.change(ALERT, ALERT.c.alert_id == alert.alert_id, message_id=message_id)
            tx.audit("alert.told", message_id, transition=transition, keys=[alert.key for alert in taken])
            return True


def _in_order(group: list[Alert]) -> list[Alert]:
    """Return alerts in the one order in which every caller takes them, so that two callers can't lock each other."""
    return sorted(group, key=lambda alert: alert.alert_id)


def _take(tx: Transaction, seen: Alert) -> Alert | None:
    """Take what there is to tell about an alert, unless somebody else did or it changed."""
    row = tx.change(
        ALERT,
        ALERT.c.alert_id == seen.alert_id,
        ALERT.c.state == seen.state,
        ALERT.c.severity == seen.severity,
        ALERT.c.due_since == seen.due_since,
        due_since=None,
        told=ALERT.c.severity,
    )
    return None if row is None else Alert.of(row)


def _of(claim: DeliveryClaim) -> tuple[Any, ...]:
    return (
        ALERT_DELIVERY.c.message_id == claim.message.message_id,
        ALERT_DELIVERY.c.channel == claim.channel,
    )
