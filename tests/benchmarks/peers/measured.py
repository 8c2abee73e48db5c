"""What a tool's script measures of its own process.

Only the standard library: each script runs in an environment of its own, where nothing of ours is installed.
A script is run as ``python SCRIPT REFERENCE.parquet CURRENT.parquet`` and prints one line of JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

Drift = Callable[[Path, Path], list[str]]
"""Reads the reference and the current file, and returns the columns that the tool flags."""


def run(load: Callable[[], Drift]) -> None:
    """Import a tool, let it compare the two files of the command line, and print what it took.

    ``wall_s`` and ``work_cpu_s`` are without the imports, ``cpu_s`` is the whole process with its children;
    ``peak`` is the most memory that was resident, in bytes.
    """
    began = time.perf_counter()
    drift = load()
    ready, spent = time.perf_counter(), cpu_s()
    flagged = drift(Path(sys.argv[1]), Path(sys.argv[2]))
    done = time.perf_counter()
    found = {
        "import_s": ready - began,
        "wall_s": done - ready,
        "cpu_s": cpu_s(),
        "work_cpu_s": cpu_s() - spent,
        "peak": status("VmHWM"),
        "flagged": sorted(flagged),
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


def cpu_s() -> float:
    """Return the CPU seconds of this process and of its children that ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def status(field: str) -> int:
    """Return a field of this process's status in bytes."""
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith(f"{field}:"))
