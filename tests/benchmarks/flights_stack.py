"""The flights example on a stack of its own: a copy of the project, its files, and what Dagster says of its runs."""

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DATASET, MODEL = "flights", "late_arrivals"

_WRITE = """
import os, sys
from pathlib import Path
import polars as pl
from flights.history import write_history
files = write_history(Path(sys.argv[1]), weeks=int(sys.argv[2]))
labels = sorted(file for file in files if file.parent.name == "flight_outcomes")
*early, last = [file for file in labels if file.stem <= f"2013-w{int(sys.argv[3]):02d}"]
landed = last.stat().st_mtime
pl.concat([pl.read_parquet(file) for file in [*early, last]]).write_parquet(last)
os.utime(last, (landed, landed))
for file in early:
    file.unlink()
"""


def copy_project(root: Path, **attributes: Any) -> Path:
    """Copy the project and replace attributes of its model."""
    shutil.copytree(ROOT / "examples" / "flights", root, ignore=shutil.ignore_patterns(".ratoon*", "__pycache__"))
    file = root / "flights" / "defs" / MODEL / "defs.yaml"
    document = yaml.safe_load(file.read_text())
    document["attributes"] |= attributes
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return root


def write_weeks(folder: Path, weeks: int, *, joined: int) -> None:
    """Write the files of so many weeks in a process of its own, with all labels up to week ``joined`` in its one file."""
    command = [sys.executable, "-B", "-c", _WRITE, str(folder), str(weeks), str(joined)]
    subprocess.run(command, cwd=ROOT / "examples" / "flights", check=True)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without settings of another stack."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RATOON_", "DAGSTER_"))}


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Page:
    """Dagster's GraphQL."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/graphql"

    def is_idle(self) -> bool:
        """Say whether no run is queued or under way."""
        return not self._runs("statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]")

    def run_of_dataset(self, *, taking_at: float) -> tuple[float, float, float]:
        """Return when the run that was at work on the dataset at a time was created, launched and started (Unix time)."""
        runs = self._runs(f'tags: [{{key: "ratoon/dataset", value: "{DATASET}"}}]')
        run = max((one for one in runs if one["creationTime"] <= taking_at), key=lambda one: one["creationTime"])
        return run["creationTime"], run["stats"]["launchTime"], run["stats"]["startTime"]

    def _runs(self, of: str) -> list[dict[str, Any]]:
        query = f"{{runsOrError(filter: {{{of}}}, limit: 20) {{... on Runs {{results {{creationTime stats {{... on RunStatsSnapshot {{launchTime startTime}}}}}}}}}}}}"
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        found: list[dict[str, Any]] = answer["data"]["runsOrError"]["results"]
        return found
