"""Alerts: raised and resolved once per cause, at most one open per key; and the mutes that keep them quiet."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, assert_never

from sqlalchemy import Row, case, func, literal, select

from ratoon.errors import ConflictError, NotFoundError
from ratoon.identity import derive_id
from ratoon.ledger.columns import UtcInstant
from ratoon.ledger.engine import Database, Transaction
from ratoon.ledger.records import Alert, AlertKind, AlertRaised, AlertResolved, Mute, Retrain
from ratoon.ledger.states import RetrainState
from ratoon.ledger.tables import ALERT, ALERT_CAUSE, ALERT_MUTE, RETRAIN

SEVERITIES = ("info", "warning", "critical")
"""Every severity, the mildest first."""

_ENDED = (RetrainState.FAILED, RetrainState.PROMOTED, RetrainState.REJECTED)
_LOOK_BACK = timedelta(days=30)
_worst_first = case({name: rank for rank, name in enumerate(reversed(SEVERITIES))}, value=ALERT.c.severity)


class Alerts(Database):
    """The alerts of the ledger."""

    def apply_alerts(self, cause: str, changes: Sequence[AlertRaised | AlertResolved], *, as_of: datetime) -> bool:
        """Raise and resolve what one cause brings about, in one transaction; return whether it was done now.

        The same cause does so once: a step that is taken again counts nothing twice. Raising an open key
        counts it and keeps the newest title, text and evidence; its severity only rises. Resolving a key
        that is not open changes nothing.

        Args:
            cause: Id of what was seen: an event of a model, or a retrain.
            changes: What follows from it, in this order.
            as_of: The time that it is about.
        """
        with self.writing() as tx:
            if not tx.add_once(ALERT_CAUSE, cause=cause, recorded_at=tx.now):
                return False
            for change in changes:
                match change:
                    case AlertRaised():
                        _raise(tx, change, cause, as_of)
                    case AlertResolved():
                        _resolve(tx, change.key, actor="ratoon", reason=change.reason)
                    case _:
                        assert_never(change)
            return True

    def resolve_alert(self, key: str, *, actor: str, reason: str) -> Alert:
        """Resolve an open alert because a person says so.

        Raises:
            NotFoundError: No alert of that key is open.
        """
        with self.writing() as tx:
            row = _resolve(tx, key, actor=actor, reason=reason)
        if row is None:
            raise NotFoundError(f"no alert {key!r} is open; `ratoon alerts` lists the open ones by key")
        return Alert.of(row)

    def alerts(
        self,
        model: str | None = None,
        *,
        kind: AlertKind | None = None,
        with_resolved: bool = False,
        limit: int = 100,
    ) -> list[Alert]:
        """Return alerts: open ones first, the worst first, then the newest.

        Args:
            model: Only those about this model.
            kind: Only those of this kind.
            with_resolved: Also those that are over.
            limit: Most alerts to return.
        """
        query = select(ALERT).order_by(ALERT.c.state, _worst_first, ALERT.c.opened_at.desc(), ALERT.c.key).limit(limit)
        if model is not None:
            query = query.where(ALERT.c.model == model)
        if kind is not None:
            query = query.where(ALERT.c.kind == kind)
        if not with_resolved:
            query = query.where(ALERT.c.state == "open")
        with self.reading() as tx:
            return [Alert.of(row) for row in tx.rows(query)]

    def open_alert_keys(self) -> set[str]:
        """Return the keys whose alert is open."""
        with self.reading() as tx:
            return {row.key for row in tx.rows(select(ALERT.c.key).where(ALERT.c.state == "open"))}

    def mute(self, pattern: str, *, until: datetime, actor: str, reason: str) -> Mute:
        """Tell nothing about the keys of a pattern until a time; a later mute of the same pattern replaces it.

        What is still open when the mute ends is told then. What began and ended under it is never told.
        """
        with self.writing() as tx:
            values = {"pattern": pattern, "until": until, "actor": actor, "reason": reason, "created_at": tx.now}
            tx.put(ALERT_MUTE, **values)
            tx.audit("alert.muted", pattern, actor=actor, until=until.isoformat(), reason=reason)
            return Mute.model_validate(values)

    def unmute(self, pattern: str, *, actor: str) -> Mute:
        """End a mute now.

        Raises:
            NotFoundError: No mute of that pattern holds.
        """
        with self.writing() as tx:
            row = tx.change(ALERT_MUTE, ALERT_MUTE.c.pattern == pattern, ALERT_MUTE.c.until > tx.now, until=tx.now)
            if row is None:
                raise NotFoundError(f"no mute of {pattern!r} holds; `ratoon alerts` lists the mutes")
            tx.audit("alert.unmuted", pattern, actor=actor)
            return Mute.of(row)

    def mutes(self) -> list[Mute]:
        """Return the mutes that hold now, by pattern."""
        with self.reading() as tx:
            return mutes_in(tx)

    def retrains_without_alerts(self, *, limit: int = 100) -> list[Retrain]:
        """Return the retrains that ended in the last 30 days and whose end was no alert's cause yet, oldest first."""
        query = (
            select(RETRAIN)
            .outerjoin(ALERT_CAUSE, ALERT_CAUSE.c.cause == RETRAIN.c.retrain_id)
            .where(RETRAIN.c.state.in_(_ENDED), ALERT_CAUSE.c.cause.is_(None))
            .order_by(RETRAIN.c.finished_at, RETRAIN.c.seq)
            .limit(limit)
        )
        with self.reading() as tx:
            return [Retrain.of(row) for row in tx.rows(query.where(RETRAIN.c.finished_at > tx.now - _LOOK_BACK))]


def mutes_in(tx: Transaction) -> list[Mute]:
    """Return the mutes that hold at a transaction's time."""
    holds = select(ALERT_MUTE).where(ALERT_MUTE.c.until > tx.now).order_by(ALERT_MUTE.c.pattern)
    return [Mute.of(row) for row in tx.rows(holds)]


def _raise(tx: Transaction, raised: AlertRaised, cause: str, as_of: datetime) -> None:
    told = raised.model_dump(mode="json", exclude={"key", "severity"})
    if _see_again(tx, raised, told, as_of):
        return
    opened = tx.add_once(
        ALERT,
        alert_id=derive_id("alert", raised.key, cause),
        key=raised.key,
        severity=raised.severity,
        **told,
        state="open",
        count=1,
        first_seen=as_of,
        last_seen=as_of,
        opened_at=tx.now,
        due_since=tx.now,
    )
    if opened:
        tx.audit("alert.raised", raised.key, severity=raised.severity, cause=cause)
    elif not _see_again(tx, raised, told, as_of):
        raise ConflictError(f"alert {raised.key} was opened and resolved by others meanwhile; raise it again")


def _see_again(tx: Transaction, raised: AlertRaised, told: dict[str, Any], as_of: datetime) -> bool:
    seen = case((ALERT.c.last_seen < as_of, literal(as_of, UtcInstant())), else_=ALERT.c.last_seen)
    row = tx.change(ALERT, *_is_open(raised.key), count=ALERT.c.count + 1, last_seen=seen, **told)
    if row is None:
        return False
    if SEVERITIES.index(raised.severity) > SEVERITIES.index(row.severity):
        due = func.coalesce(ALERT.c.due_since, literal(tx.now, UtcInstant()))
        tx.change(ALERT, ALERT.c.alert_id == row.alert_id, severity=raised.severity, due_since=due)
        tx.audit("alert.escalated", raised.key, before=row.severity, severity=raised.severity)
    else:
        tx.audit("alert.seen", raised.key, count=row.count)
    return True


def _resolve(tx: Transaction, key: str, *, actor: str, reason: str) -> Row[Any] | None:
    """End an open alert; its end is told where its beginning was."""
    due = case((ALERT.c.told.is_not(None), literal(tx.now, UtcInstant())), else_=None)
    ended = {"state": "resolved", "resolved_at": tx.now, "resolved_by": actor, "reason": reason, "due_since": due}
    row = tx.change(ALERT, *_is_open(key), **ended)
    if row is not None:
        tx.audit("alert.resolved", key, actor=actor, reason=reason)
    return row


def _is_open(key: str) -> tuple[Any, ...]:
    return (ALERT.c.key == key, ALERT.c.state == "open")
