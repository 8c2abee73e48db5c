"""Blobs in a folder of a local disk."""

import os
import tempfile
from pathlib import Path

from ratoon.errors import BackendError, NotFoundError


class FolderBlobs:
    """Files below a root; a file is complete once it has its name.

    A crash can leave a ``.part-*`` file behind, which no name ever points at.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError as exc:
            raise NotFoundError(f"no artifact {name} in {self._root}; was it made with another RATOON_HOME?") from exc
        except OSError as exc:
            raise BackendError(f"can't read artifact {name} in {self._root}: {exc}") from exc

    def write(self, name: str, data: bytes) -> None:
        """Write a temporary file, flush it to the disk, give it its name, and flush the folder."""
        target = self._root / name
        try:
            self._ensure(target.parent)
            _replace(target, data)
        except OSError as exc:
            raise BackendError(
                f"can't write artifact {name} ({len(data)} B) in {self._root}: {exc}; is the disk full?"
            ) from exc

    def exists(self, name: str) -> bool:
        """Return whether the file exists."""
        return (self._root / name).is_file()

    def _ensure(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _flush_folder(folder.parent)


def _replace(target: Path, data: bytes) -> None:
    handle, part = tempfile.mkstemp(prefix=".part-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(part).replace(target)
    except OSError:
        Path(part).unlink(missing_ok=True)
        raise
    _flush_folder(target.parent)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
