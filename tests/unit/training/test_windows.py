from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.training.windows import (
    MAX_HOLDOUT_SHARE,
    from_micros,
    holdout_start,
    to_micros,
    validation_start,
    window_start,
)

HOUR = 3_600_000_000

sorted_times = st.lists(st.integers(0, 400), min_size=1, max_size=80).map(
    lambda hours: np.array(sorted(hours), dtype=np.int64) * HOUR
)


def hours(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64) * HOUR


def at(hour: int) -> datetime:
    return from_micros(hour * HOUR)


@settings(deadline=None)
@given(sorted_times, st.integers(0, 500), st.none() | st.integers(0, 500))
def test_every_training_row_is_strictly_older_than_every_holdout_row(times, holdout_h, seen_h):
    split = holdout_start(times, timedelta(hours=holdout_h), None if seen_h is None else at(seen_h))

    assert split == len(times) or split == 0 or times[split - 1] < times[split]
    assert seen_h is None or split == len(times) or times[split] > seen_h * HOUR


@settings(deadline=None)
@given(sorted_times, st.integers(0, 500))
def test_the_holdout_never_takes_more_than_its_share(times, holdout_h):
    split = holdout_start(times, timedelta(hours=holdout_h), None)

    assert len(times) - split <= MAX_HOLDOUT_SHARE * len(times)


def test_the_holdout_is_the_newest_stretch_of_time():
    times = hours(*range(100))

    assert holdout_start(times, timedelta(hours=10), None) == 90


def test_a_champion_that_has_seen_everything_leaves_no_holdout():
    times = hours(*range(100))

    assert holdout_start(times, timedelta(hours=10), at(99)) == 100


def test_a_champion_that_has_seen_a_part_leaves_the_rest():
    times = hours(*range(100))

    assert holdout_start(times, timedelta(hours=10), at(94)) == 95


def test_a_window_ends_before_its_end_and_reaches_back_its_length():
    times = hours(*range(100))

    assert window_start(times, 90, timedelta(hours=24)) == 66
    assert window_start(times, 90, timedelta(days=365)) == 0
    assert window_start(times, 90, "all") == 0


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(2, 200), st.floats(0.01, 0.49))
def test_validation_leaves_at_least_one_row_on_each_side(start, length, share):
    cut = validation_start(start, start + length, share)

    assert start < cut < start + length


def test_micros_name_an_instant_and_back():
    instant = datetime(2026, 3, 1, 12, 30, 0, 17, tzinfo=UTC)

    assert from_micros(to_micros(instant)) == instant
