"""Another unit leaves a column's shape as it was; a world that changed does not."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ratoon.diagnosis import BatchFacts, Diagnosis, diagnose
from ratoon.profiles import make_reference, merge, profile

START = datetime(2026, 6, 1, tzinfo=UTC)


def weights(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(0.8, 0.6, 600)


def diagnosed(values: np.ndarray) -> Diagnosis:
    frames = [pl.DataFrame({"weight": weights(seed)}) for seed in range(8)]
    now = pl.DataFrame({"weight": values})
    reference = make_reference(frames[0])
    past = [profile(frame, reference.binning) for frame in frames]
    facts = BatchFacts(batch_id="now", as_of=START + timedelta(weeks=9), n_rows=600)
    current = profile(now, reference.binning)
    return diagnose(merge(past), current, binning=reference.binning, facts=facts, past=past, batch=now)


def test_kilograms_that_arrive_in_pounds_are_another_unit() -> None:
    found = diagnosed(weights(9) * 2.205)
    assert (found.verdict, found.cause) == ("broken", "unit_change")


@pytest.mark.parametrize("heavy_share", [0.3, 0.4, 0.5])
def test_parcels_of_which_some_became_heavier_are_a_shift_although_the_mean_doubled(heavy_share: float) -> None:
    draws = np.random.default_rng(9)
    heavy = draws.random(600) < heavy_share
    found = diagnosed(np.where(heavy, draws.lognormal(2.2, 0.3, 600), weights(9)))
    assert (found.verdict, found.advice) == ("shift", "policy")
