"""The database: engines, short transactions, and driver errors translated to Ratoon's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, create_engine, event, func, make_url, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.sql import ColumnElement, Executable

from ratoon.errors import BackendError, ConfigError, ConflictError
from ratoon.identity import digest_json
from ratoon.instants import format_instant
from ratoon.ledger.tables import AUDIT, HEAD

_BUSY_S = 30
_READ_ONLY = {"ratoon_read_only": True}

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return this host's time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One open transaction and the time at which it counts as happening."""

    connection: Connection
    now: datetime

    def change(self, table: Table, *where: ColumnElement[bool], **values: Any) -> Row[Any] | None:
        """Update the one row that meets a guard and return it as it is now; None when the guard does not hold."""
        return self.connection.execute(update(table).where(*where).values(**values).returning(*table.c)).one_or_none()

    def add(self, table: Table, **values: Any) -> None:
        """Insert a row; a key that is taken raises ConflictError when the transaction ends."""
        self.connection.execute(table.insert().values(**values))

    def add_once(self, table: Table, **values: Any) -> bool:
        """Insert a row unless one of its keys is taken; return whether it was inserted."""
        dialect = sqlite if self.connection.dialect.name == "sqlite" else postgresql
        return self.connection.execute(dialect.insert(table).values(**values).on_conflict_do_nothing()).rowcount == 1

    def put(self, table: Table, **values: Any) -> None:
        """Insert a row, or replace what the row with the same primary key says."""
        keys = {column.name for column in table.primary_key}
        changed = {name: value for name, value in values.items() if name not in keys}
        dialect = sqlite if self.connection.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(table).values(**values)
        self.connection.execute(statement.on_conflict_do_update(index_elements=sorted(keys), set_=changed))

    def first(self, statement: Executable) -> Row[Any] | None:
        """Return the first row of a query, or None."""
        return self.connection.execute(statement).first()

    def rows(self, statement: Executable) -> list[Row[Any]]:
        """Return all rows of a query."""
        return list(self.connection.execute(statement).all())

    def next_seq(self) -> int:
        """Return the next sequence number; the head's row lock makes the order of numbers the order of commits."""
        return int(self.connection.execute(update(HEAD).values(seq=HEAD.c.seq + 1).returning(HEAD.c.seq)).scalar_one())

    def audit(self, action: str, subject: str, *, actor: str = "ratoon", **detail: Any) -> None:
        """Append an entry to the audit, whose hash covers the one before."""
        row = self.connection.execute(update(HEAD).values(seq=HEAD.c.seq + 1).returning(*HEAD.c)).one()
        entry = {"seq": row.seq, "actor": actor, "action": action, "subject": subject, "detail": detail}
        digest = audit_hash(row.audit_hash, recorded_at=self.now, **entry)
        self.add(AUDIT, **entry, recorded_at=self.now, previous_hash=row.audit_hash, hash=digest)
        self.connection.execute(update(HEAD).values(audit_hash=digest))


def audit_hash(previous: str, *, recorded_at: datetime, **entry: Any) -> str:
    """Return the hash that an audit entry must carry after ``previous``."""
    return digest_json([previous, format_instant(recorded_at), entry])


class Database:
    """Opens transactions on SQLite or PostgreSQL.

    Args:
        engine_url: ``sqlite:///path`` or ``postgresql+psycopg2://...``.
        clock: What time it is; None means the server's clock on PostgreSQL and this host's on SQLite.
            Leases end by this clock: a jump costs an attempt, never correctness, which the fences keep.

    Raises:
        ConfigError: The URL is neither.
    """

    def __init__(self, engine_url: str, *, clock: Clock | None = None) -> None:
        self.engine = open_engine(engine_url)
        self._clock = clock

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Open a transaction that writes; its first statement should be the guarded update."""
        with translated_errors(), self.engine.begin() as connection:
            yield Transaction(connection=connection, now=self._now(connection))

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open a transaction that only reads and waits for no writer."""
        with (
            translated_errors(),
            self.engine.connect().execution_options(**_READ_ONLY) as connection,
            connection.begin(),
        ):
            yield Transaction(connection=connection, now=self._now(connection))

    def ping(self) -> None:
        """Check that the database answers; raises BackendError when it does not."""
        with self.reading() as tx:
            tx.first(select(1))

    def close(self) -> None:
        """Close all connections that no transaction uses."""
        self.engine.dispose()

    def _now(self, connection: Connection) -> datetime:
        if self._clock is not None:
            return self._clock()
        if connection.dialect.name == "sqlite":
            return utc_now()
        server_time: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return server_time.astimezone(UTC)


def open_engine(engine_url: str) -> Engine:
    """Return an engine for a ledger; no connection is made yet."""
    try:
        url = make_url(engine_url)
    except ArgumentError as exc:
        raise ConfigError(_not_a_ledger(engine_url)) from exc
    match url.get_backend_name():
        case "sqlite":
            return _open_sqlite(url)
        case "postgresql":
            options = {"application_name": "ratoon", "options": f"-c lock_timeout={_BUSY_S * 1000}"}
            return create_engine(url, pool_pre_ping=True, connect_args=options)
        case other:
            raise ConfigError(_not_a_ledger(f"{other}://..."))


def _not_a_ledger(url: str) -> str:
    return (
        f"{url!r} is no ledger database; expected sqlite:///<file> or "
        "postgresql+psycopg2://<user>@<host>/<database>: set RATOON_DATABASE_URL"
    )


def _open_sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigError(
            "the ledger can't live in memory, since several processes share it; expected sqlite:///<file>"
        )
    engine = create_engine(url, connect_args={"timeout": _BUSY_S, "isolation_level": None})
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    """Take the write lock at once: a deferred BEGIN that becomes a writer later fails with "database is locked"."""
    read_only = connection.get_execution_options().get("ratoon_read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what a driver raises into ConflictError (a key is taken) or BackendError (everything else)."""
    try:
        yield
    except IntegrityError as exc:
        raise ConflictError(
            f"the ledger refused a write, since a key is taken or a rule is broken: {_first_line(exc)}; "
            "read again and retry"
        ) from exc
    except DBAPIError as exc:
        raise BackendError(
            f"the ledger's database failed: {_first_line(exc)}; check that it runs and is migrated (ratoon doctor)"
        ) from exc
    except PoolTimeoutError as exc:
        raise BackendError(
            "the ledger's database gave no connection in time; fewer threads or a larger pool are needed"
        ) from exc


def _first_line(exc: DBAPIError) -> str:
    return str(exc.orig).partition("\n")[0]
