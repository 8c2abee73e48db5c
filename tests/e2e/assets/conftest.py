"""A whole stack on a project that ``ratoon init`` wrote, with eight weeks of deliveries, until its first champion stands."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from ratoon.templates import write_project

MODEL, DATASET = "late", "deliveries"


@dataclass(frozen=True)
class Running:
    """A stack that runs: where its page is, and its project."""

    url: str
    root: Path
    env: dict[str, str]

    def deliver(self, *options: str, weeks: int) -> None:
        """Let weeks of deliveries and their labels land."""
        make = [sys.executable, "-m", "my_project.make_data", "--weeks", str(weeks), *options]
        subprocess.run(make, cwd=self.root, env=self.env, check=True, stdout=subprocess.DEVNULL)

    def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the data of a GraphQL answer without errors."""
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def materializations(self, *path: str) -> list[dict[str, Any]]:
        """Return an asset's materializations, newest first."""
        query = "query($p: [String!]!) {assetOrError(assetKey: {path: $p}) {... on Asset {assetMaterializations(limit: 50) {runId tags {key value}}}}}"
        found: list[dict[str, Any]] = self.ask(query, {"p": list(path)})["assetOrError"].get(
            "assetMaterializations", []
        )
        return found

    def runs_of(self, retrain_id: str) -> list[dict[str, Any]]:
        """Return the runs that show a retrain."""
        query = "query($t: [ExecutionTag!]!) {runsOrError(filter: {tags: $t}) {... on Runs {results {runId status}}}}"
        found: list[dict[str, Any]] = self.ask(query, {"t": [{"key": "ratoon/retrain", "value": retrain_id}]})[
            "runsOrError"
        ]["results"]
        return found

    @staticmethod
    def eventually(look: Callable[[], Any], what: str, *, within_s: float) -> Any:
        """Return what a look finds, or fail saying what did not come."""
        until = time.monotonic() + within_s
        while not (found := look()):
            if time.monotonic() > until:
                pytest.fail(f"{what} did not come within {within_s:g} s")
            time.sleep(0.5)
        return found

    def run_status(self, run_id: str) -> str:
        """Return the status of a run."""
        query = "query($id: ID!) {runOrError(runId: $id) {... on Run {status}}}"
        return str(self.ask(query, {"id": run_id})["runOrError"].get("status", "UNKNOWN"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start ``ratoon up`` on a free port, let the data in, and wait for the first champion on the page."""
    root = tmp_path_factory.mktemp("e2e") / "my-project"
    write_project(root)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RATOON_", "DAGSTER_"))}
    env = inherited | {"RATOON_WEBSERVER_PORT": str(port)}
    running = Running(url=f"http://127.0.0.1:{port}", root=root, env=env)
    running.deliver(weeks=8)
    log = root / "up.log"
    with log.open("w") as output:
        up = subprocess.Popen(
            [str(Path(sys.executable).with_name("ratoon")), "up"], cwd=root, env=env, stdout=output, stderr=output
        )
    try:
        running.eventually(lambda: "Ready:" in log.read_text() or up.poll() is not None, "the stack", within_s=180)
        assert up.poll() is None, log.read_text()
        running.eventually(lambda: running.materializations(MODEL, "champion"), "the first champion", within_s=240)
        yield running
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(timeout=90)


@pytest.fixture
def page(browser: Browser, stack: Running, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open an empty page; a screenshot of its last state lies in the test's folder, and in RATOON_TEST_SHOTS where that is set."""
    opened = browser.new_page(viewport={"width": 1500, "height": 1300}, base_url=stack.url)
    opened.set_default_timeout(60_000)
    yield opened
    folder = Path(os.environ.get("RATOON_TEST_SHOTS", tmp_path))
    opened.screenshot(path=folder / f"{request.node.name}.png")
    opened.close()
