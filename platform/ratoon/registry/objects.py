"""Blobs in an object store (S3 and the like), through obstore."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.exceptions import NotFoundError as ObjectMissing
from obstore.store import from_url

from ratoon.errors import BackendError, ConfigError, NotFoundError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_FOR_CLIENT = ("allow_http", "timeout", "connect_timeout", "proxy_url", "user_agent")
_FOR_DELTA = ("s3_allow_unsafe_rename", "s3_locking_provider", "conditional_put", "copy_if_not_exists")


class ObjectBlobs:
    """Objects below a prefix. A put replaces an object as a whole, so readers see all of it or none."""

    def __init__(self, store: "ObjectStore") -> None:
        self._store = store

    @classmethod
    def open(cls, url: str, storage_options: Mapping[str, str]) -> "ObjectBlobs":
        """Connect to the store of a URL with options named as for Delta Lake.

        Raises:
            ConfigError: The URL or an option is not understood.
        """
        config, client = _sorted_options(storage_options)
        try:
            return cls(from_url(url, config=config, client_options=client))  # type: ignore[call-overload]
        except (BaseError, TypeError, ValueError) as exc:
            raise ConfigError(
                f"can't open the artifact store {url}: {_first_line(exc)}; check store_url and storage_options"
            ) from exc

    def read(self, name: str) -> bytes:
        """Return the bytes of an object."""
        try:
            return bytes(obstore.get(self._store, name).bytes())
        except (FileNotFoundError, ObjectMissing) as exc:
            raise NotFoundError(f"no artifact {name} in {self._store}") from exc
        except (BaseError, OSError) as exc:
            raise BackendError(f"can't read artifact {name}: {_first_line(exc)}") from exc

    def write(self, name: str, data: bytes) -> None:
        """Put an object."""
        try:
            obstore.put(self._store, name, data)
        except (BaseError, OSError) as exc:
            raise BackendError(f"can't write artifact {name} ({len(data)} B): {_first_line(exc)}") from exc

    def exists(self, name: str) -> bool:
        """Return whether the object exists."""
        try:
            obstore.head(self._store, name)
        except (FileNotFoundError, ObjectMissing):
            return False
        except (BaseError, OSError) as exc:
            raise BackendError(f"can't look up artifact {name}: {_first_line(exc)}") from exc
        return True


def _sorted_options(options: Mapping[str, str]) -> tuple[dict[str, str], dict[str, object]]:
    """Split Delta's options: obstore takes HTTP client options on their own (and panics on them elsewhere)."""
    config: dict[str, str] = {}
    client: dict[str, object] = {}
    for key, value in options.items():
        bare = key.lower().removeprefix("aws_")
        if bare in _FOR_CLIENT:
            client[bare] = value.lower() == "true" if bare == "allow_http" else value
        elif bare not in _FOR_DELTA:
            config[key] = value
    return config, client


def _first_line(exc: BaseException) -> str:
    return str(exc).partition("\n")[0]
