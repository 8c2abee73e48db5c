"""Models as the ledger knows them."""

from sqlalchemy import select

from ratoon.errors import LedgerError, NotFoundError
from ratoon.ledger.engine import Database
from ratoon.ledger.records import ModelRow
from ratoon.ledger.tables import MODEL
from ratoon.policy.values import PolicyState


class Models(Database):
    """The models of the ledger."""

    def ensure_model(self, name: str, dataset: str) -> ModelRow:
        """Make a model known; doing it again changes nothing.

        Raises:
            LedgerError: The model is known with another dataset, on which its decisions rest.
        """
        with self.writing() as tx:
            new = tx.add_once(
                MODEL,
                name=name,
                dataset=dataset,
                revision=0,
                last_version=0,
                decision_count=0,
                policy_state=PolicyState().model_dump(mode="json"),
                created_at=tx.now,
            )
            if new:
                tx.audit("model.declared", name, dataset=dataset)
            row = tx.connection.execute(select(MODEL).where(MODEL.c.name == name)).one()
        if row.dataset != dataset:
            raise LedgerError(
                f"model {name} learns from dataset {row.dataset}, and its history rests on it; it is now declared with "
                f"{dataset}: give the new model a name of its own"
            )
        return ModelRow.of(row)

    def model(self, name: str) -> ModelRow:
        """Return a model.

        Raises:
            NotFoundError: The ledger does not know it.
        """
        with self.reading() as tx:
            row = tx.first(select(MODEL).where(MODEL.c.name == name))
        if row is None:
            raise unknown_model(name)
        return ModelRow.of(row)

    def models(self) -> list[ModelRow]:
        """Return every model by name."""
        with self.reading() as tx:
            return [ModelRow.of(row) for row in tx.rows(select(MODEL).order_by(MODEL.c.name))]


def unknown_model(name: str) -> NotFoundError:
    """Return the error for a model that the ledger does not know."""
    return NotFoundError(f"model {name!r} is not in the ledger; check the name with `ratoon status`, or declare it")
