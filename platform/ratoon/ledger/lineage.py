"""What stands behind a version, and what it predicted: one query."""

import json
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)

from ratoon.errors import NotFoundError
from ratoon.ledger.answers import Lineage, LineageBatch, LineageScoring
from ratoon.ledger.columns import UtcInstant
from ratoon.ledger.engine import Database
from ratoon.ledger.records import Promotion
from ratoon.ledger.states import BatchState
from ratoon.ledger.tables import (
    ARTIFACT,
    BATCH,
    DECISION,
    EVALUATION,
    EVENT,
    MODEL,
    PROMOTION,
    RETRAIN,
    SCORING,
    VERSION,
)

_NO_LIMIT = 2**62
_TEXTS = ("key", "a", "b", "c")
_NUMBERS = ("n", "m")
_TIMES = ("at", "recorded_at")


class LineageQuestions(Database):
    """Lineage, answered from the ledger."""

    def lineage(self, model: str, version: int | None = None) -> Lineage:
        """Return what stands behind a version of a model; None asks for the champion.

        One query over indexes: the event and decision that caused it, the files whose rows and labels it
        could learn from, code, parameters, evaluation, promotions, and the batches it predicted.

        Raises:
            NotFoundError: No such version, or no champion.
        """
        target = _target(model, version)
        parts: dict[str, list[dict[str, Any]]] = {}
        with self.reading() as tx:
            for row in tx.connection.execute(_query(target)):
                parts.setdefault(row.part, []).append(row._asdict())
        if not parts:
            wanted = "no champion yet" if version is None else f"no version {version}"
            raise NotFoundError(f"model {model!r} has {wanted}; `ratoon status` shows its models and versions")
        return _lineage(model, parts)


def _target(model: str, version: int | None) -> CTE:
    wanted = MODEL.c.champion_version if version is None else literal(version)
    return (
        select(
            *(VERSION.c[name] for name in ("model", "version", "retrain_id", "created_at")),
            MODEL.c.champion_version,
            *(RETRAIN.c[name] for name in ("dataset", "decision_id", "as_of")),
            DECISION.c.event_id,
            func.coalesce(ARTIFACT.c.rows_version, _NO_LIMIT).label("rows_version"),
            func.coalesce(ARTIFACT.c.labels_version, _NO_LIMIT).label("labels_version"),
        )
        .join(MODEL, MODEL.c.name == VERSION.c.model)
        .join(RETRAIN, RETRAIN.c.retrain_id == VERSION.c.retrain_id)
        .join(DECISION, DECISION.c.decision_id == RETRAIN.c.decision_id)
        .join(ARTIFACT, ARTIFACT.c.retrain_id == VERSION.c.retrain_id)
        .where(VERSION.c.model == model, VERSION.c.version == wanted)
        .cte("target")
    )


def _query(t: CTE) -> Any:
    of_version = and_(PROMOTION.c.model == t.c.model, PROMOTION.c.version == t.c.version)
    by_version = and_(SCORING.c.model == t.c.model, SCORING.c.version == t.c.version)
    artifact = (t, ARTIFACT, ARTIFACT.c.retrain_id == t.c.retrain_id)
    event, decision = (
        (t, EVENT, EVENT.c.event_id == t.c.event_id),
        (t, DECISION, DECISION.c.decision_id == t.c.decision_id),
    )
    judged = (t, EVALUATION, EVALUATION.c.retrain_id == t.c.retrain_id)
    promotion = PROMOTION.c
    return union_all(
        _part(
            "version", [t], key=t.c.retrain_id, a=t.c.dataset, n=t.c.version, m=t.c.champion_version, at=t.c.created_at
        ),
        _part("artifact", artifact, **_columns(ARTIFACT, key="digest", a="data", b="code", c="params")),
        _part("event", event, **_columns(EVENT, key="event_id", a="kind", b="subject", c="data", n="seq", at="as_of")),
        _part("decision", decision, **_columns(DECISION, key="decision_id", a="reason", b="decision", at="as_of")),
        _part(
            "evaluation",
            judged,
            **_columns(EVALUATION, key="report_digest", a="verdict", b="reasons", c="metrics", n="n_rows"),
        ),
        _part(
            "promotion",
            (t, PROMOTION, of_version),
            **_columns(
                PROMOTION,
                key="kind",
                a="actor",
                b="reason",
                c="retrain_id",
                n="revision",
                m="previous_version",
                at="at",
            ),
            recorded_at=promotion.recorded_at,
        ),
        _part(
            "batch",
            (t, BATCH, _read_by(t)),
            **_columns(
                BATCH, key="batch_id", a="role", b="digest", c="source_uri", n="rows_kept", m="lake_version", at="as_of"
            ),
        ),
        _part(
            "scoring",
            (t, SCORING, by_version),
            **_columns(SCORING, key="batch_id", n="n_rows", m="lake_version", at="as_of"),
        ),
    ).order_by("part", "at", "n", "key")


def _read_by(t: CTE) -> ColumnElement[bool]:
    """Return the condition that a batch was in the lake when the training read it."""
    return and_(
        BATCH.c.dataset == t.c.dataset,
        BATCH.c.state == BatchState.INGESTED,
        BATCH.c.as_of <= t.c.as_of,
        or_(
            and_(BATCH.c.role == "rows", BATCH.c.lake_version <= t.c.rows_version),
            and_(BATCH.c.role == "labels", BATCH.c.lake_version <= t.c.labels_version),
        ),
    )


def _columns(table: FromClause, **names: str) -> dict[str, ColumnElement[Any]]:
    return {alias: table.c[name] for alias, name in names.items()}


def _part(name: str, source: Any, **columns: ColumnElement[Any]) -> Select[Any]:
    """Return one part of the answer in the columns that all parts share; what a part lacks is null."""
    shared: list[ColumnElement[Any]] = [literal(name, Text).label("part")]
    shared += [type_coerce(columns.get(alias, cast(null(), Text)), Text).label(alias) for alias in _TEXTS]
    shared += [cast(columns.get(alias, null()), BigInteger).label(alias) for alias in _NUMBERS]
    shared += [columns.get(alias, cast(null(), UtcInstant)).label(alias) for alias in _TIMES]
    query = select(*shared).select_from(source[0])
    return query.join(source[1], source[2]) if len(source) > 1 else query


def _lineage(model: str, parts: dict[str, list[dict[str, Any]]]) -> Lineage:
    version, artifact, event = parts["version"][0], parts["artifact"][0], parts["event"][0]
    decision, judged = parts["decision"][0], parts["evaluation"][0]
    number = version["n"]
    return Lineage(
        model=model,
        version=number,
        dataset=version["a"],
        is_champion=number == version["m"],
        retrain_id=version["key"],
        artifact_digest=artifact["key"],
        event=_renamed(event, event_id="key", kind="a", subject="b", as_of="at") | {"data": json.loads(event["c"])},
        decision=_renamed(decision, decision_id="key", reason="a", as_of="at")
        | {"decision": json.loads(decision["b"])},
        data=json.loads(artifact["a"]),
        code=json.loads(artifact["b"]),
        params=json.loads(artifact["c"]),
        evaluation=_renamed(judged, report_digest="key", verdict="a", n_rows="n")
        | {"reasons": json.loads(judged["b"]), "metrics": json.loads(judged["c"])},
        promotions=[_promotion(model, number, part) for part in parts.get("promotion", [])],
        batches=[
            LineageBatch.model_validate(
                _renamed(
                    part,
                    batch_id="key",
                    role="a",
                    digest="b",
                    source_uri="c",
                    rows_kept="n",
                    lake_version="m",
                    as_of="at",
                )
            )
            for part in parts.get("batch", [])
        ],
        scorings=[
            LineageScoring.model_validate(_renamed(part, batch_id="key", n_rows="n", lake_version="m", as_of="at"))
            for part in parts.get("scoring", [])
        ],
    )


def _promotion(model: str, version: int, part: dict[str, Any]) -> Promotion:
    names = {"kind": "key", "actor": "a", "reason": "b", "retrain_id": "c", "revision": "n", "previous_version": "m"}
    fields = _renamed(part, **names, at="at", recorded_at="recorded_at")
    return Promotion.model_validate({"model": model, "version": version, **fields})


def _renamed(part: dict[str, Any], **names: str) -> dict[str, Any]:
    return {name: part[alias] for name, alias in names.items()}
