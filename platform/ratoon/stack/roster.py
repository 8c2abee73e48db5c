"""Which children a stack has, with which command, environment and probe."""

import os
import shutil
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ratoon.settings import Settings
from ratoon.stack import broker, dagster_home, probes
from ratoon.stack.children import ChildSpec

_PYTHON = (sys.executable, "-P")
"""``-P`` keeps the working directory off ``sys.path``: a file of a project must not shadow a package."""

_UNREADABLE_AFTER = 2


def roster(
    settings: Settings,
    *,
    code_module: str = "ratoon_assets.definitions",
    environ: Mapping[str, str] | None = None,
) -> list[ChildSpec]:
    """Return the children in the order of their start.

    Args:
        settings: The stack's settings.
        code_module: Python module with the Dagster definitions.
        environ: Environment that the children's is made from; by default this process's.
    """
    env = child_environment(settings, os.environ if environ is None else environ)
    children = [] if settings.broker_url else [_broker(settings, env)]
    after = tuple(child.name for child in children)
    children += [_worker(settings, env, after, name, queues) for name, queues in worker_queues().items()]
    return [
        *children,
        _code(settings, env, code_module),
        _webserver(settings, env),
        _daemon(settings, env),
        *([_metrics(settings, env)] if settings.metrics_port else []),
    ]


def worker_queues() -> dict[str, tuple[str, ...]]:
    """Return the workers and the queues that each serves; a GPU worker only where there is a GPU."""
    workers: dict[str, tuple[str, ...]] = {
        "worker": ("control", "evaluate"),
        "trainer": ("train.cpu",),
    }
    if has_gpu():
        workers["trainer-gpu"] = ("train.gpu",)
    return workers


def has_gpu() -> bool:
    """Say whether this machine has an NVIDIA GPU with its driver."""
    return shutil.which("nvidia-smi") is not None and any(Path("/dev").glob("nvidia[0-9]*"))


def child_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every child: the given one, the settings, and what Dagster and OpenMP need."""
    inherited = {name: value for name, value in environ.items() if not name.startswith("RATOON_")}
    env = (
        inherited
        | settings.to_env()
        | {
            "DAGSTER_HOME": str(settings.dagster_home),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "PYTHONUNBUFFERED": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
        }
    )
    if url := dagster_home.postgres_url(settings):
        env[dagster_home.POSTGRES_VARIABLE] = url
    return env


def ready_file(settings: Settings, name: str) -> Path:
    """Return the file that a worker writes once it consumes."""
    return settings.runtime_dir / f"{name}.ready"


def _broker(settings: Settings, env: Mapping[str, str]) -> ChildSpec:
    server = broker.find_server()

    def prepare(failures: int) -> None:
        broker.clear_socket(settings)
        if failures >= _UNREADABLE_AFTER:
            broker.set_messages_aside(settings)

    return ChildSpec(
        name="broker",
        command=tuple(broker.server_command(server, settings)),
        env=env,
        cwd=settings.home,
        log=settings.logs / "broker.log",
        probe=partial(broker.answers, settings.broker_socket),
        detail=f"{server.name} on {settings.broker_socket}",
        rank=0,
        ready_within_s=30,
        most_failures=_UNREADABLE_AFTER + 1,
        prepare=prepare,
    )


def _worker(
    settings: Settings,
    env: Mapping[str, str],
    after: tuple[str, ...],
    name: str,
    queues: tuple[str, ...],
) -> ChildSpec:
    ready = ready_file(settings, name)
    slots = settings.train_concurrency if name.startswith("trainer") else 1
    options = (
        "--queues",
        ",".join(queues),
        "--concurrency",
        str(slots),
        "--name",
        name,
        "--ready-file",
        str(ready),
    )
    return ChildSpec(
        name=name,
        command=(*_PYTHON, "-m", "ratoon_workers", *options),
        env=env,
        cwd=settings.project,
        log=settings.logs / f"{name}.log",
        probe=ready.is_file,
        detail=f"queues {', '.join(queues)}; {slots} at once",
        after=after,
        rank=1,
        grace_s=10,
        prepare=lambda _: ready.unlink(missing_ok=True),
    )


def _code(settings: Settings, env: Mapping[str, str], code_module: str) -> ChildSpec:
    path = dagster_home.code_socket(settings)
    options = (
        "--module-name",
        code_module,
        "--working-directory",
        str(settings.project),
        "--socket",
        str(path),
    )
    return ChildSpec(
        name="code",
        command=(
            *_PYTHON,
            "-m",
            "dagster",
            "api",
            "grpc",
            *options,
            "--location-name",
            dagster_home.LOCATION,
        ),
        env=env,
        cwd=settings.project,
        log=settings.logs / "code.log",
        probe=partial(probes.grpc_answers, path),
        detail="Dagster code location",
        rank=2,
        whole_group=True,
        prepare=lambda _: path.unlink(missing_ok=True),
    )


def _webserver(settings: Settings, env: Mapping[str, str]) -> ChildSpec:
    port = settings.webserver_port
    options = (
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-w",
        str(settings.dagster_home / "workspace.yaml"),
    )
    return ChildSpec(
        name="webserver",
        command=(*_PYTHON, "-m", "dagster_webserver", *options),
        env=env,
        cwd=settings.project,
        log=settings.logs / "webserver.log",
        probe=partial(probes.webserver_answers, port),
        detail=f"http://127.0.0.1:{port}",
        after=("code",),
        rank=3,
        grace_s=8,
    )


def _daemon(settings: Settings, env: Mapping[str, str]) -> ChildSpec:
    workspace = str(settings.dagster_home / "workspace.yaml")
    started = [0.0]

    def prepare(_: int) -> None:
        started[0] = time.time()

    return ChildSpec(
        name="daemon",
        command=(*_PYTHON, "-m", "dagster._daemon", "run", "-w", workspace),
        env=env,
        cwd=settings.project,
        log=settings.logs / "daemon.log",
        probe=lambda: probes.daemons_are_healthy(settings.webserver_port, since=started[0]),
        detail="sensors and run queue",
        after=("code",),
        rank=3,
        grace_s=8,
        prepare=prepare,
    )


def _metrics(settings: Settings, env: Mapping[str, str]) -> ChildSpec:
    port = settings.metrics_port
    return ChildSpec(
        name="metrics",
        command=(*_PYTHON, "-m", "ratoon.stack.exposition"),
        env=env,
        cwd=settings.project,
        log=settings.logs / "metrics.log",
        probe=partial(probes.port_answers, port),
        detail=f"http://127.0.0.1:{port}/metrics",
        rank=3,
    )
