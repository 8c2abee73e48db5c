import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ratoon.contracts import Contract, validate
from ratoon.diagnosis import column_changes, counts_digest, restore_rows
from ratoon.diagnosis.counted import Column, Counted, columns_of, forecast
from ratoon.diagnosis.lattice import Lattice
from ratoon.diagnosis.units import AS_IT_IS, UNITS
from ratoon.profiles import PROFILE_SCHEMA, ColumnBinning, make_binning, merge, profile

FAHRENHEIT = next(unit for unit in UNITS if unit.name == "Fahrenheit in Celsius")


def row(**more):
    empty = dict.fromkeys(PROFILE_SCHEMA) | dict.fromkeys(("nulls", "nans", "infs", "rest"), 0)
    return empty | {"column": "x", "kind": "numeric", "center": 0.0, "counts": []} | more


def test_moments_of_a_column_come_from_its_sums():
    # 2, 4, 6 and a missing row: mean 4, variance 8/3
    for center in (0.0, 4.0):
        values = np.array([2.0, 4.0, 6.0]) - center
        one = Counted.of(row(n=4, nulls=1, center=center, sum=values.sum(), sum2=(values**2).sum(), min=2.0, max=6.0))
        assert (one.mean, one.sd) == (4.0, pytest.approx(math.sqrt(8 / 3)))
        assert (one.n_values, one.missing_share, one.n_moments) == (3, 0.25, 3)


@pytest.mark.parametrize("center", [0.0, 3.0])
def test_zeros_are_left_out_where_they_are_common(center):
    # 0, 0, 2, 6: the two that are none have mean 4 and sd 2
    edges = [-5e-324, 0.0, 6.0]
    frame = row(n=4, center=center, sum=8.0 - 4 * center, sum2=sum((x - center) ** 2 for x in (0, 0, 2, 6)))
    frame |= {"min": 0.0, "max": 6.0, "counts": [0, 2, 2, 0], "binning": "d"}
    table = pl.DataFrame([frame], schema=PROFILE_SCHEMA, orient="row")
    binning = {"x": ColumnBinning(kind="numeric", type="float", edges=edges, center=0.0, scale=1.0)}
    column = columns_of(binning, table, [table], table)["x"]
    assert (column.now.mean, column.now.sd, column.now.n_moments) == (pytest.approx(4.0), pytest.approx(2.0), 2)


def test_a_forecast_weighs_the_newest_most_and_knows_its_usual_error():
    # levels 10, 10.4, 10.24, 10.544: errors 1, -0.4, 0.76; median of their sizes 0.76
    made = forecast(np.array([10.0, 11.0, 10.0, 11.0]), 0.0, guess=9.0, floor=0.1)
    assert made.center == pytest.approx(10.544)
    assert made.scale == pytest.approx(1.4826 * 0.76)
    assert made.surprise(10.544 + 2 * 1.4826 * 0.76) == pytest.approx(2.0)


def test_with_few_batches_a_forecast_is_a_guess():
    assert forecast(np.array([]), 5.0, guess=2.0, floor=0.1).surprise(9.0) == 2.0
    assert forecast(np.array([6.0]), 5.0, guess=2.0, floor=3.0).surprise(9.0) == 1.0
    assert forecast(np.array([6.0]), 5.0, guess=2.0, floor=3.0).surprise(math.nan) == 0.0


def test_the_boiling_point_is_a_hundred():
    assert 212.0 * FAHRENHEIT.factor + FAHRENHEIT.offset == pytest.approx(100.0)
    assert FAHRENHEIT.undone(100.0) == pytest.approx(212.0)


def test_units_are_undone_and_each_has_its_inverse():
    for unit in UNITS:
        assert unit.undone(unit.factor * 7.0 + unit.offset) == pytest.approx(7.0)
        inverses = [one for one in UNITS if one.factor * unit.factor == pytest.approx(1) and _cancels(unit, one)]
        assert inverses, unit.name


def _cancels(unit, other):
    return other.factor * unit.offset + other.offset == pytest.approx(0.0, abs=1e-9)


def test_a_sign_turns_the_ends_around():
    now = Counted.of(row(n=2, sum=6.0, sum2=20.0, min=2.0, max=4.0))
    mean, sd, low, high = UNITS[0].undone_counted(now)
    assert (UNITS[0].factor, mean, sd, low, high) == (-1.0, -3.0, 1.0, -4.0, -2.0)


def column_with(edges, scale=18.0):
    empty = Counted.of(row(n=0))
    binning = ColumnBinning(kind="numeric", type="float", edges=edges, center=0.0, scale=scale)
    return Column(name="x", binning=binning, now=empty, past=(), reference=empty)


def test_steps_follow_from_the_edges_and_hold_in_every_season():
    # tenths of a degree Celsius in Fahrenheit: steps of 0.18
    edges = [math.nextafter(32, 0), *(32 + 0.18 * k for k in (3, 10, 14, 29, 50, 71, 99))]
    values = np.array([32 + 0.18 * k for k in range(200, 300)])
    lattice = Lattice.of(column_with(edges), values)
    assert lattice.step == pytest.approx(0.18)
    assert lattice.share(AS_IT_IS) == 1.0
    celsius = replace(lattice, values=(values - 32) * 5 / 9)
    assert celsius.share(AS_IT_IS) < 0.2
    assert celsius.share(FAHRENHEIT) == 1.0


def test_values_without_steps_say_nothing():
    edges = np.random.default_rng(0).normal(0, 18, 20)
    edges.sort()
    assert Lattice.of(column_with(edges.tolist()), np.array([1.0])).share(AS_IT_IS) is None
    assert Lattice.of(column_with([1.0, 2.0]), np.array([1.0])).share(AS_IT_IS) is None
    assert Lattice.of(column_with([float(k) for k in range(9)]), None).share(AS_IT_IS) is None


CONTRACT = Contract.model_validate(
    {
        "entity_key": ["id"],
        "event_time": "at",
        "columns": {
            "id": {"type": "string"},
            "at": {"type": "datetime"},
            "x": {"type": "float", "max": 10},
            "n": {"type": "int", "nullable": True},
        },
    }
)


def test_quarantined_rows_come_back_typed_and_what_cannot_be_read_is_null():
    frame = pl.DataFrame(
        {
            "id": ["a", "b", "c"],
            "at": ["2026-01-05T08:00:00Z"] * 3,
            "x": ["1000.5", "bad", "2"],
            "n": ["7", "8", "9"],
        }
    )
    checked = validate(frame, CONTRACT)
    restored = restore_rows(checked.quarantined, CONTRACT)
    assert restored.schema == checked.kept.schema
    assert restored.select("id", "x", "n").rows() == [("a", 1000.5, 7), ("b", None, 8)]
    assert restore_rows(checked.quarantined.clear(), CONTRACT).schema == checked.kept.schema


def test_columns_that_are_missing_new_or_of_another_type_are_told_apart():
    schema = pl.Schema({"id": pl.String, "at": pl.Boolean, "x": pl.Int32, "extra": pl.Int8})
    assert column_changes(schema, CONTRACT) == {
        "columns_missing": ["n"],
        "columns_added": ["extra"],
        "columns_retyped": {"at": "Boolean"},
    }


def test_a_digest_of_counts_is_of_the_rows_and_not_of_their_order():
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"x": rng.normal(1e6, 1, 2_000), "t": rng.choice(["a", "b"], 2_000)})
    binning = make_binning(frame)
    digest = counts_digest(profile(frame, binning))
    assert digest == counts_digest(profile(frame.reverse(), binning))
    assert digest == counts_digest(merge([profile(frame.head(900), binning), profile(frame.tail(1_100), binning)]))
    assert digest != counts_digest(profile(frame.head(1_999), binning))
