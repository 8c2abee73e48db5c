"""Digests and derived ids: the same cause always gets the same name."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20
_ID_LENGTH = 24


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, NaN and infinity refused.

    Example:
        >>> canonical_json({"b": 1, "a": [1.5, None]})
        '{"a":[1.5,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def digest_bytes(data: bytes) -> str:
    """Return the lowercase hexadecimal SHA-256 of some bytes (64 characters)."""
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Mapping[str, Any] | list[Any]) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return digest_bytes(canonical_json(value).encode())


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, read in chunks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def derive_id(kind: str, *causes: str) -> str:
    """Return the id of the thing that these causes bring about (``kind-`` and 24 hexadecimal characters).

    The id is a function of its causes, so that doing the same thing twice names the same row, and the
    database's unique key refuses the second.

    Example:
        >>> derive_id("retrain", "decision-1") == derive_id("retrain", "decision-1")
        True
    """
    return f"{kind}-{digest_json([kind, *causes])[:_ID_LENGTH]}"
