"""Runs a small stack in a process of its own: the embedded broker, and a child that starts another."""

import sys
from pathlib import Path

from ratoon.settings import Settings
from ratoon.stack.children import ChildSpec
from ratoon.stack.roster import roster
from ratoon.stack.supervisor import Stack

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])
print(child.pid, flush=True)
time.sleep(600)
"""


def small_stack(settings: Settings) -> Stack:
    """Return a stack of two children."""
    broker = roster(settings)[0]
    log = settings.logs / "parent.log"
    parent = ChildSpec(
        name="parent",
        command=(sys.executable, "-S", "-c", PARENT),
        env={},
        cwd=settings.project,
        log=log,
        probe=lambda: log.read_text().endswith("\n"),
        detail="",
        after=("broker",),
        rank=1,
    )
    return Stack(settings, say=lambda line: print(line, flush=True), children=[broker, parent], migrate=lambda _: None)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    small_stack(Settings(project=folder, home=folder / "home")).run(lambda: print("all are ready", flush=True))
