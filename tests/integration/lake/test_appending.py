"""Each batch is in the lake exactly once, whatever happens on the way."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import polars as pl
import pytest

from ratoon.errors import BackendError, ConfigError, DataError
from ratoon.lake import Lake
from ratoon.lake.tables import Table


def held(lake: Lake, dataset: str = "flights") -> list[tuple[str, int]]:
    counts = lake.scan_rows(dataset).group_by("_batch").len().sort("_batch")
    return list(counts.collect().iter_rows())


def test_a_batch_carries_where_and_when_it_came_from(lake: Lake, rows: Any, day: Any) -> None:
    version = lake.append_rows("flights", "b1", rows(1, 2), as_of=day(2))
    assert version == lake.rows_version("flights") == 0
    found = lake.scan_rows("flights").sort("id").collect()
    assert found.drop("_batch", "_as_of").equals(rows(1, 2))
    assert found.select("_batch", "_as_of").rows() == [("b1", day(2))] * 2


def test_a_second_copy_of_a_batch_changes_nothing(lake: Lake, rows: Any, day: Any) -> None:
    lake.append_rows("flights", "b1", rows(1, 2), as_of=day(2))
    assert lake.append_rows("flights", "b1", rows(1, 2), as_of=day(3)) == 0
    assert held(lake) == [("b1", 2)]


def test_a_crash_before_the_ledger_knew_doubles_nothing(tmp_path: Path, rows: Any, day: Any) -> None:
    before = Lake(str(tmp_path))
    before.append_rows("flights", "b1", rows(1, 2), as_of=day(2))
    after = Lake(str(tmp_path))
    after.append_rows("flights", "b2", rows(3), as_of=day(2))
    assert after.append_rows("flights", "b1", rows(1, 2), as_of=day(2)) == 1
    assert held(after) == [("b1", 2), ("b2", 1)]


@pytest.mark.parametrize("found_by", [None, pl.col("_batch") == "b1"], ids=["by its mark", "by its rows"])
@pytest.mark.parametrize("is_first_batch", [True, False])
def test_a_writer_that_is_overtaken_by_its_own_batch_adds_no_second_copy(
    tmp_path: Path, rows: Any, is_first_batch: bool, found_by: pl.Expr | None
) -> None:
    url = str(tmp_path / "table")
    ours = rows(1, 2, _batch=pl.lit("b1"))
    if not is_first_batch:
        Table(url=url).append(rows(9, _batch=pl.lit("b0")), "b0")
    rivals = [Table(url=url)]

    class Overtaken(Table):
        def _commit(self, *args: Any, **kwargs: Any) -> int:
            if rivals:
                rivals[0].append(ours, "b1", found_by=found_by)
                rivals.pop().append(rows(9, 9, _batch=pl.lit("between")), "between")
            return super()._commit(*args, **kwargs)

    version = Overtaken(url=url).append(ours, "b1", found_by=found_by)
    stored = Table(url=url).scan()
    assert stored is not None
    assert stored.collect().filter(pl.col("id") != 9).height == 2
    assert version == (1 if is_first_batch else 2)


@pytest.mark.parametrize("attempt", range(5))
def test_writers_at_the_same_time_lose_and_double_nothing(tmp_path: Path, rows: Any, day: Any, attempt: int) -> None:
    start = Barrier(4)

    def write(_: int) -> list[int]:
        lakes = [Lake(str(tmp_path)) for _ in range(3)]
        start.wait()
        return [lake.append_rows("flights", f"b{n}", rows(n), as_of=day(2)) for n, lake in enumerate(lakes)]

    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(write, range(4)))
    lake = Lake(str(tmp_path))
    assert held(lake) == [(f"b{number}", 1) for number in range(3)]
    for number, version in ((n, v) for told in versions for n, v in enumerate(told)):
        assert number in lake.scan_rows("flights", version=version).collect()["id"].to_list()


def test_a_batch_without_good_rows_is_remembered(lake: Lake, rows: Any, day: Any) -> None:
    lake.append_rows("flights", "b0", rows(), as_of=day(2))
    lake.append_rows("flights", "b1", rows(1), as_of=day(2))
    assert lake.append_rows("flights", "b0", rows(), as_of=day(2)) == 1
    assert held(lake) == [("b1", 1)]


def test_a_batch_whose_contract_changed_half_way_is_an_error(lake: Lake, rows: Any, day: Any) -> None:
    lake.append_rows("flights", "b1", rows(1, 2), as_of=day(2))
    with pytest.raises(DataError, match="holds batch b1 with 2 rows, and now it has 3"):
        lake.append_rows("flights", "b1", rows(1, 2, 3), as_of=day(2))


def test_compacting_keeps_rows_versions_and_what_was_appended(lake: Lake, rows: Any, day: Any) -> None:
    for number in range(4):
        lake.append_rows("flights", f"b{number}", rows(number), as_of=day(2))
    assert lake.compact("rows", "flights") == 4
    assert lake.append_rows("flights", "b1", rows(1), as_of=day(2)) == 4
    assert held(lake) == [(f"b{number}", 1) for number in range(4)]
    assert lake.scan_rows("flights", version=1).collect().height == 2
    assert lake.compact("profiles", "flights") == 0


def test_a_column_can_be_added_and_is_null_before(lake: Lake, rows: Any, day: Any) -> None:
    lake.append_rows("flights", "b1", rows(1), as_of=day(2))
    lake.append_rows("flights", "b2", rows(2, gate=pl.lit("C")), as_of=day(3))
    lake.append_rows("flights", "b3", rows(3), as_of=day(4))
    found = lake.scan_rows("flights").sort("id").collect()
    assert found["gate"].to_list() == [None, "C", None]


def test_a_column_can_not_change_its_type(lake: Lake, rows: Any, day: Any) -> None:
    lake.append_rows("flights", "b1", rows(1), as_of=day(2))
    with pytest.raises(ConfigError, match="fare was Float64 and is String"):
        lake.append_rows("flights", "b2", rows(2, fare=pl.lit("7")), as_of=day(3))
    assert held(lake) == [("b1", 1)]


def test_a_column_without_a_type_is_refused(lake: Lake, rows: Any, day: Any) -> None:
    with pytest.raises(DataError, match=r"columns \['gate'\] have no type"):
        lake.append_rows("flights", "b1", rows(1, gate=pl.lit(None)), as_of=day(2))


def test_types_that_delta_lacks_are_stored_as_the_nearest(lake: Lake, day: Any) -> None:
    frame = pl.DataFrame(
        {"n": [1], "kind": ["a"], "counts": [[1, 2]], "seen": [day(1)]},
        schema={"n": pl.UInt32, "kind": pl.Enum(["a"]), "counts": pl.List(pl.UInt64), "seen": pl.Datetime("ns", "UTC")},
    )
    for batch in ("b1", "b2"):
        lake.append_profiles("flights", batch, frame, as_of=day(2))
    schema = lake.scan_profiles("flights").collect_schema()
    assert schema["n"] == pl.Int64
    assert schema["kind"] == pl.String
    assert schema["counts"] == pl.List(pl.Int64)
    assert schema["seen"] == pl.Datetime("us", "UTC")


def test_a_store_that_fails_is_worth_another_try(tmp_path: Path, rows: Any, day: Any) -> None:
    (tmp_path / "rows").write_text("a file where a folder should be")
    with pytest.raises(BackendError) as caught:
        Lake(str(tmp_path)).append_rows("flights", "b1", rows(1), as_of=day(2))
    assert caught.value.retryable


def test_a_time_without_a_zone_is_refused(lake: Lake, rows: Any, day: Any) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        lake.append_rows("flights", "b1", rows(1), as_of=day(2).replace(tzinfo=None))
