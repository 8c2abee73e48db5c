"""The values that a decision is made of. All round-trip through JSON."""

from typing import Any, Literal

from pydantic import Field, FiniteFloat

from ratoon.contracts.spec import Strict
from ratoon.instants import Instant

EventKind = Literal["batch.ingested", "labels.arrived", "manual.requested", "clock.passed"]
"""What can make Ratoon decide. Past tense: these are facts."""


class ChampionSignal(Strict):
    """The champion that a decision is about."""

    version: int
    data_until: Instant = Field(description="Newest event time in its training data.")
    promoted_at: Instant


class DriftSignal(Strict):
    """The drift verdict in short; the full report is evidence."""

    n_drifted: int
    drifted: list[str] = Field(description="Names of the drifted columns, worst first.")
    worst_score: FiniteFloat | None = Field(None, description="Largest bias-corrected PSI.")
    n_rows: int


class PerformanceSignal(Strict):
    """The champion's metric on matured rows against its reference."""

    metric: str
    greater_is_better: bool
    value: FiniteFloat
    reference: FiniteFloat = Field(description="The metric at the champion's own evaluation.")
    n_rows: int


class DiagnosisSignal(Strict):
    """What the diagnosis of the dataset's newest batch says; the whole of it is evidence."""

    batch_id: str
    verdict: Literal["clean", "broken", "shift", "unclear"]
    advice: Literal["none", "hold", "reingest", "wait_for_labels", "policy"]
    causes: list[str] = []
    sentence: str


class Signals(Strict):
    """Everything a policy may look at, measured as of the decision's time."""

    champion: ChampionSignal | None = None
    labelled_rows: int = Field(0, description="Labelled rows known by now.")
    new_labelled_rows: int = Field(
        0, description="Those newer than the champion's training data; all without a champion."
    )
    drift: DriftSignal | None = None
    performance: PerformanceSignal | None = None
    diagnosis: DiagnosisSignal | None = None
    active_retrain: str | None = Field(None, description="Id of the model's retrain that is not terminal.")
    manual: str | None = Field(None, description="The reason that a person gave.")
    evidence: dict[str, str] = Field({}, description="Digests of what the signals were measured from.")


class PolicyState(Strict):
    """What a policy remembers between decisions."""

    last_retrain_at: Instant | None = None
    streaks: dict[str, int] = Field(
        {},
        description="Consecutive evaluations in which a trigger's condition held, by trigger key; zeros are left out.",
    )


class TriggerResult(Strict):
    """One trigger's part in a decision."""

    key: str = Field(description="kind, or kind#2 where a kind is declared twice.")
    kind: str
    value: float | None = Field(description="What was measured; None when it could not be.")
    threshold: float | None
    unit: str = ""
    streak: int = 0
    confirm: int = 1
    fired: bool
    note: str = Field(description="A plain sentence.")


class GuardResult(Strict):
    """One guard's part in a decision."""

    kind: Literal["cooldown", "single_flight", "min_labelled_rows", "data_hold"]
    passed: bool
    lifts_at: Instant | None = Field(None, description="When the guard lifts, where that is known.")
    note: str


class Decision(Strict):
    """What was decided and why. Equal inputs give equal bytes (:func:`ratoon.identity.canonical_json`)."""

    outcome: Literal["retrain", "wait"]
    reason: str = Field(description="One sentence that a person can read.")
    triggers: list[TriggerResult]
    guards: list[GuardResult]
    decided_at: Instant

    def to_json(self) -> dict[str, Any]:
        """Return the decision as JSON-ready data."""
        return self.model_dump(mode="json")
