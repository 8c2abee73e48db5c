"""The champion pointer: moved by a verdict or a person, always as a new promotion."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, case, select

from ratoon.errors import ConflictError, LedgerError, NotFoundError, RefusedError
from ratoon.identity import derive_id
from ratoon.ledger.engine import Database, Transaction
from ratoon.ledger.events import append_event
from ratoon.ledger.models import unknown_model
from ratoon.ledger.records import Promotion, PromotionKind, Retrain
from ratoon.ledger.retrains import get_retrain
from ratoon.ledger.states import RetrainState
from ratoon.ledger.tables import ARTIFACT, DEPLOYMENT, EVALUATION, MODEL, NOTICE, PROMOTION, RETRAIN, VERSION

_base_is_current = (
    select(MODEL.c.revision).where(MODEL.c.name == RETRAIN.c.model).correlate(RETRAIN).scalar_subquery()
    == RETRAIN.c.base_revision
)
_state_by_verdict = case(
    (and_(RETRAIN.c.verdict == "promote", _base_is_current), RetrainState.PROMOTED), else_=RetrainState.REJECTED
)


class Promotions(Database):
    """The ways in which the champion changes."""

    def conclude(self, retrain_id: str, *, as_of: datetime | None = None) -> Retrain:
        """Act on the stored verdict: PROMOTED as the model's next version, or REJECTED; doing it again changes nothing.

        A candidate whose champion changed since its evaluation began is rejected, whatever the verdict:
        it was judged against something else.

        Args:
            retrain_id: An EVALUATED retrain.
            as_of: The promotion's time; None takes the decision's.

        Raises:
            LedgerError: It was not evaluated yet.
        """
        try:
            return self._conclude(retrain_id, as_of)
        except ConflictError:  # The champion moved between reading and writing; the second look sees where to.
            return self._conclude(retrain_id, as_of)

    def promote(
        self,
        model: str,
        version: int,
        *,
        actor: str,
        reason: str,
        as_of: datetime | None = None,
        expected_revision: int | None = None,
    ) -> Promotion:
        """Make a version the champion because a person says so.

        Args:
            model: The model's name.
            version: One of :meth:`versions`.
            actor: Who asks.
            reason: Why.
            as_of: The promotion's time; None takes the ledger's clock.
            expected_revision: The revision that the person saw; None takes the present one.

        Raises:
            NotFoundError: No such model or version.
            RefusedError: The version is the champion already.
            ConflictError: The champion changed in between.
        """
        row = self._seen(model)
        return self._point_at(
            row, version, kind="manual", actor=actor, reason=reason, as_of=as_of, expected=expected_revision
        )

    def rollback(
        self,
        model: str,
        *,
        to_version: int | None = None,
        actor: str,
        reason: str,
        as_of: datetime | None = None,
        expected_revision: int | None = None,
    ) -> Promotion:
        """Make an older version the champion again; None means the one before the champion.

        Raises:
            NotFoundError: No such model or version.
            RefusedError: There is nothing older, or the version asked for is not older.
            ConflictError: The champion changed in between.
        """
        row = self._seen(model)
        champion = row.champion_version or 0
        target = champion - 1 if to_version is None else to_version
        if not 1 <= target < champion:
            raise RefusedError(
                f"model {model} can't roll back from {_named(champion)} to {_named(target)}; expected an older version "
                "(ratoon lineage lists them): promote a newer one instead"
            )
        return self._point_at(
            row, target, kind="rollback", actor=actor, reason=reason, as_of=as_of, expected=expected_revision
        )

    def _seen(self, model: str) -> Row[Any]:
        with self.reading() as tx:
            row = tx.first(select(MODEL).where(MODEL.c.name == model))
        if row is None:
            raise unknown_model(model)
        return row

    def _point_at(
        self,
        seen: Row[Any],
        version: int,
        *,
        kind: PromotionKind,
        actor: str,
        reason: str,
        as_of: datetime | None,
        expected: int | None,
    ) -> Promotion:
        revision = seen.revision if expected is None else expected
        with self.writing() as tx:
            row = _move(tx, seen.name, revision, revision=revision + 1, champion_version=version)
            known = tx.first(select(VERSION).where(VERSION.c.model == seen.name, VERSION.c.version == version))
            if known is None:
                raise NotFoundError(f"model {seen.name} has no version {version}; it has 1 to {row.last_version}")
            if _previous(tx, row) == version:
                raise RefusedError(f"version {version} is already the champion of model {seen.name}")
            promotion = _note(
                tx,
                row,
                known.artifact_digest,
                kind=kind,
                actor=actor,
                reason=reason,
                at=as_of or tx.now,
                retrain_id=None,
            )
            data = promotion.model_dump(mode="json", exclude={"recorded_at"})
            tx.add(NOTICE, seq=tx.next_seq(), kind="promotion.made", model=seen.name, data=data, recorded_at=tx.now)
            return promotion

    def _conclude(self, retrain_id: str, as_of: datetime | None) -> Retrain:
        with self.writing() as tx:
            row = tx.change(
                RETRAIN,
                RETRAIN.c.retrain_id == retrain_id,
                RETRAIN.c.state == RetrainState.EVALUATED,
                state=_state_by_verdict,
                finished_at=tx.now,
                updated_at=tx.now,
            )
            if row is None:
                return _concluded(get_retrain(tx, retrain_id))
            if row.state == RetrainState.PROMOTED:
                _promote_candidate(tx, row, as_of or row.as_of)
            elif row.verdict == "promote":
                tx.change(RETRAIN, RETRAIN.c.retrain_id == retrain_id, error=_champion_moved(row))
            tx.audit(f"retrain.{row.state}", retrain_id, model=row.model, verdict=row.verdict)
            return get_retrain(tx, retrain_id)


def _move(tx: Transaction, model: str, seen: int, **values: Any) -> Row[Any]:
    row = tx.change(MODEL, MODEL.c.name == model, MODEL.c.revision == seen, **values)
    if row is None:
        raise ConflictError(
            f"the champion of model {model} changed since revision {seen}, so it was not moved; look again and retry"
        )
    return row


def _promote_candidate(tx: Transaction, retrain: Row[Any], at: datetime) -> None:
    number = MODEL.c.last_version + 1
    row = _move(
        tx,
        retrain.model,
        retrain.base_revision,
        revision=retrain.base_revision + 1,
        champion_version=number,
        last_version=number,
    )
    artifact = tx.connection.execute(select(ARTIFACT).where(ARTIFACT.c.retrain_id == retrain.retrain_id)).one()
    reasons = select(EVALUATION.c.reasons).where(EVALUATION.c.retrain_id == retrain.retrain_id)
    tx.add(
        VERSION,
        model=retrain.model,
        version=row.champion_version,
        retrain_id=retrain.retrain_id,
        artifact_digest=artifact.digest,
        data_until=artifact.data_until,
        created_at=at,
        recorded_at=tx.now,
    )
    reason = "; ".join(tx.connection.execute(reasons).scalar_one()) or "the gate's verdict"
    _note(
        tx, row, artifact.digest, kind="promotion", actor="ratoon", reason=reason, at=at, retrain_id=retrain.retrain_id
    )


def _note(
    tx: Transaction,
    model: Row[Any],
    artifact_digest: str,
    *,
    kind: PromotionKind,
    actor: str,
    reason: str,
    at: datetime,
    retrain_id: str | None,
) -> Promotion:
    """Write down a move of the pointer that was just made: promotion, deployment, event and audit."""
    moved = {"model": model.name, "revision": model.revision, "version": model.champion_version}
    because = {"kind": kind, "actor": actor, "reason": reason, "retrain_id": retrain_id}
    previous = _previous(tx, model)
    tx.add(PROMOTION, **moved, **because, previous_version=previous, at=at, recorded_at=tx.now)
    tx.add(DEPLOYMENT, **moved, target="batch", artifact_digest=artifact_digest, at=at)
    append_event(
        tx,
        event_id=derive_id("event", "champion.changed", model.name, str(model.revision)),
        kind="champion.changed",
        subject=model.name,
        as_of=at,
        data={**moved, **because, "previous_version": previous, "artifact_digest": artifact_digest},
        cause=retrain_id,
    )
    tx.audit("champion.changed", model.name, actor=actor, **moved, kind=kind, reason=reason, retrain_id=retrain_id)
    return Promotion.model_validate({**moved, **because, "previous_version": previous, "at": at, "recorded_at": tx.now})


def _previous(tx: Transaction, model: Row[Any]) -> int | None:
    last = (PROMOTION.c.model == model.name, PROMOTION.c.revision == model.revision - 1)
    row = tx.first(select(PROMOTION.c.version).where(*last))
    return None if row is None else int(row.version)


def _concluded(retrain: Retrain) -> Retrain:
    if not retrain.state.is_terminal:
        raise LedgerError(
            f"retrain {retrain.retrain_id} is {retrain.state}, so there is no verdict to act on; evaluate it first"
        )
    return retrain


def _champion_moved(retrain: Row[Any]) -> dict[str, Any]:
    return ConflictError(
        f"the champion of model {retrain.model} changed while the candidate was judged against revision "
        f"{retrain.base_revision}; a new retrain will be judged against the present one"
    ).to_record() | {"retryable": False}


def _named(version: int) -> str:
    return f"version {version}" if version else "no champion"
