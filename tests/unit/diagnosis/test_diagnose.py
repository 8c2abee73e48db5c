import json
from datetime import timedelta

import polars as pl
import pytest
from tests.unit.diagnosis.worlds import CONTRACT, N_PAST, N_ROWS, START, World, first, rows_of

from ratoon.diagnosis import BatchFacts, Diagnosis, diagnose
from ratoon.profiles import merge, profile


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture(scope="module")
def today():
    return rows_of(N_PAST)


def the_finding(diagnosis, cause):
    assert diagnosis.cause == cause, diagnosis.sentence
    return diagnosis.findings[0]


def nulls(share, *names):
    return [pl.when(~first(share)).then(pl.col(name)).alias(name) for name in names]


def daily(day, n_rows):
    begin = START + timedelta(days=day)
    times = {"event_time_min": begin + timedelta(hours=8), "event_time_max": begin + timedelta(hours=20)}
    return BatchFacts(batch_id=f"day-{day}", as_of=begin + timedelta(days=1), n_rows=n_rows, **times)


@pytest.mark.parametrize("seed", range(12))
def test_an_ordinary_day_is_clean(world, seed):
    diagnosis = world.judge(rows_of(N_PAST, seed=100 + seed))
    assert (diagnosis.verdict, diagnosis.advice, diagnosis.findings) == ("clean", "none", []), diagnosis.sentence


def test_without_any_history_nothing_is_said(world, today):
    counted = profile(today, world.binning)
    facts = world.facts(today, 0, counted)
    assert diagnose(counted, counted, binning=world.binning, facts=facts).verdict == "clean"
    assert diagnose(None, counted, binning=world.binning, facts=facts).verdict == "clean"


class TestMissingValues:
    def test_a_burst_in_one_column_is_named_with_its_share(self, world, today):
        found = the_finding(world.judge(today.with_columns(nulls(0.5, "price"))), "null_burst")
        assert found.columns == ["price"]
        assert found.evidence["missing"] == 0.5
        assert found.evidence["most missing before"] == 0.0
        assert found.advice == "hold"

    def test_a_burst_in_many_columns_is_one_finding(self, world, today):
        diagnosis = world.judge(today.with_columns(nulls(1.0, "warmth", "dew", "price")))
        assert the_finding(diagnosis, "null_burst").columns == ["dew", "price", "warmth"]
        assert [one.cause for one in diagnosis.findings] == ["null_burst"]

    def test_a_share_that_jumps_around_every_day_is_no_burst(self, world):
        assert world.judge(rows_of(N_PAST, patchy=0.75)).verdict == "clean"

    def test_a_storm_that_takes_a_fifth_is_not_held(self, world, today):
        assert not world.judge(today.with_columns(nulls(0.2, "price"))).is_held

    def test_a_column_that_loses_everything_is_seen_however_patchy_it_was(self):
        world = World(past=[rows_of(day, patchy=0.2 + 0.05 * day) for day in range(N_PAST)])
        emptied = rows_of(N_PAST).with_columns(pl.lit(None, pl.Float64).alias("patchy"))
        assert the_finding(world.judge(emptied), "null_burst").columns == ["patchy"]
        assert world.judge(rows_of(N_PAST, patchy=0.95)).verdict == "clean"


class TestUnits:
    @pytest.mark.parametrize(
        ("column", "factor", "name"),
        [("price", 1_000.0, "x1000"), ("price", 0.01, "x0.01"), ("rain", 1_000.0, "x1000")],
    )
    def test_a_factor_is_named(self, world, today, column, factor, name):
        found = the_finding(world.judge(today.with_columns(pl.col(column) * factor)), "unit_change")
        assert (found.columns, found.evidence["mistake"], found.evidence["factor"]) == ([column], name, factor)
        if column == "price":
            assert found.evidence["mean"] == pytest.approx(today["price"].mean() * factor, rel=1e-5)

    def test_celsius_for_fahrenheit_is_named_by_its_steps(self, world, today):
        found = the_finding(world.judge(today.with_columns((pl.col("warmth") - 32) * 5 / 9)), "unit_change")
        assert found.evidence["mistake"] == "Fahrenheit in Celsius"
        assert found.evidence["mean"] == pytest.approx((today["warmth"].mean() - 32) * 5 / 9, rel=1e-5)

    def test_a_moderate_factor_is_named_where_the_column_is_steady(self, world, today):
        in_km = today.with_columns(pl.col("price") * 1.609344)
        assert the_finding(world.judge(in_km), "unit_change").evidence["factor"] == 1.60934

    def test_steps_name_a_unit_that_the_mean_cannot(self):
        world = World(past=[rows_of(day, warmer=8.0 * (day % 3 - 1)) for day in range(N_PAST)])
        slower = rows_of(N_PAST).with_columns(pl.col("warmth") * 0.868976)
        assert the_finding(world.judge(slower), "unit_change").evidence["mistake"] == "mph in knots (x0.869)"
        assert not world.judge(slower, with_rows=False).is_held

    def test_a_heat_wave_is_a_shift(self, world):
        diagnosis = world.judge(rows_of(N_PAST, warmer=20.0))
        assert (diagnosis.verdict, diagnosis.advice) == ("shift", "policy")
        assert the_finding(diagnosis, "real_shift").columns == ["dew", "warmth"]

    def test_more_rain_is_no_change_of_unit(self, world, today):
        assert not world.judge(today.with_columns(pl.col("rain") * 2.5)).is_held
        wet = today.with_columns(pl.when(pl.col("rain") == 0).then(4.0).otherwise(pl.col("rain")).alias("rain"))
        assert "unit_change" not in {one.cause for one in world.judge(wet).findings}

    def test_one_mistake_in_two_columns_is_one_finding(self, world, today):
        diagnosis = world.judge(today.with_columns(pl.col("price", "seats") * 1_000))
        assert the_finding(diagnosis, "unit_change").columns == ["price", "seats"]

    def test_another_sign_is_named(self, world, today):
        found = the_finding(world.judge(today.with_columns(-pl.col("price"))), "sign_flip")
        assert found.evidence["mean"] == pytest.approx(-today["price"].mean(), rel=1e-5)


class TestConstants:
    def test_a_frozen_measure_is_named_with_its_value(self, world, today):
        found = the_finding(world.judge(today.with_columns(warmth=61.5)), "constant_column")
        assert (found.columns, found.evidence["value"], found.evidence["n_values"]) == (["warmth"], 61.5, N_ROWS)

    def test_one_category_in_every_row_is_named(self, world, today):
        found = the_finding(world.judge(today.with_columns(site=pl.lit("B"))), "constant_column")
        assert (found.columns, found.evidence["value"]) == (["site"], "B")

    def test_a_dry_day_is_no_frozen_sensor(self):
        dry = [rows_of(day).with_columns(rain=pl.lit(0.0)) if day % 4 == 0 else rows_of(day) for day in range(N_PAST)]
        assert World(past=dry).judge(rows_of(N_PAST).with_columns(rain=pl.lit(0.0))).verdict == "clean"

    def test_few_equal_values_are_none(self, world, today):
        few = today.with_columns(patchy=pl.when(pl.int_range(pl.len()) < 20).then(0.25))
        assert "constant_column" not in {one.cause for one in world.judge(few).findings}


class TestDefaults:
    @pytest.mark.parametrize(("column", "value"), [("seats", 0), ("seats", -1), ("maker", "UNKNOWN")])
    def test_a_default_in_the_place_of_nulls_is_named(self, world, today, column, value):
        found = the_finding(world.judge(today.with_columns(pl.col(column).fill_null(value))), "default_value_fill")
        assert (found.columns, found.evidence["value"], found.evidence["missing"]) == ([column], value, 0.0)
        assert found.evidence["share"] == pytest.approx(today[column].null_count() / N_ROWS, rel=1e-5)

    def test_a_default_for_what_one_part_never_has_is_no_fault_of_that_part(self):
        def without(frame):
            return frame.with_columns(seats=pl.when(pl.col("site") != "B").then(pl.col("seats")))

        world = World(past=[without(rows_of(day)) for day in range(N_PAST)])
        filled = without(rows_of(N_PAST)).with_columns(pl.col("seats").fill_null(-1))
        assert the_finding(world.judge(filled), "default_value_fill").columns == ["seats"]

    @pytest.mark.parametrize(("column", "value"), [("price", -1.0), ("warmth", 9_999.0), ("price", 0.0)])
    def test_a_default_in_the_place_of_values_is_named(self, world, today, column, value):
        filled = today.with_columns(pl.when(first(0.1)).then(value).otherwise(column).alias(column))
        found = the_finding(world.judge(filled), "default_value_fill")
        assert (found.columns, found.evidence["share"], found.evidence["value"]) == ([column], 0.1, value)

    def test_the_counts_alone_show_a_default_too(self, world, today):
        filled = today.with_columns(pl.when(first(0.3)).then(-1.0).otherwise("price").alias("price"))
        assert the_finding(world.judge(filled, with_rows=False), "default_value_fill").columns == ["price"]

    def test_a_few_more_zeros_of_what_is_often_zero_are_none(self):
        def raining(frame, dry):
            return frame.with_columns(rain=pl.when(first(dry)).then(0.0).otherwise(pl.col("rain") + 4.0))

        world = World(past=[raining(rows_of(day), 0.4) for day in range(N_PAST)])
        assert world.judge(raining(rows_of(N_PAST), 0.55)).verdict == "clean"
        assert the_finding(world.judge(raining(rows_of(N_PAST), 0.8)), "default_value_fill").evidence["rise"] == 0.4

    def test_a_negative_default_is_strange_however_near_it_is(self):
        def wide(frame):
            return frame.with_columns(price=50 * (pl.col("price") - 200).abs())

        world = World(past=[wide(rows_of(day)) for day in range(N_PAST)])
        filled = wide(rows_of(N_PAST)).with_columns(price=pl.when(first(0.1)).then(-1.0).otherwise(pl.col("price")))
        assert the_finding(world.judge(filled), "default_value_fill").evidence["value"] == -1.0


class TestSwaps:
    @pytest.mark.parametrize(
        ("one", "other"), [("warmth", "price"), ("warmth", "dew"), ("site", "maker"), ("code", "maker")]
    )
    def test_two_columns_with_each_others_values_are_named(self, world, today, one, other):
        swapped = today.with_columns(pl.col(other).alias(one), pl.col(one).alias(other))
        found = the_finding(world.judge(swapped), "swapped_columns")
        assert found.columns == sorted([one, other])

    def test_the_rows_tell_where_the_distance_of_two_columns_wanders(self):
        def apart(day, by):
            return rows_of(day).with_columns(dew=pl.col("warmth") - by)

        world = World(past=[apart(day, (8, 20, 12, 24, 16)[day % 5]) for day in range(24)])
        swapped = apart(N_PAST + 24, 16).with_columns(warmth="dew", dew="warmth")
        assert the_finding(world.judge(swapped), "swapped_columns").columns == ["dew", "warmth"]
        assert not world.judge(swapped, with_rows=False).is_held

    def test_two_columns_that_come_near_are_not_swapped(self, world, today):
        humid = today.with_columns(dew=pl.col("warmth") - 1.0)
        assert "swapped_columns" not in {one.cause for one in world.judge(humid).findings}


class TestTexts:
    @pytest.mark.parametrize(
        ("column", "changed"),
        [
            ("maker", pl.col("maker").str.to_lowercase()),
            ("code", pl.format(" {}", pl.col("code"))),
            ("code", pl.col("code").str.replace("QX", "Ã©")),
            ("maker", pl.col("maker").str.head(2)),
        ],
        ids=["case", "blanks", "encoding", "cut"],
    )
    def test_another_form_is_named(self, world, today, column, changed):
        assert the_finding(world.judge(today.with_columns(changed.alias(column))), "text_garbled").columns == [column]

    def test_new_values_of_the_usual_form_are_no_garbling(self, world, today):
        newcomer = today.with_columns(pl.when(first(0.2)).then(pl.lit("TUPOLEV")).otherwise("maker").alias("maker"))
        assert "text_garbled" not in {one.cause for one in world.judge(newcomer).findings}


class TestParts:
    def test_nulls_of_one_site_are_a_fault_of_that_site(self, world, today):
        broken = today.with_columns(price=pl.when(pl.col("site") != "B").then(pl.col("price")))
        found = the_finding(world.judge(broken), "partition_fault")
        assert (found.columns, found.partition) == (["price"], "site=B")
        assert found.evidence["bad within"] == 1.0
        assert found.evidence["bad elsewhere"] < 0.01

    def test_impossible_values_of_one_site_are_too(self, world, today):
        broken = today.with_columns(
            pl.when(pl.col("site") == "C").then(pl.col("price") * 1_000).otherwise("price").alias("price")
        )
        assert the_finding(world.judge(broken), "partition_fault").partition == "site=C"

    def test_a_part_that_never_has_a_value_is_not_the_fault(self, today):
        def without(frame):
            return frame.with_columns(seats=pl.when(pl.col("site") != "B").then(pl.col("seats")))

        world = World(past=[without(rows_of(day)) for day in range(N_PAST)])
        found = the_finding(world.judge(without(today).with_columns(pl.col("seats") * 1_000)), "unit_change")
        assert found.columns == ["seats"]

    def test_values_a_little_beyond_the_range_in_one_part_are_weather(self, world, today):
        low = pl.col("price").min() - 10.0
        cold = today.with_columns(price=pl.when(pl.col("site") == "C").then(low).otherwise("price"))
        assert "partition_fault" not in {one.cause for one in world.judge(cold).findings}

    def test_nulls_all_over_are_a_burst(self, world, today):
        assert the_finding(world.judge(today.with_columns(nulls(0.6, "price"))), "null_burst").partition is None


class TestClipping:
    def test_a_cut_is_named_with_its_end(self, world, today):
        cut = today.with_columns(price=pl.col("price").clip(upper_bound=215.0))
        found = the_finding(world.judge(cut), "clipped_values")
        assert (found.columns, found.evidence["end"]) == (["price"], 215.0)
        assert found.evidence["share at the end"] == pytest.approx((today["price"] >= 215).mean(), abs=1e-6)

    def test_a_cut_at_a_number_that_is_also_a_default_is_a_cut(self, today):
        def numbered(frame):
            return frame.with_columns(price=pl.col("price") * 5)

        world = World(past=[numbered(rows_of(day)) for day in range(N_PAST)])
        cut = numbered(today).with_columns(price=pl.col("price").clip(upper_bound=999.0))
        assert the_finding(world.judge(cut), "clipped_values").evidence["end"] == 999.0

    def test_a_calm_day_is_not_cut(self, world, today):
        assert "clipped_values" not in {
            one.cause for one in world.judge(today.filter(pl.col("price") < 215.0), n_rows=N_ROWS).findings
        }


class TestDelivery:
    def test_a_missing_column_is_a_change_of_schema(self, world):
        facts = world.facts(rows_of(N_PAST), N_PAST, None, columns_missing=["price"])
        diagnosis = diagnose(world.reference, None, binning=world.binning, facts=facts, history=world.history)
        assert the_finding(diagnosis, "schema_change").columns == ["price"]
        assert diagnosis.is_held

    def test_a_further_column_is_left_to_the_policy(self, world, today):
        diagnosis = world.judge(today, columns_added=["extra"])
        assert (diagnosis.advice, diagnosis.verdict) == ("policy", "clean")

    def test_numbers_that_cannot_be_read_are_a_change_of_schema_and_no_burst(self, world, today):
        comma = today.with_columns(pl.col("price").cast(pl.String).str.replace(".", ",", literal=True))
        diagnosis = world.judge(comma)
        assert the_finding(diagnosis, "schema_change").evidence == {"unreadable share of price": 1.0}
        assert [one.cause for one in diagnosis.findings] == ["schema_change"]

    def test_the_rows_of_an_earlier_batch_are_known_in_any_order(self, world):
        again = world.past[N_PAST - 2].sample(fraction=1.0, shuffle=True, seed=1)
        found = the_finding(world.judge(again), "duplicated_batch")
        assert found.evidence["twin"] == f"day-{N_PAST - 2}"

    @pytest.mark.parametrize(("known", "cause"), [(900, "duplicated_batch"), (300, "duplicated_rows"), (5, None)])
    def test_known_keys_tell_a_batch_from_rows_sent_twice(self, world, today, known, cause):
        assert world.judge(today, n_duplicate_keys=known).cause == cause

    def test_rows_that_repeat_within_the_batch_are_duplicated_rows(self, world, today):
        diagnosis = world.judge(pl.concat([today, today.head(250)]))
        found = the_finding(diagnosis, "duplicated_rows")
        assert (found.evidence["repeated"], found.advice) == (0.2, "reingest")

    def test_a_tenth_of_the_rows_is_half_a_batch(self, world, today):
        found = the_finding(world.judge(today.sample(400, seed=1)), "half_batch")
        assert (found.evidence["share"], found.evidence["usual rows"], found.advice) == (0.4, 1_000.0, "reingest")

    def test_two_thirds_of_the_rows_are_a_holiday(self, world, today):
        assert world.judge(today.sample(660, seed=1)).verdict == "clean"

    def test_missing_hours_are_named(self, world, today):
        morning = today.filter(pl.col("at").dt.hour() < 16)
        found = the_finding(world.judge(morning), "half_batch")
        assert "16-19 h" in found.sentence
        assert found.evidence["missing time"] == pytest.approx(1 / 3, abs=0.03)

    def test_a_weekday_that_is_always_small_is_complete(self, world):
        sizes = {day: 300 if day % 7 == 5 else N_ROWS for day in range(33)}

        def cause(day, n_rows):
            history = [daily(one, size) for one, size in sizes.items()]
            return diagnose(None, None, binning=world.binning, facts=daily(day, n_rows), history=history).cause

        assert [daily(day, 1).event_time_min.weekday() for day in (33, 35)] == [5, 0]
        assert [cause(33, n) for n in (300, 200, 140)] == [None, None, "half_batch"]
        assert [cause(35, n) for n in (1_000, 200)] == [None, "half_batch"]

    def test_a_batch_a_day_late_waits_for_its_labels(self, world, today):
        late = START + timedelta(days=N_PAST + 2, hours=1)
        found = the_finding(world.judge(today, as_of=late), "late_batch")
        assert found.evidence["hours late"] == pytest.approx(24, abs=0.5)
        assert found.advice == "wait_for_labels"

    def test_two_hours_are_not_late(self, world, today):
        assert world.judge(today, as_of=START + timedelta(days=N_PAST + 1, hours=3)).verdict == "clean"

    @pytest.mark.parametrize("hours", [-5, 3, 8])
    def test_hours_of_another_zone_are_named(self, world, today, hours):
        found = the_finding(world.judge(today.with_columns(pl.col("at") + timedelta(hours=hours))), "time_shift")
        assert (found.columns, found.evidence["hours"]) == (["at"], float(hours))

    @pytest.mark.parametrize(("hours", "is_named"), [(1, False), (-1, False), (2, True)])
    def test_daylight_saving_is_no_fault(self, hours, is_named):
        def at_eight(day, later=0):
            begin = START + timedelta(days=day, hours=8 + later)
            seconds = pl.duration(seconds=pl.int_range(pl.len()) * 3)
            return rows_of(day).with_columns(at=(pl.lit(begin) + seconds).cast(pl.Datetime("us", "UTC")))

        world = World(past=[at_eight(day) for day in range(N_PAST)])
        causes = {one.cause for one in world.judge(at_eight(N_PAST, hours)).findings}
        assert ("time_shift" in causes) == is_named

    def test_a_burst_of_one_rule_without_another_cause_is_held(self, world, today):
        columns = CONTRACT.model_dump() | {"rules": [{"name": "order", "check": "code <> 'QX0001'"}]}
        strict = World(contract=CONTRACT.model_validate(columns))

        def judged(share):
            return strict.judge(
                today.with_columns(pl.when(first(share)).then(pl.lit("QX0001")).otherwise("code").alias("code"))
            )

        found = the_finding(judged(0.5), "quarantine_burst")
        assert (found.evidence["quarantined"], found.evidence["reason"]) == (0.5, "rule:order")
        assert [judged(share).verdict for share in (0.15, 0.03)] == ["unclear", "clean"]


class TestAnswer:
    def test_the_same_input_gives_the_same_answer_in_any_order_of_rows_and_columns(self, world, today):
        broken = today.with_columns(pl.col("price") * 1_000, *nulls(0.5, "dew"))
        shuffled = broken.sample(fraction=1.0, shuffle=True, seed=3).select(sorted(broken.columns, reverse=True))
        assert world.judge(broken) == world.judge(broken)
        assert [f.cause for f in world.judge(shuffled).findings] == [f.cause for f in world.judge(broken).findings]

    def test_it_round_trips_through_json(self, world, today):
        diagnosis = world.judge(today.with_columns(pl.col("price") * 1_000))
        assert Diagnosis.model_validate(json.loads(diagnosis.model_dump_json())) == diagnosis

    def test_the_advice_is_the_most_careful_of_its_findings(self, world, today):
        both = today.with_columns(nulls(0.5, "price")).sample(400, seed=1)
        diagnosis = world.judge(both)
        assert [one.advice for one in diagnosis.findings] == ["reingest", "hold"]
        assert diagnosis.advice == "hold"

    def test_values_of_personal_data_are_not_shown(self, today):
        columns = CONTRACT.model_dump()["columns"]
        columns["site"]["pii"] = columns["price"]["pii"] = True
        private = CONTRACT.model_validate({**CONTRACT.model_dump(), "columns": columns})
        world = World(contract=private)
        secret = today.with_columns(site=pl.lit("B"), price=777.125)
        told = world.judge(secret).model_dump_json()
        assert "777.1" not in told
        assert '"B"' not in told

    def test_quarantined_rows_are_looked_at_as_well(self, today):
        columns = CONTRACT.model_dump()["columns"]
        columns["price"] |= {"min": 0, "max": 1_000}
        strict = World(contract=CONTRACT.model_validate({**CONTRACT.model_dump(), "columns": columns}))
        diagnosis = strict.judge(today.with_columns(pl.col("price") * 1_000))
        assert the_finding(diagnosis, "unit_change").evidence["factor"] == 1_000.0

    def test_profiles_may_be_merged_to_the_reference_in_any_order(self, world, today):
        reference = merge(world.profiles[::-1])
        counted = profile(today, world.binning)
        facts = world.facts(today, N_PAST, counted)
        given = {"binning": world.binning, "facts": facts, "history": world.history, "past": world.profiles}
        assert diagnose(reference, counted, **given) == diagnose(world.reference, counted, **given)
