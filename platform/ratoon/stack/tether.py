"""Starts a program whose life is tied to its parent's: a script that prepares itself, then becomes the program.

Doing this between fork and exec in the parent (``preexec_fn``) is unsafe where the parent has threads, as
polars' and gRPC's. Run with no packages: ``python -I -S tether.py PARENT_PID SETTLE_S PROGRAM ARGUMENT...``.
"""

import ctypes
import os
import select
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def tethered(command: Sequence[str], *, settle_s: float = 0) -> list[str]:
    """Return the command that runs another one for as long as the calling thread lives.

    The tie is to the *thread* that starts the process (Linux only; elsewhere there is none).

    Args:
        command: Program and arguments.
        settle_s: Seconds to wait before the program is run, or until something comes on its stdin.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(settle_s), *command]


def die_with_parent(parent: int) -> None:
    """Ask the kernel to SIGKILL this process when the thread that started it ends (Linux; nothing elsewhere).

    Args:
        parent: The expected parent's pid: where it is already gone, this process exits at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def main(arguments: Sequence[str]) -> None:
    """Tie this process to its parent, give it a clean set of signals, and become the program."""
    # An ignored SIGINT is inherited through exec, and Dagster copies SIGINT's handler to SIGTERM: started
    # from a shell's background job, its processes could not be stopped.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    die_with_parent(int(arguments[0]))
    settle_s, program = float(arguments[1]), list(arguments[2:])
    if settle_s > 0:
        select.select([0], [], [], settle_s)
    os.execvp(program[0], program)  # noqa: S606 - the command line is our own


if __name__ == "__main__":
    main(sys.argv[1:])
