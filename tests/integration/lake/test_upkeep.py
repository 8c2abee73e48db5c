"""Profiles and references: once per bins, read by a window, and no dearer for their history."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from ratoon.errors import DataError
from ratoon.lake import Lake, tables
from ratoon.profiles import PROFILE_SCHEMA


def counts(binning: str = "b", column: str = "fare", n: int = 1) -> pl.DataFrame:
    return pl.DataFrame({"column": [column], "binning": [binning], "n": [n]}, schema_overrides={"n": pl.Int64})


def held(lake: Lake, **window: Any) -> list[tuple[str, str]]:
    found = lake.scan_profiles("flights", **window).select("_batch", "binning").sort("_batch", "binning")
    return list(found.collect().iter_rows())


def hours(start: datetime, number: int) -> datetime:
    return start + timedelta(hours=number)


def test_a_profile_is_there_once_per_batch_and_bins(lake: Lake, day: Any) -> None:
    for _ in range(2):
        for binning in ("old", "new"):
            lake.append_profiles("flights", "b1", counts(binning), as_of=day(2), binning=binning)
    assert held(lake) == [("b1", "new"), ("b1", "old")]
    assert held(lake, binning="new") == [("b1", "new")]


def test_a_profile_is_found_again_after_its_file_was_merged_and_its_log_dropped(lake: Lake, day: Any) -> None:
    for number in range(5):
        lake.append_profiles("flights", f"b{number}", counts(), as_of=day(number + 1), binning="b")
    assert lake.compact("profiles", "flights") == 5
    for number in range(5):
        lake.append_profiles("flights", f"b{number}", counts(), as_of=day(number + 1), binning="b")
    assert held(lake) == [(f"b{number}", "b") for number in range(5)]


def test_a_profile_of_another_height_is_an_error(lake: Lake, day: Any) -> None:
    lake.append_profiles("flights", "b1", counts(), as_of=day(2), binning="b")
    with pytest.raises(DataError, match="holds batch b1 with 1 rows, and now it has 2"):
        lake.append_profiles("flights", "b1", pl.concat([counts(), counts(column="gate")]), as_of=day(2), binning="b")


@pytest.mark.parametrize("attempt", range(3))
def test_profilers_at_the_same_time_lose_and_double_nothing(tmp_path: Path, day: Any, attempt: int) -> None:
    start = Barrier(4)

    def write(_: int) -> None:
        lake = Lake(str(tmp_path))
        start.wait()
        for number in range(3):
            lake.append_profiles("flights", f"b{number}", counts(), as_of=day(number + 1), binning="b")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert held(Lake(str(tmp_path))) == [(f"b{number}", "b") for number in range(3)]


def test_a_window_holds_the_batches_from_its_first_to_its_last_instant(lake: Lake, day: Any) -> None:
    for number in range(1, 6):
        lake.append_profiles("flights", f"b{number}", counts(), as_of=day(number), binning="b")
    assert held(lake, since=day(2), as_of=day(4)) == [(f"b{number}", "b") for number in (2, 3, 4)]
    assert held(lake, since=day(6)) == []
    lake.compact("profiles", "flights")
    assert held(lake, since=day(2), as_of=day(4)) == [(f"b{number}", "b") for number in (2, 3, 4)]


def test_before_the_first_profile_a_window_is_empty(lake: Lake, day: Any) -> None:
    found = lake.scan_profiles("flights", schema=PROFILE_SCHEMA, since=day(1), as_of=day(2), binning="b").collect()
    assert found.schema == {**PROFILE_SCHEMA, "_batch": pl.String(), "_as_of": pl.Datetime("us", "UTC")}
    assert found.is_empty()
    assert lake.scan_references("late", schema=PROFILE_SCHEMA, key="k").collect().is_empty()


def test_registers_come_back_byte_for_byte(lake: Lake, day: Any) -> None:
    registers = [bytes(range(256)) * 8, b"\x00" * 2048, None]
    frame = pl.DataFrame(
        {
            "column": ["a", "b", "c"],
            "registers": registers,
            "counts": [[1, 2], [], None],
            "categories": [["x"], [], None],
        },
        schema={name: PROFILE_SCHEMA[name] for name in ("column", "registers", "counts", "categories")},
    )
    lake.append_profiles("flights", "b1", frame, as_of=day(2))
    for number in range(2, 4):
        lake.append_profiles("flights", f"b{number}", frame.head(1), as_of=day(number))
    lake.compact("profiles", "flights")
    found = lake.scan_profiles("flights", schema=dict(frame.schema)).filter(pl.col("_batch") == "b1").sort("column")
    assert found.drop("_batch", "_as_of").collect().equals(frame)


def test_profiles_of_an_older_schema_read_with_nulls_for_what_is_new(lake: Lake, day: Any) -> None:
    older = counts().with_columns(distinct=pl.lit(3, pl.Int64))
    lake.append_profiles("flights", "b1", older, as_of=day(1))
    newer = counts().with_columns(
        center=pl.lit(0.5), registers=pl.lit(b"\x01", pl.Binary), lengths=pl.lit([4], pl.List(pl.Int64))
    )
    before = lake.scan_profiles("flights", schema=PROFILE_SCHEMA).collect()
    assert before.select("center", "registers", "lengths").row(0) == (None, None, None)
    lake.append_profiles("flights", "b2", newer, as_of=day(2))
    found = lake.scan_profiles("flights", schema=PROFILE_SCHEMA).sort("_batch").collect()
    assert found.columns == [*PROFILE_SCHEMA, "_batch", "_as_of"]
    assert found.select("n", "center", "registers", "lengths").rows() == [
        (1, None, None, None),
        (1, 0.5, b"\x01", [4]),
    ]


def test_a_reference_is_there_once_per_key(lake: Lake, day: Any) -> None:
    for key, n in (("v1", 5), ("v2", 7), ("v1", 5)):
        lake.append_references("late", key, counts(n=n), as_of=day(2))
    assert lake.scan_references("late", schema=PROFILE_SCHEMA, key="v1").collect()["n"].to_list() == [5]
    assert lake.scan_references("late").select("_batch").sort("_batch").collect()["_batch"].to_list() == ["v1", "v2"]


def test_fifty_appends_are_merged_without_being_asked(lake: Lake, day: Any, rows: Any) -> None:
    for number in range(51):
        lake.append_profiles("flights", f"b{number:02}", counts(), as_of=hours(day(1), number), binning="b")
        lake.append_rows("flights", f"b{number:02}", rows(number), as_of=hours(day(1), number))
    for kind in ("profiles", "rows"):
        assert len(DeltaTable(f"{lake._url}/{kind}/flights").file_uris()) == 1
    assert lake.scan_rows("flights").collect()["id"].sort().to_list() == list(range(51))
    assert lake.scan_rows("flights", version=7).collect().height == 8
    assert held(lake, since=hours(day(1), 49)) == [("b49", "b"), ("b50", "b")]


def test_the_log_of_profiles_is_as_long_as_it_must_be(lake: Lake, day: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration"):
        monkeypatch.setitem(tables._UNVERSIONED, name, "interval 0 seconds")
    for number in range(101):
        lake.append_profiles("flights", f"b{number:03}", counts(), as_of=hours(day(1), number), binning="b")
    table = Path(lake._url) / "profiles" / "flights"
    assert len(list(table.glob("*.parquet"))) < 10
    assert len(list((table / "_delta_log").iterdir())) < 20
    assert len(held(lake)) == 101


def test_who_opened_profiles_before_they_were_merged_can_read_on(lake: Lake, day: Any) -> None:
    for number in range(3):
        lake.append_profiles("flights", f"b{number}", counts(), as_of=day(number + 1), binning="b")
    opened = lake.scan_profiles("flights")
    assert lake.compact("profiles", "flights") == 3
    assert opened.collect().height == 3
