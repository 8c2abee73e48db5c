"""The tests of ``ratoon doctor``. Each one tries what it tests; none only prints."""

import importlib.metadata
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ratoon.cli.options import Options
from ratoon.cli.stack_state import stack_state
from ratoon.cli.views.words import count
from ratoon.errors import BackendError, RatoonError

if TYPE_CHECKING:
    from ratoon.settings import Settings

_LEAST_FREE_BYTES = 1_000_000_000
_BROKER_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one test found.

    Attributes:
        name: What was tested.
        status: ok, warn (works, but look at it) or fail.
        cause: What was found.
        fix: The command or the step that repairs it; empty where nothing is to be done.
    """

    name: str
    status: Literal["ok", "warn", "fail"]
    cause: str
    fix: str = ""


def examine(options: Options) -> Iterator[Finding]:
    """Yield what each test finds; where there are no sound settings, the tests that need them are left out."""
    from ratoon.cli.session import settings_of

    yield try_versions()
    try:
        settings = settings_of(options)
    except RatoonError as exc:
        yield Finding(
            name="settings", status="fail", cause=exc.message, fix="correct ratoon.toml, or `ratoon init my-project`"
        )
        return
    yield Finding(name="settings", status="ok", cause=f"project {settings.project}, home {settings.home}")
    tests: tuple[tuple[str, str, Callable[[Settings], Finding]], ...] = (
        ("project", "ratoon check", try_project),
        ("disk", "free some space, or set RATOON_HOME", try_disk),
        ("ledger", "ratoon up", try_ledger),
        (
            "lake store",
            "check RATOON_STORE_URL and its credentials",
            lambda s: try_store("lake store", s.lake_url, s.storage_options),
        ),
        (
            "artifact store",
            "check RATOON_STORE_URL and its credentials",
            lambda s: try_store("artifact store", s.artifacts_url, s.storage_options),
        ),
        ("broker", "ratoon up", try_broker),
        ("Dagster", "ratoon up", try_dagster),
        ("alerts", "ratoon alerts", try_alerts),
    )
    for name, fix, test in tests:
        yield _guarded(name, fix, test, settings)


def _guarded(name: str, fix: str, test: "Callable[[Settings], Finding]", settings: "Settings") -> Finding:
    try:
        return test(settings)
    except RatoonError as exc:
        return Finding(name=name, status="fail", cause=str(exc), fix=fix)
    except Exception as exc:  # noqa: BLE001 - a diagnosis must end with a finding, whatever the backend raises
        return Finding(
            name=name,
            status="fail",
            cause=f"{type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else ''}",
            fix=fix,
        )


def try_versions() -> Finding:
    """Compare the installed packages with what Ratoon's own metadata asks for."""
    from packaging.requirements import Requirement

    wrong = []
    for text in importlib.metadata.requires("ratoon") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found} is not {requirement.specifier}")
    own = importlib.metadata.version("ratoon")
    if wrong:
        return Finding(name="versions", status="fail", cause="; ".join(wrong), fix="pip install --upgrade ratoon")
    return Finding(name="versions", status="ok", cause=f"ratoon {own} with the dependencies that it asks for")


def try_project(settings: "Settings") -> Finding:
    """Load every declaration, compile the contracts, and look for the feature functions."""
    from ratoon.project import load_project
    from ratoon.project.check import check_project

    loaded = load_project(settings.project)
    problems = check_project(loaded)
    if problems:
        return Finding(
            name="project",
            status="fail",
            cause=f"{count(len(problems), 'problem')}, the first: {problems[0].message}",
            fix="ratoon check",
        )
    found = f"{count(len(loaded.project.datasets), 'dataset')}, {count(len(loaded.project.models), 'model')}"
    if not loaded.project.models:
        return Finding(
            name="project", status="warn", cause=found, fix="dg scaffold defs ratoon.RetrainedModel my_model"
        )
    return Finding(name="project", status="ok", cause=found)


def try_disk(settings: "Settings") -> Finding:
    """Compare the free space of the home's disk with a gigabyte."""
    existing = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < _LEAST_FREE_BYTES:
        return Finding(
            name="disk",
            status="warn",
            cause=f"{free // 1_000_000} MB left at {existing}",
            fix="free some space, or set RATOON_HOME",
        )
    return Finding(name="disk", status="ok", cause=f"{free // 1_000_000_000} GB left at {existing}")


def try_ledger(settings: "Settings") -> Finding:
    """Reach the ledger, compare its schema with the code's, and test every invariant."""
    from ratoon.ledger import Ledger
    from ratoon.ledger.schema import schema_differences

    file = Path(settings.ledger_url.removeprefix("sqlite:///"))
    if settings.ledger_url.startswith("sqlite:///") and not file.exists():
        return Finding(name="ledger", status="warn", cause=f"{file} does not exist yet", fix="ratoon up")
    ledger = Ledger(settings.ledger_url)
    ledger.ping()
    with ledger.engine.connect() as connection:
        differences = schema_differences(connection)
    if differences:
        return Finding(
            name="ledger", status="fail", cause=f"the schema is not this version's: {differences[0]}", fix="ratoon up"
        )
    violations = ledger.check_invariants()
    if violations:
        first = f"{violations[0].invariant} {violations[0].subject}: {violations[0].detail}"
        return Finding(
            name="ledger",
            status="fail",
            cause=f"{count(len(violations), 'violation')}, the first: {first}",
            fix="keep a copy of the ledger and report this; nothing repairs it by itself",
        )
    return Finding(name="ledger", status="ok", cause="reachable, at this version's schema, every invariant holds")


def try_store(name: str, url: str, options: dict[str, str]) -> Finding:
    """Write, read and delete a small object where a store keeps its own."""
    from obstore.store import LocalStore, ObjectStore, from_url

    content = uuid.uuid4().hex.encode()
    key = f".doctor-{content.decode()}"
    if "://" in url:
        store: ObjectStore = from_url(url, config=options or None)  # type: ignore[arg-type]
    else:
        if not Path(url).exists():
            return Finding(name=name, status="warn", cause=f"{url} does not exist yet", fix="ratoon up")
        store = LocalStore(url)
    store.put(key, content)
    found = bytes(store.get(key).bytes())
    store.delete(key)
    if found != content:
        return Finding(
            name=name,
            status="fail",
            cause=f"{url} gave other bytes than were written",
            fix="check the disk or the bucket",
        )
    return Finding(name=name, status="ok", cause=f"wrote, read and deleted an object in {url}")


def try_broker(settings: "Settings") -> Finding:
    """Connect to the broker, and ask the workers behind it to answer."""
    from celery import Celery

    state = stack_state(settings.home, settings.webserver_port)
    if settings.broker_url is None and not state.is_up:
        from ratoon.stack.broker import find_server

        return Finding(
            name="broker", status="warn", cause=f"the stack is down; it would run {find_server()}", fix="ratoon up"
        )
    app = Celery(broker=settings.resolved_broker_url)
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=_BROKER_TIMEOUT_S)
    workers = app.control.ping(timeout=_BROKER_TIMEOUT_S)
    if not workers:
        return Finding(name="broker", status="warn", cause="the broker answers, no worker does", fix="ratoon up")
    return Finding(name="broker", status="ok", cause=f"the broker and {count(len(workers), 'worker')} answer")


def try_dagster(settings: "Settings") -> Finding:
    """Ask the web server, and through it the daemon, for a sign of life."""
    from ratoon.stack.probes import daemons_are_healthy, webserver_answers

    state = stack_state(settings.home, settings.webserver_port)
    if not state.is_up:
        return Finding(name="Dagster", status="warn", cause="the stack is down", fix="ratoon up")
    if not webserver_answers(settings.webserver_port):
        return Finding(
            name="Dagster",
            status="fail",
            cause=f"{state.ui} does not answer",
            fix=f"look at {settings.logs}/, then `ratoon up`",
        )
    if not daemons_are_healthy(settings.webserver_port, since=state.since or 0):
        return Finding(
            name="Dagster",
            status="fail",
            cause="the daemon gives no fresh heartbeat",
            fix=f"look at {settings.logs}/, then `ratoon up`",
        )
    return Finding(name="Dagster", status="ok", cause=f"{state.ui} answers, the daemon's heartbeat is fresh")


def try_alerts(settings: "Settings") -> Finding:
    """Look for messages that a channel did not take, and count what is open."""
    from ratoon.alerts import channels_of
    from ratoon.ledger import Ledger
    from ratoon.ledger.engine import utc_now

    channels = channels_of(settings, clock=utc_now)
    told = count(len(channels), "channel") if channels else "no channel is set, so `ratoon alerts` shows them"
    if settings.webhook_urls and not settings.webhook_secrets:
        lacking = "webhook_urls are set, webhook_secrets are not, and nothing goes out unsigned"
        return Finding(name="alerts", status="fail", cause=lacking, fix="set RATOON_WEBHOOK_SECRETS")
    file = Path(settings.ledger_url.removeprefix("sqlite:///"))
    if settings.ledger_url.startswith("sqlite:///") and not file.exists():
        return Finding(name="alerts", status="ok", cause=told)
    try:
        ledger = Ledger(settings.ledger_url)
        failing, n_open = ledger.failing_deliveries(sorted(channels)), len(ledger.alerts(limit=1_000))
    except BackendError:
        return Finding(name="alerts", status="warn", cause="the ledger that holds them can't be read", fix="ratoon up")
    if failing:
        first = f"{failing[0].channel}: {failing[0].error}"
        return Finding(
            name="alerts",
            status="warn",
            cause=f"{count(len(failing), 'message')} did not arrive, the newest at {first}",
            fix="ratoon alerts --test",
        )
    return Finding(name="alerts", status="ok", cause=f"{count(n_open, 'alert')} open; {told}")
