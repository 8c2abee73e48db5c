"""Alembic's entry: runs the migrations on the connection that :func:`ratoon.ledger.schema.migrate` hands over."""

from alembic import context

from ratoon.ledger.tables import LedgerTable

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=LedgerTable.metadata,
    version_table="ledger_schema",
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
