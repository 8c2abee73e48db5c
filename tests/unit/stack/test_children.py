"""A child's life: started, ready, restarted with back-off, stopped with everything it started."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ratoon.stack.children import Child, ChildSpec, Phase, wait_before_restart
from ratoon.stack.guardian import watch
from ratoon.stack.tether import tethered

SLEEPER = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
WITH_GRANDCHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print(child.pid, flush=True)
time.sleep(600)
"""


def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., ChildSpec]:
    def make(program: str, **fields: object) -> ChildSpec:
        values: dict[str, object] = {
            "name": "child",
            "command": (sys.executable, "-I", "-S", "-c", textwrap.dedent(program)),
            "env": dict(os.environ),
            "cwd": tmp_path,
            "log": tmp_path / "child.log",
            "probe": lambda: True,
            "detail": "",
            "grace_s": 10.0,
        }
        return ChildSpec(**(values | fields))  # type: ignore[arg-type]

    return make


@pytest.fixture
def started() -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    for child in children:
        child.stop()


def ignore(line: str) -> None:
    """Take a line that was meant for the guardian."""


def test_a_child_is_ready_only_when_its_probe_says_so(spec: Callable[..., ChildSpec], started: list[Child]) -> None:
    answers = iter([False, False, True])
    child = Child(spec(SLEEPER, probe=lambda: next(answers)), ignore)
    started.append(child)
    assert [child.advance(now) for now in (0.0, 1.0, 2.0, 3.0)] == [Phase.STARTING, None, None, Phase.READY]


def test_a_dead_child_is_started_again_after_a_pause(spec: Callable[..., ChildSpec], started: list[Child]) -> None:
    child = Child(spec(SLEEPER), ignore)
    started.append(child)
    child.advance(0)
    child.advance(1)
    first = child.pid
    assert first is not None
    os.kill(first, 9)
    until(lambda: gone(first))
    assert child.advance(2) is Phase.WAITING
    assert child.last_exit == -9
    assert child.advance(2.4) is None
    assert child.advance(2.5) is Phase.STARTING
    assert child.pid not in (None, first)


def test_the_pause_doubles_up_to_half_a_minute() -> None:
    assert [wait_before_restart(n) for n in (0, 1, 2, 3, 4, 7, 1_000)] == [0, 0.5, 1, 2, 4, 30, 30]


def test_failures_are_forgotten_after_a_steady_minute(spec: Callable[..., ChildSpec], started: list[Child]) -> None:
    child = Child(spec(SLEEPER), ignore)
    started.append(child)
    child.failures = 4
    child.advance(0)
    child.advance(1)
    child.advance(60)
    assert child.failures == 4
    child.advance(61.5)
    assert child.failures == 0


def test_a_child_that_does_not_get_ready_in_time_is_killed_and_tried_again(
    spec: Callable[..., ChildSpec], started: list[Child]
) -> None:
    child = Child(spec(SLEEPER, probe=lambda: False, ready_within_s=5), ignore)
    started.append(child)
    child.advance(0)
    pid = child.pid
    assert pid is not None
    child.advance(4)
    assert child.pid == pid
    assert child.advance(6) is Phase.WAITING
    assert gone(pid)


def test_a_stopped_child_is_not_started_again(spec: Callable[..., ChildSpec]) -> None:
    child = Child(spec(SLEEPER), ignore)
    child.advance(0)
    pid = child.pid
    assert pid is not None and child.stop() is True
    assert gone(pid)
    assert child.advance(100) is None and child.pid is None


def test_a_child_that_ignores_the_request_is_killed(spec: Callable[..., ChildSpec], tmp_path: Path) -> None:
    child = Child(spec(STUBBORN, grace_s=0.3), ignore)
    child.advance(0)
    until(lambda: (tmp_path / "child.log").read_text() == "deaf\n")
    pid = child.pid
    assert pid is not None and child.stop() is False
    assert gone(pid)


def test_stopping_a_child_leaves_nothing_that_it_started(spec: Callable[..., ChildSpec], tmp_path: Path) -> None:
    child = Child(spec(WITH_GRANDCHILD), ignore)
    child.advance(0)
    log = tmp_path / "child.log"
    until(lambda: log.read_text().endswith("\n"))
    child.stop()
    until(lambda: gone(int(log.read_text())), 5)


def test_the_guardian_is_told_of_every_group_and_of_its_end(spec: Callable[..., ChildSpec]) -> None:
    lines: list[str] = []
    child = Child(spec(SLEEPER), lines.append)
    child.advance(0)
    pid = child.pid
    child.stop()
    assert lines == [f"+{pid}", f"-{pid}"]
    assert watch(iter([f"{line}\n" for line in [*lines, "+7", "nonsense", "+"]])) == {7}  # type: ignore[arg-type]


def test_preparation_hears_of_the_failures_in_a_row(spec: Callable[..., ChildSpec], started: list[Child]) -> None:
    heard: list[int] = []
    child = Child(spec("raise SystemExit(3)", prepare=heard.append, probe=lambda: False), ignore)
    started.append(child)
    now = 0.0
    while len(heard) < 3:
        child.advance(now)
        if child.phase is Phase.STARTING:
            pid = child.pid
            assert pid is not None
            until(lambda pid=pid: gone(pid))  # type: ignore[misc]
        now += 10
    assert heard == [0, 1, 2]
    assert child.last_exit == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_tethered_program_dies_with_the_one_that_started_it() -> None:
    program = (
        "import subprocess, sys; from ratoon.stack.tether import tethered;"
        f"child = subprocess.Popen(tethered([sys.executable, '-c', {SLEEPER!r}]), start_new_session=True);"
        "print(child.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    until(lambda: psutil.Process(pid).cmdline()[1:2] == ["-c"])
    parent.kill()
    parent.communicate()
    until(lambda: gone(pid))


def test_a_tethered_program_hears_a_signal_that_its_starter_ignored() -> None:
    program = tethered(["sh", "-c", "kill -INT $$; echo survived"])
    wrapped = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *program]
    ended = subprocess.run(wrapped, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (-2, b"")
