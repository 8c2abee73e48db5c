"""Files that land in a folder on this machine."""

import heapq
import json
import os
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ratoon.arrivals.source import Arrival
from ratoon.declarations import FolderSource
from ratoon.errors import BackendError, ConfigError, ConflictError, UnreadableFileError
from ratoon.instants import as_utc

ACCEPTED = ".accepted"
REFUSED = ".refused"
_REASON = ".reason.json"
_UNFINISHED = (".tmp", ".part")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGEST_SHOWN = 12
_LONGEST_NAME = 255 - len(_REASON) - len(".tmp")


class FolderSourceAdapter:
    """A landing folder.

    Names that start with ``.`` or ``_`` or end in ``.tmp`` or ``.part``, sub-folders, symbolic links and names
    that are not UTF-8 are not looked at. A taken file is renamed into ``.accepted`` as
    ``<first 12 of its digest>-<name>``; a refused one into ``.refused``, beside ``<its name>.reason.json``.

    Args:
        spec: The declaration.
        root: Folder that a relative ``spec.path`` stands in; it must not lead out of it.

    Raises:
        ConfigError: The path leads out of ``root``.
    """

    def __init__(self, spec: FolderSource, root: Path) -> None:
        self._spec = spec
        self._folder = (root / spec.path).resolve()
        if not Path(spec.path).is_absolute() and not self._folder.is_relative_to(root.resolve()):
            raise ConfigError(
                f"source path {spec.path!r} leads out of {root}; "
                "write a path within it, or an absolute one if the folder is meant to be elsewhere"
            )

    @property
    def folder(self) -> Path:
        """The landing folder, resolved."""
        return self._folder

    def prepare(self) -> None:
        """Make the landing folder, if it does not exist."""
        self._folder.mkdir(parents=True, exist_ok=True)

    def pending(self, now: datetime, limit: int) -> list[Arrival]:
        """Return the settled files, oldest first (then by name), at most ``limit``; none without the folder.

        One listing of the folder; memory is bounded by ``limit``.
        """
        newest = as_utc(now) - self._spec.settle
        settled = (arrival for arrival in self._arrivals() if arrival.modified_at <= newest)
        return heapq.nsmallest(limit, settled, key=lambda arrival: (arrival.modified_at, arrival.name))

    def open(self, arrival: Arrival) -> Path:
        """Return the path of a pending file, once it is sure to be the plain file that was listed."""
        path = self._path(arrival)
        _check_unchanged(path, arrival)
        _check_opens(path)
        return path

    def accept(self, arrival: Arrival, digest: str) -> None:
        """Rename a file into ``.accepted``: one step, so that no reader sees it twice or half."""
        self._set_aside(arrival, ACCEPTED, digest, None)

    def refuse(self, arrival: Arrival, digest: str | None, error: Mapping[str, Any]) -> None:
        """Write the reason, then rename the file into ``.refused``: a refused file always has its reason."""
        self._set_aside(arrival, REFUSED, digest, error)

    def _arrivals(self) -> Iterator[Arrival]:
        try:
            entries = os.scandir(self._folder)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise BackendError(f"folder {self._folder} can't be listed: {exc.strerror}; check its permissions") from exc
        with entries:
            for entry in entries:
                if not self._is_looked_at(entry.name):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield _arrival(self._folder / entry.name, status)

    def _is_looked_at(self, name: str) -> bool:
        is_hidden = name.startswith((".", "_")) or name.endswith(_UNFINISHED)
        return not is_hidden and _is_utf8(name) and fnmatchcase(name, self._spec.pattern)

    def _path(self, arrival: Arrival) -> Path:
        path = self._folder / arrival.name
        if Path(arrival.name).name != arrival.name or path.parent != self._folder or path.as_uri() != arrival.uri:
            raise UnreadableFileError(
                f"{arrival.uri} is not a file of folder {self._folder}; only listed files are taken"
            )
        return path

    def _set_aside(self, arrival: Arrival, where: str, digest: str | None, error: Mapping[str, Any] | None) -> None:
        path = self._path(arrival)
        try:
            target = self._aside(where) / _fit_name(f"{(digest or 'unread')[:_DIGEST_SHOWN]}-{arrival.name}")
            if not os.path.lexists(path) and target.exists():
                return
            _check_unchanged(path, arrival)
            if error is not None:
                _write_reason(target.with_name(target.name + _REASON), arrival, digest, error)
            path.replace(target)
        except OSError as exc:
            raise BackendError(
                f"{arrival.name!r} can't be moved to {where}: {exc.strerror}; free space or rights"
            ) from exc

    def _aside(self, where: str) -> Path:
        folder = self._folder / where
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():
            raise ConfigError(f"{folder} is a symbolic link, through which files would leave; replace it by a folder")
        return folder


def _arrival(path: Path, status: os.stat_result) -> Arrival:
    modified_at = _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1_000)
    return Arrival(uri=path.as_uri(), name=path.name, size=status.st_size, modified_at=modified_at)


def _check_unchanged(path: Path, arrival: Arrival) -> None:
    try:
        # Not following links: a name that was swapped for one must not lead to what it points to.
        status = path.lstat()
    except FileNotFoundError as exc:
        raise ConflictError(f"{arrival.name!r} is not there any more; list the folder again") from exc
    if not stat.S_ISREG(status.st_mode) or _arrival(path, status) != arrival:
        raise ConflictError(
            f"{arrival.name!r} changed after it was listed; it is taken as a new file later. "
            "Write files under a name that ends in .part, and rename them when they are whole"
        )


def _check_opens(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
    except OSError as exc:
        raise UnreadableFileError(f"{path.name!r} can't be opened: {exc.strerror}; check its permissions") from exc


def _write_reason(path: Path, arrival: Arrival, digest: str | None, error: Mapping[str, Any]) -> None:
    record = {"file": arrival.name, "size": arrival.size, "digest": digest, "error": dict(error)}
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(json.dumps(record, indent=2, sort_keys=True, default=str) + "\n")
    unfinished.replace(path)


def _fit_name(name: str) -> str:
    encoded = name.encode()
    if len(encoded) <= _LONGEST_NAME:
        return name
    # The end stays, since it says the format.
    half = _LONGEST_NAME // 2
    return encoded[:half].decode(errors="ignore") + encoded[-half:].decode(errors="ignore")


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)
