from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from ratoon.profiles import Binning, ColumnBinning, distinct, merge, profile
from ratoon.profiles.sketch import hash_integers, hashes_of

BINNING = Binning(columns={"s": ColumnBinning(kind="identifier", type="string")})


def _registers(values, binning=BINNING):
    return profile(pl.DataFrame({"s": values}), binning)["registers"].item()


@pytest.mark.parametrize("n_distinct", [0, 1, 10, 1_000, 5_000, 100_000])
def test_the_number_of_distinct_texts_is_found_within_5_percent(n_distinct):
    found = distinct(_registers(pl.Series([f"N{i}-tail" for i in range(n_distinct)] * 2, dtype=pl.String)))
    assert found == pytest.approx(n_distinct, rel=0.05)


@pytest.mark.parametrize("n_distinct", [10, 1_000, 100_000])
def test_the_number_of_distinct_integers_is_found_within_5_percent(n_distinct):
    integers = Binning(columns={"s": ColumnBinning(kind="identifier", type="int")})
    assert distinct(_registers(np.arange(n_distinct) * 1_000, integers)) == pytest.approx(n_distinct, rel=0.05)


def test_the_sketch_of_the_whole_is_that_of_its_parts_for_any_split():
    values = pl.DataFrame({"s": [f"v{i % 700}" for i in range(3_000)]})
    whole = profile(values, BINNING)
    for cuts in ([1], [1_500], [10, 900, 2_999]):
        bounds = [0, *cuts, 3_000]
        parts = [profile(values[a:b], BINNING) for a, b in pairwise(bounds)]
        assert merge(parts)["registers"].item() == whole["registers"].item()


def test_how_often_and_in_which_order_values_occur_makes_no_difference():
    values = [f"v{i}" for i in range(500)]
    assert _registers(values) == _registers(values[::-1] * 3)
    assert _registers([*values, None]) == _registers(values)


def test_integers_are_hashed_by_splitmix64():
    # The first outputs of the reference generator (Vigna, splitmix64.c) from the seed 1234567.
    step = np.arange(2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    states = (step + np.uint64(1234567)).view(np.int64)
    assert hash_integers(states).tolist() == [6457827717110365317, 3203168211198807973]


def _hash_by_hand(text):
    """Eight bytes at a time, little-endian, in Python's integers."""
    data, mask = text.encode(), (1 << 64) - 1

    def mix(value):
        value = (value + 0x9E3779B97F4A7C15) & mask
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
        return value ^ (value >> 31)

    found = mix(len(data))
    for start in range(0, len(data), 8):
        found = mix(found ^ int.from_bytes(data[start : start + 8], "little"))
    return found


def test_texts_are_hashed_by_their_bytes_alone():
    texts = ["", "a", "12345678", "123456789", "Zürich", "a\x00", "漢字" * 20, "x" * 256]
    assert hashes_of(pl.Series(texts)).tolist() == [_hash_by_hand(text) for text in texts]


def test_long_texts_that_differ_late_are_told_apart():
    texts = ["x" * 300 + end for end in "abc"]
    assert len(set(hashes_of(pl.Series(texts)).tolist())) == 3
