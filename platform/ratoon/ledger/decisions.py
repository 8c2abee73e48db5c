"""Decisions: the pure policy, and the one transaction that keeps what it decided."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, Text, select, type_coerce

from ratoon.errors import ConflictError, NotFoundError
from ratoon.identity import canonical_json, derive_id, digest_json
from ratoon.instants import as_utc
from ratoon.ledger.answers import ReplayMismatch
from ratoon.ledger.engine import Database, Transaction
from ratoon.ledger.events import concerns_model
from ratoon.ledger.models import unknown_model
from ratoon.ledger.outbox import post
from ratoon.ledger.records import DecisionRow, RetrainSpec
from ratoon.ledger.states import ACTIVE, RetrainState
from ratoon.ledger.tables import DECISION, EVENT, MODEL, NOTICE, RETRAIN
from ratoon.policy.decide import decide
from ratoon.policy.spec import Policy
from ratoon.policy.values import PolicyState, Signals


def decisions_query() -> Select[Any]:
    """Return the query for decision records; each carries the id of the retrain that it started, or null."""
    return select(DECISION, RETRAIN.c.retrain_id).outerjoin(RETRAIN, RETRAIN.c.decision_id == DECISION.c.decision_id)


class Decisions(Database):
    """The decisions of the ledger."""

    def decide(
        self,
        model: str,
        event_id: str,
        *,
        policy: Policy,
        signals: Signals,
        now: datetime,
        evidence: dict[str, Any],
        retrain: RetrainSpec,
    ) -> DecisionRow:
        """Decide about one event of a model and keep the decision, the policy's state and what it starts.

        Deciders of the same model wait for each other, so that single flight holds. The active retrain
        is read here and put into the signals. Deciding again about the same event returns the first
        decision.

        Args:
            model: The model's name.
            event_id: The event, one of :meth:`pending_events`.
            policy: The declared policy.
            signals: What was measured; ``active_retrain`` is overwritten.
            now: The decision's time.
            evidence: What else to keep with it: digests, versions, reports in short. JSON.
            retrain: What a retrain would do.

        Raises:
            NotFoundError: No such model, or no such event of it.
            ConflictError: The signals are about another champion than the present one: measure again.
        """
        with self.writing() as tx:
            # Taking the model's row first serializes deciders also where reads take no lock (PostgreSQL).
            row = tx.change(MODEL, MODEL.c.name == model, decision_count=MODEL.c.decision_count)
            if row is None:
                raise unknown_model(model)
            known = _find(tx, model, event_id)
            if known is not None:
                return known
            _require_event(tx, model, event_id)
            _require_fresh(signals, row)
            signals = signals.model_copy(update={"active_retrain": _active(tx, model)})
            values = _decided(policy, row.policy_state, signals, as_utc(now))
            decision_id = derive_id("decision", model, event_id)
            _remember(tx, row, values["state_after"])
            number = row.decision_count + 1
            key = {"decision_id": decision_id, "model": model, "event_id": event_id, "number": number}
            tx.add(DECISION, seq=tx.next_seq(), **key, **values, evidence=evidence, recorded_at=tx.now)
            tx.audit("decision.made", decision_id, model=model, outcome=values["outcome"], reason=values["reason"])
            if values["outcome"] == "retrain":
                _request(tx, row, decision_id, event_id, values, retrain)
            return _get(tx, model, event_id)

    def decision(self, model: str, event_id: str) -> DecisionRow | None:
        """Return the decision of a model about an event, or None."""
        with self.reading() as tx:
            return _find(tx, model, event_id)

    def decisions(self, model: str, *, limit: int = 100) -> list[DecisionRow]:
        """Return a model's decisions, newest first."""
        query = decisions_query().where(DECISION.c.model == model).order_by(DECISION.c.number.desc()).limit(limit)
        with self.reading() as tx:
            return [DecisionRow.of(row) for row in tx.rows(query)]

    def replay_decisions(self) -> list[ReplayMismatch]:
        """Decide everything again from what was kept; return where a byte differs (empty when all is well).

        It also checks that each decision began with the state that the model's last one left.
        """
        names = ("policy", "signals", "state_before", "state_after", "decision")
        texts = [type_coerce(DECISION.c[name], Text).label(name) for name in names]
        query = select(DECISION.c.decision_id, DECISION.c.model, DECISION.c.as_of, *texts)
        mismatches: list[ReplayMismatch] = []
        left: dict[str, str] = {}
        with self.reading() as tx:
            for row in tx.connection.execute(query.order_by(DECISION.c.model, DECISION.c.number)):
                mismatches += _replay(row, left.get(row.model, _text(PolicyState())))
                left[row.model] = row.state_after
        return mismatches


def _decided(policy: Policy, state: Any, signals: Signals, now: datetime) -> dict[str, Any]:
    """Decide on what the ledger keeps, not on what was handed in: a duration below a second does not survive JSON."""
    kept_policy, kept_signals = policy.model_dump(mode="json"), signals.model_dump(mode="json")
    before = PolicyState.model_validate(state)
    decision, after = decide(Policy.model_validate(kept_policy), before, Signals.model_validate(kept_signals), now)
    return {
        "outcome": decision.outcome,
        "reason": decision.reason,
        "as_of": now,
        "policy": kept_policy,
        "policy_digest": digest_json(kept_policy),
        "state_before": before.model_dump(mode="json"),
        "state_after": after.model_dump(mode="json"),
        "signals": kept_signals,
        "decision": decision.to_json(),
    }


def _replay(row: Row[Any], left: str) -> list[ReplayMismatch]:
    decision, after = decide(
        Policy.model_validate_json(row.policy),
        PolicyState.model_validate_json(row.state_before),
        Signals.model_validate_json(row.signals),
        row.as_of,
    )
    pairs = {
        "decision": (row.decision, _text(decision)),
        "state_after": (row.state_after, _text(after)),
        "state_before": (row.state_before, left),
    }
    return [
        ReplayMismatch.model_validate(
            {"decision_id": row.decision_id, "model": row.model, "field": name, "stored": stored, "recomputed": again}
        )
        for name, (stored, again) in pairs.items()
        if stored != again
    ]


def _text(value: Any) -> str:
    return canonical_json(value.model_dump(mode="json"))


def _find(tx: Transaction, model: str, event_id: str) -> DecisionRow | None:
    row = tx.first(decisions_query().where(DECISION.c.model == model, DECISION.c.event_id == event_id))
    return None if row is None else DecisionRow.of(row)


def _get(tx: Transaction, model: str, event_id: str) -> DecisionRow:
    query = decisions_query().where(DECISION.c.model == model, DECISION.c.event_id == event_id)
    return DecisionRow.of(tx.connection.execute(query).one())


def _active(tx: Transaction, model: str) -> str | None:
    row = tx.first(select(RETRAIN.c.retrain_id).where(RETRAIN.c.model == model, RETRAIN.c.state.in_(ACTIVE)))
    return None if row is None else str(row.retrain_id)


def _require_event(tx: Transaction, model: str, event_id: str) -> None:
    query = select(EVENT.c.event_id).join(MODEL, concerns_model())
    if tx.first(query.where(MODEL.c.name == model, EVENT.c.event_id == event_id)) is None:
        raise NotFoundError(
            f"event {event_id} is none that model {model} decides about; expected an event of its dataset "
            "or a request for the model itself: record it first"
        )


def _require_fresh(signals: Signals, model: Row[Any]) -> None:
    measured = None if signals.champion is None else signals.champion.version
    if measured != model.champion_version:
        raise ConflictError(
            f"the signals of model {model.name} are about champion {measured}, but the champion is now "
            f"{model.champion_version}; measure again and decide then"
        )


def _remember(tx: Transaction, model: Row[Any], state: dict[str, Any]) -> None:
    seen = (MODEL.c.name == model.name, MODEL.c.decision_count == model.decision_count)
    if tx.change(MODEL, *seen, decision_count=model.decision_count + 1, policy_state=state) is None:
        raise ConflictError(f"another decision of model {model.name} came in between; measure again and decide then")


def _request(
    tx: Transaction, model: Row[Any], decision_id: str, event_id: str, values: dict[str, Any], spec: RetrainSpec
) -> None:
    retrain_id = derive_id("retrain", decision_id)
    tx.add(
        RETRAIN,
        retrain_id=retrain_id,
        seq=tx.next_seq(),
        decision_id=decision_id,
        model=model.name,
        dataset=model.dataset,
        state=RetrainState.REQUESTED,
        as_of=values["as_of"],
        **spec.model_dump(mode="json"),
        attempt=0,
        fence=0,
        requested_at=tx.now,
        updated_at=tx.now,
    )
    row = tx.connection.execute(select(RETRAIN).where(RETRAIN.c.retrain_id == retrain_id)).one()
    post(tx, row, "train")
    data = {"retrain_id": retrain_id, "decision_id": decision_id, "event_id": event_id, "reason": values["reason"]}
    tx.add(NOTICE, seq=tx.next_seq(), kind="retrain.requested", model=model.name, data=data, recorded_at=tx.now)
    tx.audit("retrain.REQUESTED", retrain_id, model=model.name, decision_id=decision_id)
