"""Brings a database to the ledger's schema, with Alembic and without its command line."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, text

from ratoon.errors import LedgerError
from ratoon.ledger.engine import translated_errors
from ratoon.ledger.tables import LedgerTable

VERSION_TABLE = "ledger_schema"
_MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK = 0x5241544F4F4E  # "RATOON": processes that start together migrate one after the other


def migrate(engine: Engine) -> None:
    """Bring a database to the newest schema in one transaction; doing it again changes nothing.

    Raises:
        LedgerError: The database was written by a newer Ratoon. There is no way back.
        BackendError: The database failed.
    """
    with translated_errors(), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as exc:
            raise LedgerError(
                f"the ledger's database has a schema that this Ratoon does not know ({exc}); "
                "a newer Ratoon wrote it: install that one, or restore a backup"
            ) from exc


def schema_differences(connection: Connection) -> list[str]:
    """Return how a database differs from the tables that this code declares; empty when it does not."""
    options = {"version_table": VERSION_TABLE, "compare_type": False}
    return [
        str(found)
        for found in compare_metadata(MigrationContext.configure(connection, opts=options), LedgerTable.metadata)
    ]
