"""Two profiles beside each other, as arrays over their columns."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon.errors import DataError

Floats = NDArray[np.float64]

_NUMBERS: Final = ("n", "nulls", "nans", "infs", "center", "sum", "sum2", "min", "max", "rest", "rest_singletons")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One window's profile; every array has one place per column, NaN where the profile holds null."""

    n: Floats
    missing: Floats
    """Rows without a usable value."""
    present: Floats
    """Rows with one."""
    mean: Floats
    deviation: Floats
    """Standard deviation; like the mean NaN unless numeric and not personal data."""
    min: Floats
    max: Floats
    rest: Floats
    rest_singletons: Floats
    counts: list[list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JointCounts:
    """One window's joint row."""

    columns: list[str]
    n: int
    counts: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both windows' profiles of the same columns, in the order of their names."""

    names: list[str]
    kinds: list[str]
    categories: list[list[str] | None]
    binning: str
    """Digest of the bins."""
    reference: Side
    current: Side
    joint: tuple[JointCounts, JointCounts] | None
    n_reference: int
    n_current: int


def n_rows(profile: pl.DataFrame) -> int:
    """Return how many rows a window holds; 0 for an empty profile."""
    return 0 if profile.is_empty() else int(profile["n"].max())  # type: ignore[arg-type]


def read_sides(reference: pl.DataFrame, current: pl.DataFrame, ignored: Collection[str]) -> Sides:
    """Lay two profiles beside each other, without keys and ignored columns.

    Raises:
        DataError: The profiles are of different binnings or columns, or a column is there twice.
    """
    profiles = [_ordered(frame) for frame in (reference, current)]
    binning = _common_binning(*profiles)
    names, kinds = (profiles[0][what].to_list() for what in ("column", "kind"))
    judged = [
        at
        for at, (name, kind) in enumerate(zip(names, kinds, strict=True))
        if kind not in ("key", "joint") and name not in ignored
    ]
    categories = profiles[0]["categories"].to_list()
    joint = [_joint(frame, kinds) for frame in profiles]
    return Sides(
        names=[names[at] for at in judged],
        kinds=[kinds[at] for at in judged],
        categories=[categories[at] for at in judged],
        binning=binning,
        reference=_side(profiles[0], judged),
        current=_side(profiles[1], judged),
        joint=(joint[0], joint[1]) if joint[0] is not None and joint[1] is not None else None,
        n_reference=n_rows(reference),
        n_current=n_rows(current),
    )


def _ordered(profile: pl.DataFrame) -> pl.DataFrame:
    if profile["column"].n_unique() != profile.height:
        raise DataError("a profile holds a column more than once; merge the profiles of a window before comparing them")
    return profile if profile["column"].is_sorted() else profile.sort("column")


def _side(profile: pl.DataFrame, judged: list[int]) -> Side:
    values: dict[str, Any] = {name: profile[name].cast(pl.Float64).to_numpy()[judged] for name in _NUMBERS}
    counts = profile["counts"].to_list()
    missing = values["nulls"] + values["nans"] + values["infs"]
    present = values["n"] - missing
    rows = np.where(present > 0, present, np.nan)
    offset = values["sum"] / rows
    return Side(
        n=values["n"],
        missing=missing,
        present=present,
        mean=values["center"] + offset,
        deviation=np.sqrt(np.maximum(values["sum2"] / rows - offset**2, 0.0)),
        min=values["min"],
        max=values["max"],
        rest=values["rest"],
        rest_singletons=values["rest_singletons"],
        counts=[counts[at] for at in judged],
    )


def _joint(profile: pl.DataFrame, kinds: list[str]) -> JointCounts | None:
    if "joint" not in kinds:
        return None
    at = kinds.index("joint")
    return JointCounts(
        columns=profile["categories"][at].to_list(), n=int(profile["n"][at]), counts=profile["counts"][at].to_list()
    )


def _common_binning(reference: pl.DataFrame, current: pl.DataFrame) -> str:
    digests = sorted({*reference["binning"].unique().to_list(), *current["binning"].unique().to_list()})
    if len(digests) != 1 or reference["column"].to_list() != current["column"].to_list():
        shown = ", ".join(digest[:12] for digest in digests)
        raise DataError(
            f"profiles of different bins ({shown}) can't be compared; profile both windows with one binning"
        )
    return str(digests[0])
