"""Promoted versions and the champion among them."""

from typing import Any

from sqlalchemy import Select, and_, case, func, select

from ratoon.ledger.engine import Database, Transaction
from ratoon.ledger.records import Promotion, Version
from ratoon.ledger.tables import ARTIFACT, EVALUATION, MODEL, PROMOTION, VERSION

_newest = (
    select(func.max(PROMOTION.c.revision))
    .where(PROMOTION.c.model == VERSION.c.model, PROMOTION.c.version == VERSION.c.version)
    .correlate(VERSION)
    .scalar_subquery()
)
_is_champion = case((VERSION.c.version == MODEL.c.champion_version, 1), else_=0)


def _versions_query(model: str) -> Select[Any]:
    return (
        select(
            *VERSION.c,
            ARTIFACT.c.refs,
            ARTIFACT.c.data,
            EVALUATION.c.metrics,
            EVALUATION.c.report_digest,
            PROMOTION.c.at.label("promoted_at"),
            _is_champion.label("is_champion"),
        )
        .join(MODEL, MODEL.c.name == VERSION.c.model)
        .join(ARTIFACT, ARTIFACT.c.retrain_id == VERSION.c.retrain_id)
        .join(EVALUATION, EVALUATION.c.retrain_id == VERSION.c.retrain_id)
        .join(PROMOTION, and_(PROMOTION.c.model == VERSION.c.model, PROMOTION.c.revision == _newest))
        .where(VERSION.c.model == model)
        .order_by(VERSION.c.version)
    )


def find_champion(tx: Transaction, model: str) -> Version | None:
    """Return the champion within a transaction, or None."""
    row = tx.first(_versions_query(model).where(VERSION.c.version == MODEL.c.champion_version))
    return None if row is None else Version.of(row)


class Versions(Database):
    """The versions and promotions of the ledger."""

    def champion(self, model: str) -> Version | None:
        """Return the version that is in use, or None before the first promotion."""
        with self.reading() as tx:
            return find_champion(tx, model)

    def versions(self, model: str) -> list[Version]:
        """Return a model's versions, 1, 2, 3 ..."""
        with self.reading() as tx:
            return [Version.of(row) for row in tx.rows(_versions_query(model))]

    def promotions(self, model: str) -> list[Promotion]:
        """Return a model's promotions by revision, oldest first."""
        query = select(PROMOTION).where(PROMOTION.c.model == model).order_by(PROMOTION.c.revision)
        with self.reading() as tx:
            return [Promotion.of(row) for row in tx.rows(query)]
