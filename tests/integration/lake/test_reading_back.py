"""What the lake gives back: as of a version, as of a time, and before anything arrived."""

import random
from typing import Any

import polars as pl
import pytest

from ratoon.contracts import Contract, frame_schema, replayable, validate
from ratoon.errors import ConfigError, NotFoundError
from ratoon.lake import Lake


def test_before_the_first_batch_there_are_columns_but_no_rows(lake: Lake, contract: Contract) -> None:
    rows = lake.scan_rows("flights", contract=contract).collect()
    assert rows.schema == {**frame_schema(contract), "_batch": pl.String(), "_as_of": pl.Datetime("us", "UTC")}
    assert rows.is_empty()
    assert lake.scan_rows("flights").collect().columns == ["_batch", "_as_of"]
    assert lake.scan_quarantine("flights").collect().columns == ["_row", "row", "reasons", "_batch", "_as_of"]
    assert (
        lake.scan_predictions("late", schema={"score": pl.Float64()}).filter(pl.col("score") > 0).collect().is_empty()
    )
    assert lake.labelled("flights", contract).collect().is_empty()
    assert (lake.rows_version("flights"), lake.labels_version("flights")) == (None, None)


def test_the_contract_gives_columns_that_no_batch_has_yet(lake: Lake, contract: Contract, rows: Any, day: Any) -> None:
    lake.append_rows("flights", "b1", rows(1).drop("fare"), as_of=day(2))
    found = lake.scan_rows("flights", contract=contract).collect()
    assert found.columns == [*contract.columns, "_batch", "_as_of"]
    assert found["fare"].to_list() == [None]
    assert found.schema["fare"] == pl.Float64


def test_a_version_is_the_dataset_as_it_was(lake: Lake, rows: Any, day: Any) -> None:
    first = lake.append_rows("flights", "b1", rows(1), as_of=day(2))
    lake.append_rows("flights", "b2", rows(2), as_of=day(3))
    assert lake.scan_rows("flights", version=first).collect()["id"].to_list() == [1]


def test_a_version_that_never_was_is_named(lake: Lake, rows: Any, day: Any) -> None:
    lake.append_rows("flights", "b1", rows(1), as_of=day(2))
    with pytest.raises(NotFoundError, match="no version 7; its newest is 0"):
        lake.scan_rows("flights", version=7)


@pytest.mark.parametrize(("as_of", "expected"), [(1, []), (2, [1]), (3, [1, 2])])
def test_as_of_a_time_only_batches_taken_by_then_are_there(
    lake: Lake, rows: Any, day: Any, as_of: int, expected: list[int]
) -> None:
    lake.append_rows("flights", "b1", rows(1), as_of=day(2))
    lake.append_rows("flights", "b2", rows(2), as_of=day(3))
    assert sorted(lake.scan_rows("flights", as_of=day(as_of)).collect()["id"]) == expected


def test_of_labels_for_one_key_the_one_known_last_counts(lake: Lake, contract: Contract, labels: Any, day: Any) -> None:
    lake.append_labels("flights", "l1", labels((1, True, day(3)), (2, True, day(2)), (1, False, day(2))), as_of=day(3))
    lake.append_labels("flights", "l2", labels((2, False, day(4))), as_of=day(4))
    newest = dict(lake.scan_labels("flights", contract).select("id", "late").collect().iter_rows())
    assert newest == {1: True, 2: False}
    earlier = dict(lake.scan_labels("flights", contract, as_of=day(3)).select("id", "late").collect().iter_rows())
    assert earlier == {1: True, 2: True}


def test_of_labels_known_at_once_the_one_taken_last_counts(
    lake: Lake, contract: Contract, labels: Any, day: Any
) -> None:
    lake.append_labels("flights", "z", labels((1, True, day(2))), as_of=day(3))
    lake.append_labels("flights", "a", labels((1, False, day(2))), as_of=day(4))
    assert lake.scan_labels("flights", contract).collect()["late"].to_list() == [False]


def test_a_label_counts_neither_before_it_was_known_nor_before_it_came(
    lake: Lake, contract: Contract, labels: Any, day: Any
) -> None:
    lake.append_labels("flights", "l1", labels((1, True, day(2)), (2, True, day(5))), as_of=day(4))
    seen = {n: lake.scan_labels("flights", contract, as_of=day(n)).collect()["id"].to_list() for n in (3, 4, 5)}
    assert seen[3] == []
    assert seen[4] == [1]
    assert sorted(seen[5]) == [1, 2]


def test_labelled_rows_come_in_one_order_whatever_the_order_of_arrival(
    lake: Lake, contract: Contract, rows: Any, labels: Any, day: Any
) -> None:
    ids = list(range(40))
    random.Random(3).shuffle(ids)
    for part in range(4):
        lake.append_rows("flights", f"b{part}", rows(*ids[part::4]), as_of=day(2))
    lake.append_labels("flights", "l1", labels(*((n, n % 2 == 0, day(3)) for n in ids if n < 30)), as_of=day(3))
    found = lake.labelled("flights", contract).collect()
    assert found.columns == [*contract.columns, "_batch", "_as_of", "late", "known_at"]
    assert found["id"].to_list() == list(range(30))
    assert found["late"].to_list() == [n % 2 == 0 for n in range(30)]


def test_labelled_rows_are_pinned_by_both_versions(
    lake: Lake, contract: Contract, rows: Any, labels: Any, day: Any
) -> None:
    r0 = lake.append_rows("flights", "b1", rows(1), as_of=day(2))
    l0 = lake.append_labels("flights", "l1", labels((1, True, day(2)), (2, True, day(2))), as_of=day(2))
    lake.append_rows("flights", "b2", rows(2), as_of=day(3))
    lake.append_labels("flights", "l2", labels((1, False, day(3))), as_of=day(3))
    pinned = lake.labelled("flights", contract, rows_version=r0, labels_version=l0).collect()
    assert pinned.select("id", "late").rows() == [(1, True)]


def test_a_dataset_without_a_label_has_no_labelled_rows(lake: Lake, contract: Contract) -> None:
    with pytest.raises(ConfigError, match="declares no label"):
        lake.labelled("flights", contract.model_copy(update={"label": None}))


def test_quarantined_rows_come_back_for_a_replay(lake: Lake, contract: Contract, day: Any) -> None:
    raw = pl.DataFrame({"id": ["1", "x"], "at": ["2013-01-01"] * 2, "fare": ["1", "2"], "two words": ["a", "b"]})
    lake.append_quarantine("flights", "b1", validate(raw, contract).quarantined, as_of=day(2))
    assert lake.append_quarantine("flights", "b2", validate(raw[:1], contract).quarantined, as_of=day(2)) is None
    found = lake.scan_quarantine("flights").collect()
    assert found.select("_row", "reasons", "_batch").rows() == [(1, ["type:id"], "b1")]
    assert found.schema["_row"] == pl.UInt32
    relaxed = contract.model_copy(
        update={
            "columns": contract.columns | {"id": contract.columns["two words"].model_copy(update={"nullable": False})}
        }
    )
    assert replayable(found, relaxed).kept["id"].to_list() == ["x"]


def test_predictions_and_profiles_are_found_by_their_owner(lake: Lake, day: Any) -> None:
    lake.append_predictions("late", "b1", pl.DataFrame({"id": [1], "score": [0.5]}), as_of=day(2))
    lake.append_profiles("flights", "b1", pl.DataFrame({"column": ["fare"], "n": [1]}), as_of=day(2))
    assert lake.scan_predictions("late", as_of=day(2)).select("id", "score", "_batch").collect().rows() == [
        (1, 0.5, "b1")
    ]
    assert lake.scan_predictions("late", as_of=day(1)).collect().is_empty()
    assert lake.scan_profiles("flights").select("column", "n").collect().rows() == [("fare", 1)]
