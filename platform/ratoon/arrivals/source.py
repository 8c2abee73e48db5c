"""The port through which files arrive; a folder is one adapter, a bucket can be another."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file that landed and was not taken yet.

    Attributes:
        uri: Where it landed.
        name: File name, without folders.
        size: Bytes.
        modified_at: When it last changed; UTC.
    """

    uri: str
    name: str
    size: int
    modified_at: datetime


class Source(Protocol):
    """A place where files land.

    A file is pending until it is accepted or refused, and stays as it is when neither happens: whoever crashes
    between reading and accepting sees it again. Accepting or refusing twice changes nothing.
    """

    def prepare(self) -> None:
        """Make the place where files land, if it does not exist."""

    def pending(self, now: datetime, limit: int) -> list[Arrival]:
        """Return the files that settled by ``now``, oldest first (then by name), at most ``limit``."""

    def open(self, arrival: Arrival) -> Path:
        """Return a local path to read a pending file from.

        Raises:
            UnreadableFileError: It is not a plain file of this source.
            ConflictError: It changed or vanished since it was listed; list again.
        """

    def accept(self, arrival: Arrival, digest: str) -> None:
        """Set a file aside as taken.

        Args:
            arrival: A pending file.
            digest: SHA-256 of its content, as read.

        Raises:
            ConflictError: It changed since it was listed: it stays pending, as a new file.
        """

    def refuse(self, arrival: Arrival, digest: str | None, error: Mapping[str, Any]) -> None:
        """Set a file aside as one that can't be taken, with the reason beside it.

        Args:
            arrival: A pending file.
            digest: SHA-256 of its content; None where it can't be read.
            error: The error's record (:meth:`ratoon.errors.RatoonError.to_record`).

        Raises:
            ConflictError: It changed since it was listed: it stays pending, as a new file.
        """
