"""The supervisor with real processes: order, restarts, and nothing left behind however it ends."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ratoon.errors import StackError
from ratoon.settings import Settings
from ratoon.stack import broker
from ratoon.stack.children import ChildSpec, Phase
from ratoon.stack.roster import roster
from ratoon.stack.supervisor import Stack

pytestmark = pytest.mark.timeout(120)

UP = Path(__file__).with_name("up.py")
LIVES = "import time; time.sleep(600)"


def until(condition: Callable[[], Any], what: str, timeout_s: float = 30) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)
    return found


def living(pids: list[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def nothing_is_left(pids: list[int]) -> None:
    until(lambda: not living(pids), f"nothing is left of {living(pids)}", 10)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(project=tmp_path, home=tmp_path / "home")


@pytest.fixture
def child(settings: Settings) -> Callable[..., ChildSpec]:
    def make(name: str, program: str = LIVES, **fields: Any) -> ChildSpec:
        values: dict[str, Any] = {
            "name": name,
            "command": (sys.executable, "-S", "-c", program),
            "env": {},
            "cwd": settings.project,
            "log": settings.logs / f"{name}.log",
            "probe": lambda: True,
            "detail": "",
        }
        return ChildSpec(**(values | fields))

    return make


def stack_of(settings: Settings, *children: ChildSpec, said: list[str] | None = None) -> Stack:
    say = (lambda line: None) if said is None else said.append
    return Stack(settings, say=say, children=children, migrate=lambda _: None)


def test_children_start_after_what_they_need_and_stop_before_it(
    settings: Settings, child: Callable[..., ChildSpec]
) -> None:
    said: list[str] = []
    ui = child("ui", after=("code",), rank=2)
    code = child("code", after=("broker",), rank=1)
    with stack_of(settings, roster(settings)[0], ui, code, said=said) as stack:
        assert set(stack.phases.values()) == {Phase.READY}
        pids = list(stack.pids.values())
        assert broker.answers(settings.broker_socket)
    words = [(line.split()[0], line.split()[1]) for line in said]
    order = [(name, "ready") for name in ("broker", "code", "ui")] + [
        (name, "stopped") for name in ("ui", "code", "broker")
    ]
    assert words == order
    nothing_is_left(pids)
    assert not settings.broker_socket.exists()
    assert not (settings.home / "up.lock").exists()


def test_a_killed_child_comes_back_and_the_others_stay(settings: Settings, child: Callable[..., ChildSpec]) -> None:
    with stack_of(settings, roster(settings)[0], child("other")) as stack:
        before = stack.pids
        os.kill(before["broker"], signal.SIGKILL)

        def is_back() -> bool:
            stack.poll()
            return stack.phases["broker"] is Phase.READY and stack.pids["broker"] != before["broker"]

        until(is_back, "the broker is back")
        assert stack.pids["other"] == before["other"]
        assert broker.answers(settings.broker_socket)


def test_a_child_that_does_not_start_ends_the_start_with_its_last_words(
    settings: Settings, child: Callable[..., ChildSpec]
) -> None:
    broken = child("code", "import sys; sys.exit('no module named shop')", probe=lambda: False)
    stack = stack_of(settings, child("fine"), broken)
    with pytest.raises(StackError, match=r"code does not start \(exit code 1, 2 times\)(.|\n)*no module named shop"):
        stack.start()
    assert stack.pids == {}
    assert not (settings.home / "up.lock").exists()


def test_a_second_stack_on_the_home_is_refused_and_leaves_the_first_alone(
    settings: Settings, child: Callable[..., ChildSpec]
) -> None:
    with stack_of(settings, child("fine")) as first:
        with pytest.raises(StackError, match=f"in use by process {os.getpid()}"):
            stack_of(settings, child("fine")).start()
        first.poll()
        assert first.phases == {"fine": Phase.READY}


def test_messages_that_no_server_can_read_do_not_keep_the_stack_down(settings: Settings) -> None:
    stored = settings.home / "broker" / "appendonlydir"
    stored.mkdir(parents=True)
    (stored / "appendonly.aof.manifest").write_text("file appendonly.aof.1.base.rdb seq 1 type b\n")
    (stored / "appendonly.aof.1.base.rdb").write_bytes(b"REDIS9999" + b"\xff" * 64)
    with stack_of(settings, roster(settings)[0]):
        assert broker.answers(settings.broker_socket)
    assert (settings.home / "broker" / "appendonlydir.unreadable").is_dir()


@pytest.fixture
def running(settings: Settings) -> Any:
    process = subprocess.Popen([sys.executable, str(UP), str(settings.project)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    while b"all are ready" not in (line := process.stdout.readline()):
        assert line, "the stack did not start"
    grandchild = int((settings.logs / "parent.log").read_text())
    pids = [grandchild, *(found.pid for found in psutil.Process(process.pid).children(recursive=True))]
    assert len(set(pids)) == 4
    yield process, pids
    process.kill()
    process.communicate()
    nothing_is_left(pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_in_order(settings: Settings, running: Any, number: signal.Signals) -> None:
    process, pids = running
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output.index(b"parent      stopped") < output.index(b"broker      stopped")
    nothing_is_left(pids)
    assert not list(settings.runtime_dir.glob("*.sock")) and not (settings.home / "up.lock").exists()


def test_a_killed_supervisor_leaves_no_process_and_a_home_that_starts_again(settings: Settings, running: Any) -> None:
    process, pids = running
    process.kill()
    process.wait()
    nothing_is_left(pids)
    spec = importlib.util.spec_from_file_location("up", UP)
    assert spec is not None and spec.loader is not None
    up = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(up)
    with up.small_stack(settings) as stack:
        assert set(stack.phases.values()) == {Phase.READY}
