"""The home: the one folder that holds a stack's state, who owns it now, and how it is emptied."""

import fcntl
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from ratoon.errors import RefusedError, StackError
from ratoon.settings import Settings

MARKER = ".ratoon-home"
"""File that tells a Ratoon home from any other folder."""

_LOCK = "up.lock"
_FOLDERS = ("inbox", "lake", "artifacts", "dagster", "broker", "logs")


class HomeLock:
    """Holds a home for one stack: a second one is refused. The kernel lets go when the holder dies."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._file: TextIO | None = None

    def acquire(self) -> None:
        """Take the home.

        Raises:
            StackError: Another process holds it; the message names its pid.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        while self._file is None:
            file = (self.home / _LOCK).open("a+", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with file:
                    raise StackError(self._taken(_read_pid(file))) from None
            if self._is_still_there(file):
                self._file = file
            else:
                file.close()
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    @property
    def is_held(self) -> bool:
        """Whether this object holds the home."""
        return self._file is not None

    def release(self) -> None:
        """Let go of the home and remove the lock's file."""
        if self._file is not None:
            with suppress(FileNotFoundError):
                (self.home / _LOCK).unlink()
            self._file.close()
            self._file = None

    def _is_still_there(self, file: TextIO) -> bool:
        # The last holder unlinks the file on its way out: a lock on an unlinked file keeps nobody out.
        try:
            return os.path.samestat(os.fstat(file.fileno()), (self.home / _LOCK).stat())
        except FileNotFoundError:
            return False

    def _taken(self, pid: str) -> str:
        return (
            f"the home {self.home} is in use by process {pid}, another `ratoon up` or `ratoon demo`; "
            "stop that one first, or set RATOON_HOME to another folder"
        )


def prepare_home(settings: Settings) -> None:
    """Make the home's folders and its marker, and the folder of the sockets.

    Raises:
        StackError: The folder of the sockets belongs to somebody else, or can't be made.
    """
    for name in _FOLDERS:
        (settings.home / name).mkdir(parents=True, exist_ok=True)
    (settings.logs / "retrains").mkdir(exist_ok=True)
    (settings.home / MARKER).write_text("This folder is a Ratoon home: `ratoon up --fresh` may empty it.\n")
    _make_private(settings.runtime_dir)


def empty_home(settings: Settings) -> None:
    """Delete all state in the home; the caller holds its lock.

    Raises:
        RefusedError: The folder is not a Ratoon home, or state lies outside of it.
    """
    home = settings.home
    content = [path for path in home.iterdir() if path.name != _LOCK] if home.is_dir() else []
    if settings.database_url or settings.store_url:
        raise RefusedError(
            "--fresh only empties the home, but database_url or store_url put state elsewhere; "
            "empty that database and store yourself, or run without these settings"
        )
    if content and not (home / MARKER).is_file():
        raise RefusedError(
            f"{home} is not a Ratoon home (it has no file {MARKER}), so --fresh leaves it alone; "
            "delete it yourself if you mean it, or set RATOON_HOME to another folder"
        )
    for path in content:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StackError(
            f"{folder}, the folder of the broker's socket, belongs to somebody else (uid {found.st_uid}); "
            "remove it, or set RATOON_HOME to a folder with a shorter path"
        )
    folder.chmod(0o700)


def _read_pid(file: TextIO) -> str:
    file.seek(0)
    return file.read().strip() or "unknown"
