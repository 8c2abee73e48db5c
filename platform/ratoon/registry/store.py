"""The artifact store: bytes in, digest out; what comes back hashes to the name it was asked by.

::

    ArtifactStore(url)          put, get, exists, put_json; checks every digest
    └── Blobs                   the port: read, write, exists
        ├── FolderBlobs         a folder: temporary file, fsync, rename, fsync of the folder
        └── ObjectBlobs         an object store (S3 ...) through obstore; a put is atomic there
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlparse

from ratoon.errors import CorruptArtifactError, NotFoundError, RegistryError
from ratoon.identity import canonical_json, digest_bytes
from ratoon.registry.folder import FolderBlobs

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Blobs(Protocol):
    """Where bytes lie under a name of the form ``ab/abcdef...``."""

    def read(self, name: str) -> bytes:
        """Return the bytes of a name.

        Raises:
            NotFoundError: Nothing has that name.
            BackendError: The store failed.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Store bytes under a name so that a reader sees all of them or none, also after a crash."""
        ...

    def exists(self, name: str) -> bool:
        """Return whether a name is stored."""
        ...


class ArtifactStore:
    """Content-addressed blobs in a folder or an object store.

    Args:
        url: A path, a ``file://`` URL, or an object store's URL such as ``s3://bucket/prefix``.
        storage_options: Credentials and endpoint of an object store, named as for Delta Lake (``AWS_...``).
        blobs: Where the bytes lie, in place of what the URL names.
    """

    def __init__(
        self, url: str, storage_options: Mapping[str, str] | None = None, *, blobs: Blobs | None = None
    ) -> None:
        self.url = url
        self._blobs = blobs if blobs is not None else _blobs_of(url, storage_options or {})

    def put(self, data: bytes) -> str:
        """Store bytes and return their digest; storing the same bytes again changes nothing.

        A stored copy whose bytes no longer hash to their name is replaced.

        Raises:
            BackendError: The store failed; nothing was stored under the digest.
        """
        digest = digest_bytes(data)
        if not (self.exists(digest) and digest_bytes(self._blobs.read(_name(digest))) == digest):
            self._blobs.write(_name(digest), data)
        return digest

    def put_json(self, value: Mapping[str, Any]) -> str:
        """Store a value as canonical JSON and return the digest."""
        return self.put(canonical_json(value).encode())

    def get(self, digest: str) -> bytes:
        """Return the bytes of a digest, checked before anybody parses them.

        Raises:
            NotFoundError: The store has no such artifact.
            CorruptArtifactError: The stored bytes do not hash to the digest.
            BackendError: The store failed.
        """
        data = self._blobs.read(_name(digest))
        if digest_bytes(data) != digest:
            raise CorruptArtifactError(
                f"artifact {digest} in {self.url} holds other bytes ({len(data)} B hash to {digest_bytes(data)}); "
                "it was not parsed: restore it from a backup, or retrain"
            )
        return data

    def get_json(self, digest: str) -> dict[str, Any]:
        """Return the value that :meth:`put_json` stored; errors as :meth:`get`."""
        found: dict[str, Any] = json.loads(self.get(digest))
        return found

    def exists(self, digest: str) -> bool:
        """Return whether a digest is stored; its bytes are not read."""
        return self._blobs.exists(_name(digest))


def _name(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise NotFoundError(f"{digest[:80]!r} is not the name of an artifact: expected 64 hexadecimal digits")
    return f"{digest[:2]}/{digest}"


def _blobs_of(url: str, storage_options: Mapping[str, str]) -> Blobs:
    parsed = urlparse(url)
    if parsed.scheme in ("", "file"):
        return FolderBlobs(Path(unquote(parsed.path) if parsed.scheme else url))
    if parsed.scheme in ("s3", "s3a", "gs", "az", "abfs", "abfss"):
        from ratoon.registry.objects import ObjectBlobs

        return ObjectBlobs.open(url, storage_options)
    raise RegistryError(f"can't store artifacts at {url!r}: expected a path, file:// or s3://bucket/prefix")
