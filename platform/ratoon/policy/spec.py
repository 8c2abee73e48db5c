"""The declaration of a retraining policy."""

from typing import Annotated, Literal

from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.instants import Duration


class NewRows(Strict):
    """Fires when this many labelled rows are newer than the champion's training data."""

    kind: Literal["new_rows"]
    rows: int = Field(gt=0)
    confirm: int = Field(1, ge=1, le=100, description="Fire only after so many evaluations in a row.")


class Drift(Strict):
    """Fires when the drift verdict names at least this many drifted columns."""

    kind: Literal["drift"]
    columns: int = Field(1, ge=1, description="Drifted columns, counted after both gates of the verdict.")
    confirm: int = Field(1, ge=1, le=100)


class Performance(Strict):
    """Fires when the matured metric is worse than the champion's reference by more than this share."""

    kind: Literal["performance"]
    drop: float = Field(gt=0, lt=1, description="Relative worsening, 0.02 for two per cent.")
    confirm: int = Field(1, ge=1, le=100)


class MaxAge(Strict):
    """Fires when the champion's training data is older than this."""

    kind: Literal["max_age"]
    age: Duration
    confirm: int = Field(1, ge=1, le=100)


Trigger = Annotated[NewRows | Drift | Performance | MaxAge, Field(discriminator="kind")]
"""A manual request is always a trigger and needs no declaration."""


class Guards(Strict):
    """What holds a retrain back although a trigger fired. ``single_flight`` always applies."""

    cooldown: Duration = Field(default="0s", validate_default=True, description="Time after a retrain's decision.")
    min_labelled_rows: int = Field(
        1_000, ge=1, description="Labelled rows newer than the champion's training data (all, while there is none)."
    )
    data_hold: bool = Field(
        default=True, description="Wait while the diagnosis takes the dataset's newest batch for broken."
    )


class Policy(Strict):
    """When a retrain is decided. Any trigger is enough; every guard must let it pass."""

    triggers: list[Trigger] = Field(min_length=1)
    guards: Guards = Guards()
