"""The schema: migrations and tables say the same on both databases."""

import threading

import pytest
from sqlalchemy import text

from ratoon.errors import BackendError, ConfigError, LedgerError
from ratoon.ledger import Ledger
from ratoon.ledger.schema import schema_differences


def test_the_migrations_make_exactly_the_declared_tables(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        assert schema_differences(connection) == []


def test_migrating_twice_changes_nothing(ledger: Ledger) -> None:
    ledger.ensure_model("delays", "flights")
    ledger.migrate()
    assert [model.name for model in ledger.models()] == ["delays"]


def test_processes_that_migrate_at_once_do_not_disturb_each_other(empty_url: str) -> None:
    ledgers = [Ledger(empty_url) for _ in range(4)]
    failures: list[Exception] = []

    def migrate(ledger: Ledger) -> None:
        try:
            ledger.migrate()
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=migrate, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert ledgers[0].status().models == []
    for ledger in ledgers:
        ledger.close()


def test_a_database_of_a_newer_ratoon_is_refused(empty_url: str) -> None:
    ledger = Ledger(empty_url)
    ledger.migrate()
    with ledger.engine.begin() as connection:
        connection.execute(text("UPDATE ledger_schema SET version_num = '9999'"))
    with pytest.raises(LedgerError, match="newer Ratoon"):
        ledger.migrate()
    ledger.close()


def test_a_database_that_is_not_migrated_says_so(empty_url: str) -> None:
    ledger = Ledger(empty_url)
    with pytest.raises(BackendError, match="is migrated"):
        ledger.models()
    ledger.close()


def test_a_database_that_can_not_be_reached_is_a_backend_error() -> None:
    with pytest.raises(BackendError):
        Ledger("sqlite:////nowhere/at/all/ledger.db").ping()
    with pytest.raises(BackendError):
        Ledger("postgresql+psycopg2://nobody@/nothing?host=/nowhere").ping()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "not a url"])
def test_what_is_no_shared_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        Ledger(url)
