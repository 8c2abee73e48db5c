"""Profiles as bytes: compact, versioned, and the same content on every machine."""

import base64
import binascii
import json
import math
import zlib
from typing import Any, Final

import polars as pl

from ratoon.errors import DataError
from ratoon.identity import canonical_json, digest_bytes
from ratoon.profiles.schema import PROFILE_SCHEMA

_MAGIC: Final = b"RTPROFILE"
_VERSION: Final = 2
_FLOATS: Final = ("center", "sum", "sum2", "min", "max")


def encode(profile: pl.DataFrame) -> bytes:
    """Write a profile: a header with the version, and its canonical JSON text, compressed by zlib.

    Args:
        profile: A frame of :data:`ratoon.profiles.PROFILE_SCHEMA`.
    """
    return _MAGIC + bytes([_VERSION]) + zlib.compress(_canonical(profile))


def digest(profile: pl.DataFrame) -> str:
    """Return the SHA-256 of a profile's canonical text: it names the content, however it is compressed.

    The same profile has the same digest on every machine. Profiles of the same rows in another order or file layout
    agree in all but the last digits of ``sum`` and ``sum2``.
    """
    return digest_bytes(_canonical(profile))


def decode(data: bytes) -> pl.DataFrame:
    """Read what :func:`encode` wrote.

    Raises:
        DataError: The bytes are no profile, are damaged, or are of another version.
    """
    if data[: len(_MAGIC)] != _MAGIC or len(data) <= len(_MAGIC):
        raise DataError("these bytes are no stored profile; write one with ratoon.profiles.encode")
    version = data[len(_MAGIC)]
    if version != _VERSION:
        raise DataError(
            f"the stored profile has version {version}, this Ratoon reads version {_VERSION}; profile the batch again"
        )
    try:
        columns = json.loads(zlib.decompress(data[len(_MAGIC) + 1 :]))
        return pl.DataFrame({name: _read(name, columns[name]) for name in PROFILE_SCHEMA}, schema=PROFILE_SCHEMA)
    except _DAMAGES as exc:
        raise DataError(f"the stored profile is damaged ({exc}); restore it, or profile the batch again") from exc


_DAMAGES: Final = (zlib.error, ValueError, KeyError, TypeError, binascii.Error, pl.exceptions.PolarsError)


def _canonical(profile: pl.DataFrame) -> bytes:
    rows = profile.select(*PROFILE_SCHEMA).sort("column")
    return canonical_json({name: _written(name, rows[name].to_list()) for name in PROFILE_SCHEMA}).encode()


def _written(name: str, values: list[Any]) -> list[Any]:
    if name in _FLOATS:
        return [value if value is None else _float_text(value) for value in values]
    if name == "registers":
        return [value if value is None else base64.b64encode(value).decode() for value in values]
    return values


def _float_text(value: float) -> float | str:
    """Return a number for JSON: -0.0 as 0.0, and as text what JSON has no number for."""
    return value + 0.0 if math.isfinite(value) else str(value)


def _read(name: str, values: list[Any]) -> list[Any]:
    if name in _FLOATS:
        return [value if value is None else float(value) for value in values]
    if name == "registers":
        return [value if value is None else base64.b64decode(value, validate=True) for value in values]
    return values
