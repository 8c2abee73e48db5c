"""What waits for a run, and whether to ask for one now. Pure: it looks at lists, not at folders or databases."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ratoon.identity import digest_json
from ratoon.instants import Instant

_KEY_LENGTH = 16
_FIRST_DELAY_S = 10.0
_LONGEST_DELAY_S = 600.0


class Asked(BaseModel):
    """The last run that was asked for a dataset's work.

    Attributes:
        work: Digest of what waited.
        attempt: 0 for the first run that was asked for this work.
        at: When.
    """

    model_config = ConfigDict(frozen=True)

    work: str
    attempt: int
    at: Instant

    def run_key(self, dataset: str) -> str:
        """Return the key under which Dagster starts at most one run, ever, whatever became of it."""
        return f"{dataset}:{self.work}:{self.attempt}"


class Cursor(BaseModel):
    """What the arrivals sensor remembers: the last request of each dataset."""

    model_config = ConfigDict(frozen=True)

    asked: Mapping[str, Asked] = {}

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """Return the cursor of a sensor; a new one starts empty."""
        return cls.model_validate_json(text) if text else cls()


def work_digest(arrivals: Sequence[Any], events: Sequence[str]) -> str | None:
    """Return the digest of what waits, or None when nothing does.

    Args:
        arrivals: Files (``uri``, ``size``, ``modified_at``); their content is not read.
        events: Ids of events that some model has no decision for, as ``model/event``.
    """
    if not arrivals and not events:
        return None
    files = sorted([arrival.uri, arrival.size, arrival.modified_at.isoformat()] for arrival in arrivals)
    return digest_json([files, sorted(events)])[:_KEY_LENGTH]


def next_request(last: Asked | None, work: str | None, *, now: datetime) -> Asked | None:
    """Decide whether to ask for a run, while none of the dataset is queued or started.

    The same work is asked for again, since a run key blocks for ever and the run may have failed: later
    each time (10 s, 20 s, 40 s ... at most 10 minutes), so that what always fails does not fill the list of runs.

    Args:
        last: The last request of the dataset.
        work: Digest of what waits now.
        now: The wall clock.
    """
    if work is None:
        return None
    if last is None or last.work != work:
        return Asked(work=work, attempt=0, at=now)
    if now - last.at < retry_delay(last.attempt):
        return None
    return Asked(work=work, attempt=last.attempt + 1, at=now)


def retry_delay(attempt: int) -> timedelta:
    """Return how long after an attempt the same work is asked for again."""
    return timedelta(seconds=min(_FIRST_DELAY_S * 2.0 ** min(attempt, 10), _LONGEST_DELAY_S))


RunOutcome = Literal["active", "ended"]


def reporting_attempt(runs: Sequence[RunOutcome], *, most: int = 5) -> int | Literal["give up"] | None:
    """Decide on a run for a retrain that no run has reported yet.

    Args:
        runs: The runs that were started for it.
        most: Runs after which the retrain counts as reported: something in Dagster is broken then, not in the ledger.

    Returns:
        The number of the next run, None while one is queued or started, or ``give up``.
    """
    if "active" in runs:
        return None
    return "give up" if len(runs) >= most else len(runs)
