"""Numbers, shares and instants as a report writes them: the same kind of value always in the same form."""

import math
import re
from datetime import datetime, timedelta

from ratoon.instants import as_utc, format_duration

NONE = "–"
"""What stands where there is no value."""

_LONGEST_S = timedelta.max.days * 86_400.0

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
"""Characters that XML refuses, and those that turn the direction of the text around them."""


def printable(text: str) -> str:
    """Return a user's text without characters that XML refuses or that turn the direction of what follows."""
    return _UNPRINTABLE.sub("\ufffd", text)


def shortened(text: str, limit: int) -> str:
    """Return at most ``limit`` characters of a text, the last an ellipsis where it was cut.

    Example:
        >>> shortened("Brazilian aircraft", 9)
        'Brazilia…'
    """
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def number(value: float | None) -> str:
    """Return a number to four significant digits, integers whole, both with separators.

    Example:
        >>> number(12345), number(0.70714), number(None), number(-2.0), number(1e-7)
        ('12,345', '0.7071', '–', '−2', '1e−07')
    """
    if value is None or math.isnan(value):
        return NONE
    if abs(value) >= 1e15:
        return f"{value:.3g}".replace("-", "−").replace("+", "")
    if float(value).is_integer():
        return f"{int(value):,}".replace("-", "−")
    text = f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return text.replace("-", "−")


def fixed(value: float | None, places: int = 3) -> str:
    """Return a number with a fixed number of places, so that a column of them lines up.

    Example:
        >>> fixed(0.70714), fixed(-0.5, 2), fixed(-0.0004), fixed(None)
        ('0.707', '−0.50', '0.000', '–')
    """
    if value is None or math.isnan(value):
        return NONE
    rounded = round(value, places) or 0.0
    return f"{rounded:,.{places}f}".replace("-", "−")


def signed(value: float | None, places: int = 3) -> str:
    """Return a difference with its sign.

    Example:
        >>> signed(0.0123), signed(-0.5), signed(0.0)
        ('+0.012', '−0.500', '±0.000')
    """
    if value is None or math.isnan(value):
        return NONE
    rounded = round(value, places)
    return ("±" if rounded == 0 else "+" if rounded > 0 else "") + fixed(value, places)


def share(value: float | None, places: int = 1) -> str:
    """Return a share of one as per cent.

    Example:
        >>> share(0.0412), share(1.0), share(0.0), share(0.0002), share(0.9999), share(None)
        ('4.1 %', '100 %', '0 %', '< 0.1 %', '> 99.9 %', '–')
    """
    if value is None or math.isnan(value):
        return NONE
    if value in (0.0, 1.0):
        return f"{value:.0%}".replace("%", " %")
    least = 10.0**-places
    if 0 < value * 100 < least:
        return f"< {least:.{places}f} %"
    if 100 - least < value * 100 < 100:
        return f"> {100 - least:.{places}f} %"
    return f"{value * 100:,.{places}f} %".replace("-", "−")


def p_value(value: float | None) -> str:
    """Return a p-value, never more exact than it is worth.

    Example:
        >>> p_value(0.04123), p_value(1e-9), p_value(1.0)
        ('0.041', '< 0.001', '1')
    """
    if value is None or math.isnan(value):
        return NONE
    if value >= 0.9995:
        return "1"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def measured(value: float | None, unit: str) -> str:
    """Return what a trigger measured, in its unit: ``rows``, ``columns``, ``share`` or ``s``.

    Example:
        >>> measured(18862, "rows"), measured(0.0077, "share"), measured(90_000, "s"), measured(None, "rows")
        ('18,862 rows', '0.77 %', '1d1h', 'not measured')
    """
    if value is None:
        return "not measured"
    if unit == "share":
        return share(value, 2)
    if unit == "s":
        return format_duration(timedelta(seconds=min(value, _LONGEST_S)))
    return count(int(value), unit.removesuffix("s")) if unit else number(value)


def count(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    Example:
        >>> count(1, "column"), count(1200, "row"), count(0, "batch", "batches")
        ('1 column', '1,200 rows', '0 batches')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def day(at: datetime | None) -> str:
    """Return the UTC date.

    Example:
        >>> from datetime import UTC
        >>> day(datetime(2013, 2, 5, 23, tzinfo=UTC))
        '5 Feb 2013'
    """
    if at is None:
        return NONE
    moment = as_utc(at)
    return f"{moment.day} {moment:%b %Y}"


def minute(at: datetime | None) -> str:
    """Return the UTC date and time.

    Example:
        >>> from datetime import UTC
        >>> minute(datetime(2013, 2, 5, 23, 4, tzinfo=UTC))
        '5 Feb 2013, 23:04'
    """
    return NONE if at is None else f"{day(at)}, {as_utc(at):%H:%M}"


def closed(text: str) -> str:
    """Return a text that ends with a full stop; its first word may be a name and stays as it is.

    Example:
        >>> closed("auc is about 0.7"), closed("Nothing moved."), closed("")
        ('auc is about 0.7.', 'Nothing moved.', '')
    """
    return text if not text or text[-1] in ".!?…" else text + "."


def sentence(text: str) -> str:
    """Return words of our own as a sentence: with a capital at its beginning and a full stop at its end.

    Example:
        >>> sentence("no trigger fired"), sentence("")
        ('No trigger fired.', '')
    """
    return closed(text[:1].upper() + text[1:])
