"""Values as people read them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ratoon.instants import format_instant

_SHORT_DIGEST = 12
_DAY = timedelta(days=1)


def instant(value: datetime | None) -> str:
    """Return an instant to the second, or a dash."""
    return format_instant(value.replace(microsecond=0)) if value else "-"


def age(since: datetime | None, now: datetime) -> str:
    """Return the time since an instant, in days from two days on, else in hours or minutes.

    Example:
        >>> age(None, datetime.now())
        '-'
    """
    if since is None:
        return "-"
    passed = now - since
    if passed >= 2 * _DAY:
        return f"{passed.days} days"
    minutes = max(0, round(passed.total_seconds() / 60))
    return f"{minutes // 60} h" if minutes >= 120 else f"{minutes} min"


def number(value: float | None) -> str:
    """Return a number with thousands separators and four significant digits after the point, or a dash.

    Example:
        >>> number(12345), number(0.70714), number(None), number(2.0)
        ('12,345', '0.7071', '-', '2')
    """
    if value is None:
        return "-"
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def short(digest: str | None) -> str:
    """Return the first 12 characters of a digest, or a dash; ``--json`` gives all of it."""
    return digest[:_SHORT_DIGEST] if digest else "-"


def pairs(values: Mapping[str, Any]) -> str:
    """Return the plain entries of a mapping as ``name value, name value``; nested ones are left to ``--json``."""
    texts = []
    for key, value in values.items():
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, int | float):
            texts.append(f"{key} {number(value)}")
        elif isinstance(value, str):
            texts.append(f"{key} {short(value) if len(value) >= 40 else value}")
    return ", ".join(texts) or "-"


def yes(flag: bool) -> str:
    """Return yes or no."""
    return "yes" if flag else "no"


def newest(shown: int, total: int) -> list[str]:
    """Return the line that says that a table is cut, or nothing.

    Example:
        >>> newest(20, 25), newest(20, 5)
        (['the newest 20 of 25; --json lists all'], [])
    """
    return [f"the newest {shown} of {total:,}; --json lists all"] if total > shown else []


def count(number_of: int, noun: str) -> str:
    """Return a number with its noun.

    Example:
        >>> count(1, "dataset"), count(2, "dataset")
        ('1 dataset', '2 datasets')
    """
    return f"{number_of:,} {noun}{'' if number_of == 1 else 's'}"
