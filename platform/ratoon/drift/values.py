"""What a drift verdict answers. All round-trip through JSON."""

from typing import Literal

from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.monitoring import DriftSettings

Reason = Literal["distribution", "null_rate", "new_category"]
"""distribution: the shares of bins or listed values moved · null_rate: more or fewer rows without a usable value ·
new_category: more rows with a value that is not listed, beyond the mass that the reference can't have seen."""


class ColumnDrift(Strict):
    """One column of a report. Shares are 0..1."""

    column: str
    kind: Literal["numeric", "category", "identifier", "time"]
    n_reference: int = Field(description="Rows of the reference with a usable value.")
    n_current: int
    score: float | None = Field(description="Bias-corrected PSI, >= 0; None where there are no bins to compare.")
    expected_null_score: float | None = Field(
        description="What the uncorrected PSI averages when nothing changed; the correction."
    )
    js: float | None = Field(description="Jensen-Shannon distance of the shares (base 2), 0..1.")
    ks: float | None = Field(
        description="numeric: largest gap of the two distribution functions at a bin's edge, 0..1."
    )
    wasserstein: float | None = Field(
        description="numeric: distance that the values moved, in standard deviations of the reference."
    )
    mean_reference: float | None
    mean_current: float | None
    test: str = Field(
        description="Test with the smallest p-value: chi_square, rank, spread, null_rate, new_category; or none."
    )
    p_value: float = Field(
        description="Smallest of the column's tests, corrected for all tests of the report; 1 without a test."
    )
    null_rate_reference: float = Field(description="Share of rows that hold null, NaN or infinity.")
    null_rate_current: float
    rest_share_reference: float | None = Field(description="category: share of values that are not listed.")
    rest_share_current: float | None
    unseen_mass: float | None = Field(description="category: share that the reference can't have seen (Good-Turing).")
    importance: float | None = Field(None, description="The column's share of the champion's importance, 0..1.")
    severity: float = Field(description="The largest effect in units of its threshold; 1 just matters.")
    flagged: bool
    reasons: list[Reason]
    sentence: str = Field(description="What changed, for a person.")

    @property
    def weight(self) -> float:
        """Return what the report is ranked by: severity times importance (severity alone where none is known)."""
        return self.severity * (1.0 if self.importance is None else self.importance)


class PairDrift(Strict):
    """Two numeric columns whose correlation changed."""

    first: str
    second: str
    correlation_reference: float
    correlation_current: float
    p_value: float = Field(description="Corrected for all tests of the report.")


class JointDrift(Strict):
    """Whether numeric columns move together as they did, each column's own distribution aside."""

    n_pairs: int
    p_value: float = Field(description="Smallest, corrected for all tests of the report.")
    pairs: list[PairDrift] = Field(description="Pairs that are flagged, largest change first.")
    flagged: bool
    sentence: str


class DriftReport(Strict):
    """Whether the current window differs from the reference window."""

    judged: bool
    not_judged_reason: str | None = None
    n_rows_reference: int
    n_rows_current: int
    binning: str | None = Field(default=None, description="Digest of the bins that both profiles were counted in.")
    settings: DriftSettings
    alpha: float | None = Field(
        default=None, description="Chance of any flag in this report when nothing changed: what it spent of the budget."
    )
    drifted: list[str] = Field(default=[], description="Flagged columns, worst first (effect times importance).")
    columns: list[ColumnDrift] = Field(default=[], description="Every judged column, worst first.")
    joint: JointDrift | None = None

    @property
    def alarm(self) -> bool:
        """Return whether anything was flagged."""
        return bool(self.drifted) or (self.joint is not None and self.joint.flagged)

    @property
    def worst_score(self) -> float | None:
        """Return the largest bias-corrected PSI of any column, None where none was judged."""
        return max((row.score for row in self.columns if row.score is not None), default=None)

    @property
    def sentence(self) -> str:
        """Return the report in one sentence."""
        if not self.judged:
            return f"Drift was not judged: {self.not_judged_reason}."
        joint = f" {self.joint.sentence}" if self.joint is not None and self.joint.flagged else ""
        if not self.drifted:
            return f"None of {len(self.columns)} columns drifted.{joint}"
        shown = ", ".join(self.drifted[:3]) + (f" and {len(self.drifted) - 3} more" if len(self.drifted) > 3 else "")
        return f"{len(self.drifted)} of {len(self.columns)} columns drifted: {shown}.{joint}"
