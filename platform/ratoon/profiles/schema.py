"""The columns of a profile, and the classes that text is counted in."""

from typing import Any, Final

import polars as pl

PROFILE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "column": pl.String(),
    "kind": pl.String(),
    "binning": pl.String(),
    "n": pl.Int64(),
    "nulls": pl.Int64(),
    "nans": pl.Int64(),
    "infs": pl.Int64(),
    "center": pl.Float64(),
    "sum": pl.Float64(),
    "sum2": pl.Float64(),
    "min": pl.Float64(),
    "max": pl.Float64(),
    "counts": pl.List(pl.Int64()),
    "rest": pl.Int64(),
    "rest_singletons": pl.Int64(),
    "categories": pl.List(pl.String()),
    "lengths": pl.List(pl.Int64()),
    "patterns": pl.List(pl.Int64()),
    "registers": pl.Binary(),
}
"""Columns of a profile: one row per column of the dataset, sorted by its name, and a row ``*`` of kind ``joint``.

- kind, binning: see :mod:`ratoon.profiles.binning`; binning is the digest.
- n: rows, nulls and all; nulls, nans, infs: rows without a usable value, each counted once.
- center: what was subtracted before summing (numeric; else 0); sum, sum2: of (x - center) and its square over the
  m = n - nulls - nans - infs finite values: mean = center + sum / m, variance = sum2 / m - (sum / m)². Null unless
  numeric, and for personal data.
- min, max: of the finite values, times in seconds (since 1970 in UTC; times of day since midnight); null where there
  is no value, for text and for personal data.
- counts: numeric: rows per bin; category: rows per listed value; dates and times (keys too): rows per hour of the day
  (24, in UTC; dates and durations: 0) and weekday (7, Monday first; times of day and durations: 0); joint: see
  :mod:`ratoon.profiles.joint`; else empty.
- rest: rows with a value that isn't listed; rest_singletons: such values that one batch holds once.
- categories: category: the listed values; joint: the columns' names; else null.
- lengths, patterns: text (personal data too): rows per class of :data:`LENGTHS` and :data:`PATTERNS`; else null.
- registers: identifier: a HyperLogLog sketch, see :mod:`ratoon.profiles.sketch`; else null.
"""

Row = dict[str, Any]
"""One row of a profile, or a part of its fields."""

LENGTHS: Final = ("0", "1", "2", "3-4", "5-8", "9-16", "17-32", "33-64", "65+")
"""Classes of the length of a text, in characters."""

PATTERNS: Final = (
    "empty",
    "digits",
    "number",
    "upper",
    "letters",
    "code",
    "alphanumeric",
    "uuid",
    "email",
    "url",
    "iso_date",
    "iso_datetime",
    "padded",
    "non_ascii",
    "other",
)
"""Classes of the form of a text, each text in the first one that fits of: empty, padded (blanks at an end),
non_ascii, digits (only 0-9), upper (A-Z), letters (A-Z, a-z), code (A-Z and 0-9), alphanumeric, uuid, iso_date,
iso_datetime, number (sign, point, exponent), email, url, other."""
