"""The whole stack, once: ready, seen from outside, hurt, and gone."""

import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ratoon.errors import StackError
from ratoon.settings import Settings
from ratoon.stack.children import Phase
from ratoon.stack.supervisor import Stack

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

QUERY = "{workspaceOrError{...on Workspace{locationEntries{name loadStatus locationOrLoadError{__typename}}}}}"


def until(condition: Callable[[], Any], what: str, timeout_s: float = 120) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.2)
    return found


def ask(port: int, query: str) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)["data"]


def test_the_stack_gets_ready_survives_a_killed_daemon_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "ratoon.toml").write_text("")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings(project=tmp_path, home=tmp_path / "h", webserver_port=port)
    said: list[str] = []
    with Stack(settings, say=said.append) as stack:
        assert set(stack.phases.values()) == {Phase.READY}
        entries = ask(port, QUERY)["workspaceOrError"]["locationEntries"]
        assert [(entry["name"], entry["locationOrLoadError"]["__typename"]) for entry in entries] == [
            ("ratoon", "RepositoryLocation")
        ]
        listening = [
            address.laddr
            for pid in stack.pids.values()
            for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
            for address in process.net_connections("inet")
            if address.status == psutil.CONN_LISTEN
        ]
        assert {(address.ip, address.port) for address in listening} == {("127.0.0.1", port)}

        with pytest.raises(StackError, match=f"in use by process {os.getpid()}"):
            Stack(settings).start()

        before = stack.pids
        os.kill(before["daemon"], signal.SIGKILL)

        def is_back() -> bool:
            stack.poll()
            return stack.phases["daemon"] is Phase.READY and stack.pids["daemon"] != before["daemon"]

        until(is_back, f"the daemon is back: {said}")
        assert {name: pid for name, pid in stack.pids.items() if name != "daemon"} == {
            name: pid for name, pid in before.items() if name != "daemon"
        }
        # Only this stack's: the session may hold another one.
        children = [psutil.Process(pid) for pid in stack.pids.values()]
        family = [*children, *(found for child in children for found in child.children(recursive=True))]
        assert len(family) > len(children)
    assert not any("killed" in line for line in said), said
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    assert not list(settings.runtime_dir.glob("*.sock")) + list(settings.home.glob("*.lock"))
