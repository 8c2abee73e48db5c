"""One child of the supervisor: started, probed until it is ready, restarted with back-off, stopped."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ratoon.stack.groups import ask_to_end, end_group, kill_group
from ratoon.stack.tether import tethered

_LONGEST_WAIT_S = 30.0
_STEADY_S = 60.0


class Phase(StrEnum):
    """Where a child is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """How a child is run.

    Attributes:
        name: Also the name of its log.
        command: Program and arguments.
        env: Its whole environment.
        cwd: Its working directory.
        log: Gets its stdout and stderr.
        probe: Says whether it serves.
        detail: What people see beside its name once it is ready.
        after: Names of the children that must be ready before it starts.
        rank: Children of a higher rank are stopped first.
        grace_s: Time it has to stop by itself.
        ready_within_s: Time it has to get ready.
        most_failures: Failed starts after which a stack that is starting gives up.
        whole_group: Its own children also get the SIGTERM.
        prepare: Called before each start with the number of failures in a row.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    probe: Callable[[], bool]
    detail: str
    after: tuple[str, ...] = ()
    rank: int = 0
    grace_s: float = 5
    ready_within_s: float = 90
    most_failures: int = 2
    whole_group: bool = False
    prepare: Callable[[int], None] = lambda _: None


def wait_before_restart(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row: 0.5, 1, 2 ... at most 30."""
    return float(min(_LONGEST_WAIT_S, 0.5 * 2 ** min(failures - 1, 10))) if failures else 0.0


class Child:
    """The life of one child. Time is handed in (monotonic seconds); nothing here sleeps but a stop."""

    def __init__(self, spec: ChildSpec, notice: Callable[[str], None]) -> None:
        self.spec = spec
        self.phase = Phase.WAITING
        self.failures = 0
        self.has_been_ready = False
        self.last_exit: int | None = None
        self._notice = notice
        self._process: subprocess.Popen[bytes] | None = None
        self._due = 0.0
        self._since = 0.0

    @property
    def pid(self) -> int | None:
        """Pid of the running process, which leads its own group; None while there is none."""
        return self._process.pid if self._process else None

    def advance(self, now: float) -> Phase | None:
        """Move on as far as is possible now; return the new phase when it changed."""
        before = self.phase
        match self.phase:
            case Phase.WAITING:
                if now >= self._due:
                    self._start(now)
            case Phase.STARTING | Phase.READY:
                self._look_after(now)
            case Phase.STOPPED:
                return None
        return self.phase if self.phase != before else None

    def seconds_in_phase(self, now: float) -> float:
        """Return how long the child has been starting, ready or waiting."""
        return now - self._since

    def ask_to_stop(self) -> None:
        """Send the process its SIGTERM, once, and never start it again."""
        if self._process and self.phase is not Phase.STOPPED:
            ask_to_end(self._process, whole_group=self.spec.whole_group)
        self.phase = Phase.STOPPED

    def stop(self) -> bool:
        """End the process and its group for good; return whether it ended by itself in time."""
        self.ask_to_stop()
        willing = True
        if self._process:
            willing = end_group(self._process, grace_s=self.spec.grace_s)
            self._forget()
        return willing

    def _start(self, now: float) -> None:
        self.spec.prepare(self.failures)
        self.spec.log.parent.mkdir(parents=True, exist_ok=True)
        with self.spec.log.open("ab") as log:
            self._process = subprocess.Popen(
                tethered(self.spec.command),
                env=dict(self.spec.env),
                cwd=self.spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._notice(f"+{self._process.pid}")
        self.phase, self._since = Phase.STARTING, now

    def _look_after(self, now: float) -> None:
        if self._process is None or self._process.poll() is not None:
            self._fail(now)
        elif self.phase is Phase.READY:
            if self.failures and now - self._since > _STEADY_S:
                self.failures = 0
        elif self.spec.probe():
            self.phase, self._since, self.has_been_ready = Phase.READY, now, True
        elif now - self._since > self.spec.ready_within_s:
            self._fail(now)

    def _fail(self, now: float) -> None:
        if self._process:
            kill_group(self._process)
            self.last_exit = self._process.returncode
            self._forget()
        self.failures += 1
        self.phase, self._since, self._due = (
            Phase.WAITING,
            now,
            now + wait_before_restart(self.failures),
        )

    def _forget(self) -> None:
        if self._process:
            self._notice(f"-{self._process.pid}")
            self._process = None
