"""The bins that a dataset's batches are counted in: made once, so that counts of any two batches add up."""

from functools import cached_property
from typing import Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ratoon.contracts.spec import Strict
from ratoon.errors import DataError
from ratoon.identity import canonical_json, digest_json
from ratoon.profiles.kinds import TIMES, Kind

MOST_JOINT: Final = 100
"""Columns of the joint matrix, at most: it grows with the square of their number."""

N_HOURS: Final = 24
N_WEEKDAYS: Final = 7


class ColumnBinning(Strict):
    """How one column is counted."""

    kind: Kind
    type: str = Field(description="int, float, bool, string, category, date, datetime, time or duration.")
    pii: bool = Field(default=False, description="Personal data: no value, mean or range of it is stored.")
    edges: list[float] = Field(
        default=[],
        description="numeric: ascending; k edges make k+1 bins, (-inf, e1], (e1, e2] .. (ek, inf). The first lies just "
        "below the reference's minimum and the last is its maximum, so that both outer bins hold no row of it "
        "(personal data: rounded quantiles only).",
    )
    categories: list[str] = Field(default=[], description="category: the listed values, most frequent first.")
    center: float | None = Field(default=None, description="numeric: median of the reference.")
    scale: float | None = Field(
        default=None, gt=0, description="numeric: its spread: IQR / 1.349, else the standard deviation, else 1."
    )

    @property
    def n_bins(self) -> int:
        """Return the length of the column's counts."""
        match self.kind:
            case "numeric":
                return len(self.edges) + 1
            case "category":
                return len(self.categories)
            case "time" | "key" if self.type in TIMES:
                return N_HOURS + N_WEEKDAYS
            case _:
                return 0


class Binning(Strict):
    """The bins of one dataset. Profiles add up exactly when their binnings have the same digest.

    Example:
        >>> bins = Binning(columns={"x": ColumnBinning(kind="numeric", type="float", edges=[0.0, 1.5])})
        >>> Binning.from_json(bins.to_json()) == bins
        True
    """

    version: Literal[2] = 2
    columns: dict[str, ColumnBinning]
    joint: list[str] = Field(
        default=[], max_length=MOST_JOINT, description="Numeric columns of the joint matrix, sorted."
    )

    @model_validator(mode="after")
    def _joint_columns_have_scores(self) -> Self:
        if self.joint != sorted(set(self.joint)):
            raise ValueError("joint must be sorted, and name each column once")
        unfit = [name for name in self.joint if not has_scores(self.columns.get(name))]
        if unfit:
            raise ValueError(f"joint columns {unfit} aren't numeric ones with center and scale, or are personal data")
        return self

    def to_json(self) -> str:
        """Return the binning as canonical JSON text: equal binnings give equal bytes."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            DataError: The text is no binning, or one of another version.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as exc:
            raise DataError(f"stored binning can't be read (expected version 2): {exc}; make a new one") from exc

    @cached_property
    def digest(self) -> str:
        """SHA-256 of :meth:`to_json`, so that it names the stored bytes too."""
        return digest_json(self.model_dump(mode="json"))


def has_scores(column: ColumnBinning | None) -> bool:
    """Return whether a column can be part of the joint matrix."""
    return (
        column is not None
        and column.kind == "numeric"
        and not column.pii
        and column.center is not None
        and column.scale is not None
    )
