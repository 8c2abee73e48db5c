"""Ends whole process groups, and leaves none of their members behind."""

import os
import signal
import subprocess
import time
from pathlib import Path


def signal_group(pid: int, number: signal.Signals) -> bool:
    """Send a signal to the process group that a child leads; say whether there was anybody to get it."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def ask_to_end(child: subprocess.Popen[bytes], *, whole_group: bool = False) -> None:
    """Send SIGTERM to a child that leads its own group (``start_new_session``), or to its whole group."""
    if child.poll() is not None:
        return
    if whole_group:
        signal_group(child.pid, signal.SIGTERM)
    else:
        child.terminate()


def end_group(child: subprocess.Popen[bytes], *, grace_s: float) -> bool:
    """Wait for a child that was asked to end, then SIGKILL whatever is left of its group.

    Returns:
        Whether the child ended within ``grace_s`` seconds.
    """
    willing = _ended(child, grace_s)
    kill_group(child)
    return willing


def kill_group(child: subprocess.Popen[bytes], *, patience_s: float = 2) -> None:
    """SIGKILL a child's group and wait until the child is reaped and no member of the group lives."""
    signal_group(child.pid, signal.SIGKILL)
    if child.poll() is None:
        child.kill()
        _ended(child, patience_s)
    deadline = time.monotonic() + patience_s
    while _has_living_members(child.pid) and time.monotonic() < deadline:
        signal_group(child.pid, signal.SIGKILL)
        time.sleep(0.01)


def _has_living_members(group: int) -> bool:
    # A signal reaches zombies too: an orphan stays one until init reaps it, which may take seconds.
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(its_group) == group and state != "Z":
            return True
    return False


def _ended(child: subprocess.Popen[bytes], timeout_s: float) -> bool:
    try:
        child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True
