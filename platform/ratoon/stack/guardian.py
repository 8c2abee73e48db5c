"""Outlives the supervisor by a moment, to leave nothing behind when that is killed.

``PR_SET_PDEATHSIG`` ends the supervisor's own children (on Linux), but not theirs, such as the runs that
Dagster's code server starts. This process reads ``+pid`` and ``-pid`` lines, one per child that leads a
process group; when its input ends, it kills the groups that are still on the list.

Run as a script, with no packages: ``python -I -S guardian.py``.
"""

import os
import signal
import sys
from typing import TextIO


def watch(lines: TextIO) -> set[int]:
    """Return the groups that are still on the list when the input ends."""
    groups: set[int] = set()
    for line in lines:
        sign, pid = line[:1], line[1:].strip()
        if not pid.isdigit():
            continue
        if sign == "+":
            groups.add(int(pid))
        elif sign == "-":
            groups.discard(int(pid))
    return groups


def main() -> None:
    """Wait for the supervisor's end, then kill what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for group in watch(sys.stdin):
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    main()
