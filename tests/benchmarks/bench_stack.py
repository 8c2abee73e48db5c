"""Start and idle memory of the whole stack: ``ratoon up`` on the flights project with an empty home.

Run ``python -m tests.benchmarks.bench_stack``.
"""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from tests.benchmarks.figures import Begin, Benchmark, medians, mib, seconds
from tests.benchmarks.flights_stack import clean_environment, copy_project, free_port

_GOAL = 1.2 * (1 << 30)
_READY_GOAL_S = 30.0
_KINDS = {
    "ratoon.training.process": "warm trainer",
    "--name trainer": "worker (train)",
    "--name worker": "worker (control, evaluate)",
    "billiard.spawn": "workers' task processes",
    "billiard.semaphore_tracker": "workers' trackers",
    "dagster api grpc": "code location",
    "dagster_webserver": "webserver",
    "dagster._daemon": "daemon",
    "guardian.py": "guardian",
    "bin/ratoon up": "supervisor",
    "-server": "broker",
}


def start_and_rest(rest_s: float) -> tuple[float, dict[str, tuple[int, int]]]:
    """Start a stack; return its seconds to ready, and (PSS, RSS) by kind of process after it had nothing to do."""
    with tempfile.TemporaryDirectory() as name:
        root = copy_project(Path(name) / "flights")
        env = clean_environment() | {"RATOON_WEBSERVER_PORT": str(free_port()), "RATOON_PROJECT": str(root)}
        log = root / "up.log"
        start = time.perf_counter()
        with log.open("w") as output:
            command = [str(Path(sys.executable).with_name("ratoon")), "up"]
            up = subprocess.Popen(command, cwd=root, env=env, stdout=output, stderr=output)
        try:
            while "Ready:" not in log.read_text():
                if up.poll() is not None or time.perf_counter() - start > 180:
                    raise SystemExit(f"the stack did not start:\n{log.read_text()}")
                time.sleep(0.05)
            ready = time.perf_counter() - start
            time.sleep(rest_s)
            return ready, memory_by_kind(psutil.Process(up.pid))
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(timeout=120)


def memory_by_kind(supervisor: psutil.Process) -> dict[str, tuple[int, int]]:
    """Return the sums of PSS and RSS of a stack's processes, by what they are."""
    found: dict[str, tuple[int, int]] = {}
    for process in [supervisor, *supervisor.children(recursive=True)]:
        try:
            line, memory = " ".join(process.cmdline()), process.memory_full_info()
        except psutil.NoSuchProcess:
            continue
        kind = next((kind for words, kind in _KINDS.items() if words in line), line[:60] or "ended")
        pss, rss = found.get(kind, (0, 0))
        found[kind] = (pss + memory.pss, rss + memory.rss)
    return found


def run(repeats: int = 3, rest_s: float = 30) -> Benchmark:
    """Start stacks one after the other and return the benchmark."""
    begin = Begin()
    starts, parts = [], []
    for _ in range(repeats):
        ready, found = start_and_rest(rest_s)
        starts.append(ready)
        parts.append(found)
    pss = [float(sum(one for one, _ in found.values())) for found in parts]
    rss = [float(sum(one for _, one in found.values())) for found in parts]
    where = ", ".join(
        f"{kind} {mib(one)}" for kind, (one, _) in sorted(parts[-1].items(), key=lambda item: -item[1][0])
    )
    return Benchmark(
        title="The stack at rest",
        method=(
            "`ratoon up` on a copy of the flights project with an empty home: seconds until it says that it is ready, "
            f"and the memory of all its processes, supervisor included, {rest_s:g} s later. PSS counts a shared page once; "
            "RSS counts it in every process."
        ),
        command="python -m tests.benchmarks.bench_stack",
        figures=[
            medians(
                "start until ready",
                starts,
                seconds,
                peer=f"goal: {_READY_GOAL_S:g} s",
                ratios=[one / _READY_GOAL_S for one in starts],
            ),
            medians("idle memory, PSS", pss, mib, peer=f"goal: {mib(_GOAL)}", ratios=[one / _GOAL for one in pss]),
            medians(
                "idle memory, sum of RSS", rss, mib, peer=f"goal: {mib(_GOAL)}", ratios=[one / _GOAL for one in rss]
            ),
        ],
        notes=[f"Where it is (PSS, last repeat): {where}."],
        load=begin.load,
        started=begin.at,
    )


if __name__ == "__main__":
    measured = run(repeats=1)
    for row in [*measured.figures, *measured.notes]:
        print(row)
