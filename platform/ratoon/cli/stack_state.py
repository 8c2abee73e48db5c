"""Whether a home's stack runs, without disturbing it."""

import os
from dataclasses import dataclass
from pathlib import Path

_LOCK = "up.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """Whether a stack runs.

    Attributes:
        is_up: Whether the process that holds the home lives.
        pid: That process, while it lives.
        ui: Address of the Dagster UI.
        since: Unix time at which that process took the home, while it lives.
    """

    is_up: bool
    pid: int | None
    ui: str
    since: float | None

    @property
    def words(self) -> str:
        """The state as people read it."""
        return f"up (process {self.pid}), UI at {self.ui}" if self.is_up else "down; `ratoon up` starts it"


def stack_state(home: Path, port: int) -> StackState:
    """Read who holds a home; the lock itself is not touched, since even a glance could refuse a starting stack."""
    pid = _holder(home)
    since = (home / _LOCK).stat().st_mtime if pid is not None else None
    return StackState(is_up=pid is not None, pid=pid, ui=f"http://127.0.0.1:{port}", since=since)


def _holder(home: Path) -> int | None:
    try:
        pid = int((home / _LOCK).read_text(encoding="utf-8").strip())
        os.kill(pid, 0)
    except PermissionError:
        return pid
    except (OSError, ValueError):
        return None
    return pid
