"""Writes what Dagster reads at its start: ``dagster.yaml`` and ``workspace.yaml``."""

from pathlib import Path
from typing import Any

import yaml

from ratoon.settings import Settings

POSTGRES_VARIABLE = "RATOON_DAGSTER_POSTGRES_URL"
"""Variable with the URL of Dagster's own storage: a password stays out of the file."""

LOCATION = "ratoon"
"""Name of the code location."""

_SCHEMA = "dagster"
_HEADER = "# Written by `ratoon up` at every start: change settings in ratoon.toml instead.\n"


def instance_config(settings: Settings) -> dict[str, Any]:
    """Return the content of ``dagster.yaml``.

    Runs only attach to work of the ledger, so that two at once and one per dataset are enough; Dagster
    never retries one, since attempts are counted in the ledger.
    """
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "storage": _storage(settings),
        "run_launcher": {
            "module": "dagster._core.launcher",
            "class": "DefaultRunLauncher",
        },
        "run_queue": {
            "dequeue_interval_seconds": 1,
            "dequeue_use_threads": True,
            "dequeue_num_workers": 2,
        },
        "concurrency": {
            "runs": {
                "max_concurrent_runs": 6,
                "tag_concurrency_limits": [
                    # Runs that show a retrain wait for a worker: they must never keep new data out.
                    {"key": "ratoon/retrain", "limit": 2},
                    {
                        "key": "ratoon/dataset",
                        "value": {"applyLimitPerUniqueValue": True},
                        "limit": 1,
                    },
                ],
            },
        },
        "run_monitoring": {
            "enabled": True,
            "poll_interval_seconds": 10,
            "start_timeout_seconds": 120,
            "cancel_timeout_seconds": 60,
            "max_resume_run_attempts": 0,
        },
        "run_retries": {"enabled": True, "max_retries": 0},
        "sensors": {"use_threads": True, "num_workers": 4},
        "retention": {
            "sensor": {"purge_after_days": {"skipped": 1, "success": 30, "failure": 30}},
            "schedule": {"purge_after_days": {"skipped": 1, "success": 30, "failure": 30}},
        },
    }


def workspace_config(settings: Settings) -> dict[str, Any]:
    """Return the content of ``workspace.yaml``: one code server, which daemon and webserver share."""
    return {
        "load_from": [
            {
                "grpc_server": {
                    "socket": str(code_socket(settings)),
                    "location_name": LOCATION,
                }
            }
        ]
    }


def code_socket(settings: Settings) -> Path:
    """Return the code server's socket: a port could be shared silently with a stale server (SO_REUSEPORT)."""
    return settings.runtime_dir / "code.sock"


def postgres_url(settings: Settings) -> str | None:
    """Return the URL of Dagster's own schema in the ledger's PostgreSQL, or None with SQLite.

    Dagster's storage needs psycopg2: with psycopg 3, its NOTIFY statements fail. A schema of its own keeps
    its tables, and above all its ``alembic_version``, apart from the ledger's.
    """
    if not settings.ledger_url.startswith("postgresql"):
        return None
    rest = settings.ledger_url.split("://", 1)[1]
    joint = "&" if "?" in rest else "?"
    return f"postgresql+psycopg2://{rest}{joint}options=-csearch_path%3D{_SCHEMA}"


def write_dagster_home(settings: Settings) -> None:
    """Write both files into Dagster's home."""
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("dagster.yaml", instance_config(settings)),
        ("workspace.yaml", workspace_config(settings)),
    ):
        text = _HEADER + yaml.safe_dump(content, sort_keys=False)
        (settings.dagster_home / name).write_text(text, encoding="utf-8")


def create_schema(settings: Settings) -> None:
    """Create Dagster's schema in PostgreSQL; nothing to do with SQLite."""
    if postgres_url(settings) is None:
        return
    import sqlalchemy

    engine = sqlalchemy.create_engine(settings.ledger_url)
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}"))
    finally:
        engine.dispose()


def _storage(settings: Settings) -> dict[str, Any]:
    if postgres_url(settings) is None:
        return {"sqlite": {"base_dir": str(settings.dagster_home)}}
    return {"postgres": {"postgres_url": {"env": POSTGRES_VARIABLE}}}
