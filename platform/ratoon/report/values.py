"""What a report shows. Everything that may not be there yet is None or empty, and the report says why."""

from typing import Literal

from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.drift.values import DriftReport
from ratoon.instants import Instant
from ratoon.policy.values import GuardResult, TriggerResult


class ChampionView(Strict):
    """The version that predicts now."""

    version: int
    promoted_at: Instant
    data_until: Instant | None = None
    metric_at_evaluation: float | None = None
    artifact: str = ""


class Cohort(Strict):
    """Predictions that are measured together: one point of the timeline."""

    name: str
    at: Instant = Field(description="When the cohort was predicted.")
    version: int
    n_rows: int = Field(description="Predicted rows.")
    n_matured: int = Field(description="Those whose label is known.")
    value: float | None = Field(None, description="The metric on matured rows.")
    reference: float | None = Field(None, description="The metric at the version's own evaluation.")
    low: float | None = Field(None, description="Interval of the value.")
    high: float | None = None
    estimate: float | None = Field(None, description="The metric as estimated without labels.")
    estimate_low: float | None = None
    estimate_high: float | None = None
    reason: str = Field("", description="Why there is no value.")

    @property
    def maturity(self) -> float:
        """Return the share of predicted rows whose label is known."""
        return self.n_matured / self.n_rows if self.n_rows else 0.0


class PromotionView(Strict):
    """A version's becoming champion."""

    at: Instant
    version: int
    previous_version: int | None = None
    kind: str = "promotion"
    actor: str = ""
    reason: str = ""


class RetrainView(Strict):
    """A retrain, and what the gate said to its candidate."""

    retrain_id: str
    state: str
    requested_at: Instant
    finished_at: Instant | None = None
    verdict: Literal["promote", "reject"] | None = None
    reasons: list[str] = []
    version: int | None = Field(None, description="The version that came of it.")
    candidate: float | None = None
    champion: float | None = None
    n_rows: int | None = Field(None, description="Rows that both were judged on.")
    error: str = ""


class DecisionView(Strict):
    """What the policy said after an event."""

    number: int
    at: Instant
    outcome: Literal["retrain", "wait"]
    reason: str
    event: str = ""
    triggers: list[TriggerResult] = []
    guards: list[GuardResult] = []
    retrain: RetrainView | None = None

    @property
    def kind(self) -> Literal["retrain", "held", "wait"]:
        """Return held where a trigger fired and a guard did not let it pass."""
        if self.outcome == "retrain":
            return "retrain"
        return "held" if any(trigger.fired for trigger in self.triggers) else "wait"


class DriftPoint(Strict):
    """One drift report in short."""

    at: Instant
    judged: bool
    n_columns: int
    drifted: list[str] = []
    joint: bool = Field(default=False, description="Whether columns stopped moving together as they did.")
    worst_score: float | None = None


class Distribution(Strict):
    """One column's counts on both sides, in the same bins; never of a column with personal data."""

    kind: Literal["numeric", "category", "time"]
    type: str = Field("float", description="The contract's type; integers are drawn value by value where they are few.")
    edges: list[float] = Field([], description="numeric: k ascending edges of the k+1 counts.")
    categories: list[str] = Field([], description="category: the listed values.")
    reference: list[int] = Field(description="time: 24 hours of the day, then 7 days of the week from Monday.")
    current: list[int]
    rest_reference: int = 0
    rest_current: int = 0


class ScorePoint(Strict):
    """One column's score in one earlier report."""

    at: Instant
    score: float | None
    flagged: bool = False


class ColumnView(Strict):
    """What a report shows of a column besides its verdict."""

    distribution: Distribution | None = None
    history: list[ScorePoint] = Field([], description="Oldest first.")
    pii: bool = Field(default=False, description="Personal data: no value of it is shown.")


class FindingView(Strict):
    """One thing that the diagnosis found."""

    cause: str
    columns: list[str] = []
    partition: str | None = None
    confidence: float | None = None
    sentence: str = ""
    advice: str = ""
    evidence: dict[str, float | str] = {}


class DiagnosisView(Strict):
    """Broken data or a real shift."""

    at: Instant | None = None
    batch: str = ""
    verdict: str
    sentence: str = ""
    advice: str = ""
    findings: list[FindingView] = []


class IncidentView(Strict):
    """One upstream cause behind several findings, perhaps of several models."""

    title: str
    sentence: str = ""
    since: Instant | None = None
    models: list[str] = []
    columns: list[str] = []


class AlertView(Strict):
    """An alert that nobody has resolved."""

    title: str
    severity: str = "warning"
    sentence: str = ""
    since: Instant | None = None
    n_times: int = 1
    muted: bool = False


class SliceView(Strict):
    """The metric of the rows that hold one value of a column."""

    column: str
    value: str
    n_matured: int
    metric: float | None = None
    rest: float | None = Field(None, description="The metric of all other rows.")
    flagged: bool = Field(default=False, description="Worse than the rest by more than chance, and enough to matter.")
    p_value: float | None = None


class ChangeView(Strict):
    """Whether the matured loss rose, and since when."""

    alarm: bool
    sentence: str


class AgePoint(Strict):
    """How much of a cohort is labelled at an age."""

    age_s: float
    share: float


class MaturityView(Strict):
    """How fast labels arrive."""

    sentence: str = ""
    mature_at: float = 0.9
    enough_by: Instant | None = None
    curve: list[AgePoint] = []


class EstimateView(Strict):
    """The metric as estimated without labels, with what it rests on."""

    method: str
    assumption: str
    sentence: str = ""
    past_error: float | None = Field(
        None, description="Mean absolute error of earlier estimates, once labels were known."
    )
    coverage: float | None = Field(None, description="Share of earlier values that lay in their band.")
    n_past: int = 0


class ReportData(Strict):
    """One model, as of one time.

    Attributes:
        cohorts: Oldest first.
        drift_history: Oldest first.
        promotions: Oldest first.
        decisions: Newest first.
        columns: By name, as in ``drift.columns``.
        diagnosis: None where none was made.
        incidents: None where nobody looked.
        alerts: None where alerts are not set up.
    """

    model: str
    description: str = ""
    dataset: str = ""
    as_of: Instant
    code_version: str
    metric: str
    greater_is_better: bool = True
    champion: ChampionView | None = None
    data_until: Instant | None = Field(None, description="Newest event time that the dataset holds.")
    drift: DriftReport | None = None
    drift_at: Instant | None = None
    drift_history: list[DriftPoint] = []
    columns: dict[str, ColumnView] = {}
    cohorts: list[Cohort] = []
    promotions: list[PromotionView] = []
    decisions: list[DecisionView] = []
    diagnosis: DiagnosisView | None = None
    incidents: list[IncidentView] | None = None
    alerts: list[AlertView] | None = None
    change: ChangeView | None = None
    slices: list[SliceView] | None = None
    maturity: MaturityView | None = None
    estimate: EstimateView | None = None
