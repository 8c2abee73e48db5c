"""Aware UTC instants and durations as people write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def as_utc(value: datetime) -> datetime:
    """Return the same instant in UTC; a naive value is refused, since its zone can't be known.

    Raises:
        ValueError: The value carries no time zone.
    """
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone; write it with one, for example {value.isoformat()}Z")
    return value.astimezone(UTC)


def parse_instant(text: str) -> datetime:
    """Return the UTC instant of an ISO 8601 text with a zone."""
    return as_utc(datetime.fromisoformat(text))


def format_instant(value: datetime) -> str:
    """Return an instant as ISO 8601 in UTC with ``Z`` (microseconds only where there are any)."""
    return as_utc(value).isoformat().replace("+00:00", "Z")


def parse_duration(text: str) -> timedelta:
    """Return the duration of a text such as ``90s``, ``15m``, ``1.5h``, ``7d``, ``2w`` or ``1d12h``.

    Raises:
        ValueError: The text is not a sequence of numbers with a unit of s, m, h, d or w.

    Example:
        >>> parse_duration("1d12h")
        datetime.timedelta(days=1, seconds=43200)
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(
            f"{text!r} is not a duration; write a number and a unit of s, m, h, d or w, for example 7d or 90m"
        )
    try:
        return sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta())
    except OverflowError as exc:
        raise ValueError(f"{text!r} is longer than any duration may be; write at most 999999999d") from exc


def format_duration(value: timedelta) -> str:
    """Return a duration in the form that :func:`parse_duration` reads, to the second.

    Example:
        >>> format_duration(timedelta(days=1, hours=12))
        '1d12h'
    """
    seconds = round(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + ("".join(parts) or "0s")


def _duration_from(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration_from), PlainSerializer(format_duration, return_type=str)]
"""A pydantic field that reads ``7d`` and writes it back."""

Instant = Annotated[
    datetime,
    BeforeValidator(lambda v: parse_instant(v) if isinstance(v, str) else as_utc(v)),
    PlainSerializer(format_instant, return_type=str),
]
"""A pydantic field that reads an ISO 8601 text with a zone and writes it back in UTC."""
