"""The children's logs: appended to, and cut when they grow too large."""

import shutil
from pathlib import Path

MAX_BYTES = 10 * 2**20
"""Size at which a log is moved to ``<name>.log.1`` and begun again."""

_TAIL_BYTES = 8_192


def cut_if_large(path: Path, max_bytes: int = MAX_BYTES) -> bool:
    """Copy a log that is too large to ``.1`` and empty it in place, since its writer keeps it open.

    The writer must append (``O_APPEND``), or it would go on at its old offset. Lines written between the
    copy and the cut are lost.
    """
    if not path.is_file() or path.stat().st_size <= max_bytes:
        return False
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    with path.open("r+b") as stream:
        stream.truncate(0)
    return True


def last_lines(path: Path, count: int = 12) -> str:
    """Return the last lines of a log, for an error message; empty where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        text = stream.read().decode("utf-8", errors="replace")
    return "\n".join(text.splitlines()[-count:])
