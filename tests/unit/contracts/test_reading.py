"""A file is read as it is, or refused whole with a clear error."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ratoon.contracts import Contract, Limits, read_batch, validate
from ratoon.errors import BackendError, LimitExceededError, SchemaMismatchError, UnreadableFileError

ROWS = pl.DataFrame({"fare": [1.5, None], "id": [1, 2], "at": ["2013-01-01T05:00:00Z"] * 2})


def write_gzipped(frame: pl.DataFrame, path: Path) -> None:
    path.write_bytes(gzip.compress(frame.write_csv().encode()))


WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "batch.parquet": pl.DataFrame.write_parquet,
    "batch.csv": pl.DataFrame.write_csv,
    "BATCH.CSV": pl.DataFrame.write_csv,
    "batch.csv.gz": write_gzipped,
    "batch.ndjson": pl.DataFrame.write_ndjson,
    "batch.jsonl": pl.DataFrame.write_ndjson,
    "batch.arrow": pl.DataFrame.write_ipc,
    "batch.feather": pl.DataFrame.write_ipc,
    "batch.ipc": pl.DataFrame.write_ipc_stream,
    "[1]*?.csv": pl.DataFrame.write_csv,
}


@pytest.fixture
def contract(make_contract: Any) -> Contract:
    made: Contract = make_contract({"fare": {"type": "float", "nullable": True}})
    return made


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[pl.DataFrame], Path]:
    def written(frame: pl.DataFrame) -> Path:
        path: Path = tmp_path / request.param
        WRITERS[request.param](frame, path)
        return path

    return written


def test_every_format_gives_the_same_valid_rows(write: Any, contract: Contract) -> None:
    frame = read_batch(write(ROWS), contract)
    assert frame.columns == ["id", "at", "fare"]
    validation = validate(frame, contract)
    assert validation.kept.select("id", "fare").rows() == [(1, 1.5), (2, None)]


def test_a_column_too_many_is_refused_or_dropped_as_the_contract_says(write: Any, contract: Contract) -> None:
    path = write(ROWS.with_columns(seat=pl.lit("1a")))
    with pytest.raises(SchemaMismatchError, match="has 'seat'"):
        read_batch(path, contract)
    dropping = contract.model_copy(update={"extra_columns": "drop"})
    assert read_batch(path, dropping).columns == ["id", "at", "fare"]


def test_a_missing_column_is_named(write: Any, contract: Contract) -> None:
    with pytest.raises(SchemaMismatchError, match="lacks 'id'"):
        read_batch(write(ROWS.drop("id")), contract)


def test_too_many_rows_are_refused(write: Any, contract: Contract) -> None:
    path = write(ROWS)
    assert read_batch(path, contract, Limits(max_rows=2)).height == 2
    with pytest.raises(LimitExceededError, match="more rows than the 1 allowed"):
        read_batch(path, contract, Limits(max_rows=1))


def test_too_many_bytes_are_refused(write: Any, contract: Contract) -> None:
    with pytest.raises(LimitExceededError, match="more than the 9 allowed"):
        read_batch(write(ROWS), contract, Limits(max_bytes=9))


def test_an_empty_file_is_refused_and_columns_without_rows_are_not(write: Any, contract: Contract) -> None:
    path = write(ROWS.head(0))
    if path.stat().st_size:
        assert read_batch(path, contract).height == 0
    path.write_bytes(b"")
    with pytest.raises(UnreadableFileError, match=r"is empty \(0 bytes\)"):
        read_batch(path, contract)


@pytest.mark.parametrize("name", ["batch.parquet", "batch.csv.gz", "batch.ndjson", "batch.arrow", "batch.ipc"])
@pytest.mark.parametrize("lost", [1, 9, 60])
def test_a_truncated_file_is_refused(tmp_path: Path, contract: Contract, name: str, lost: int) -> None:
    path = tmp_path / name
    WRITERS[name](ROWS, path)
    whole = path.read_bytes()
    if name == "batch.ndjson":
        lost += 1
    path.write_bytes(whole[:-lost])
    with pytest.raises(UnreadableFileError, match="send it again, whole"):
        read_batch(path, contract)


@pytest.mark.parametrize("name", WRITERS)
def test_bytes_of_another_format_are_refused(tmp_path: Path, contract: Contract, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xff\x00\x80" * 50)
    with pytest.raises((UnreadableFileError, SchemaMismatchError)):
        read_batch(path, contract)


@pytest.mark.parametrize("name", ["batch.txt", "batch", "batch.gz", "batch.parquet.gz", ".csv"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path, contract: Contract, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UnreadableFileError, match=r"expected one of .parquet, .csv, .csv.gz"):
        read_batch(tmp_path / name, contract)


def test_a_file_that_vanished_is_worth_another_try(tmp_path: Path, contract: Contract) -> None:
    with pytest.raises(BackendError, match="No such file") as caught:
        read_batch(tmp_path / "gone.csv", contract)
    assert caught.value.retryable


def test_a_parquet_bomb_is_refused_before_its_rows_are_read(
    tmp_path: Path, make_contract: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.parquet"
    zeros = pl.select(id=pl.repeat(0, 3_000_000, dtype=pl.Int64)).with_columns(at=pl.lit(0, pl.Datetime("us")))
    zeros.write_parquet(path)
    assert path.stat().st_size < 100_000

    def unexpected(*_: Any, **__: Any) -> pl.DataFrame:
        raise AssertionError("the rows were read")

    monkeypatch.setattr(pl, "read_parquet", unexpected)
    with pytest.raises(LimitExceededError, match="at least 3,000,000"):
        read_batch(path, make_contract(), Limits(max_rows=2_999_999))
    with pytest.raises(AssertionError, match="rows were read"):
        read_batch(path, make_contract(), Limits(max_rows=3_000_000))


def test_a_parquet_file_counts_by_what_it_unpacks_to(tmp_path: Path, make_contract: Any) -> None:
    path = tmp_path / "long.parquet"
    pl.DataFrame({"id": [1], "at": ["x" * 1_000_000]}).write_parquet(path, compression="zstd")
    assert path.stat().st_size < 10_000
    with pytest.raises(LimitExceededError, match="unpacks to"):
        read_batch(path, make_contract(), Limits(max_bytes=100_000))


def test_a_gzip_bomb_is_refused_while_it_unpacks(tmp_path: Path, contract: Contract) -> None:
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"id,at,fare\n" + b"1,2013-01-01,\n" * 400_000))
    assert path.stat().st_size < 20_000
    with pytest.raises(LimitExceededError, match="unpacks to at least"):
        read_batch(path, contract, Limits(max_bytes=20_000))


def test_an_odd_value_in_a_csv_costs_its_row_and_not_the_file(tmp_path: Path, contract: Contract) -> None:
    path = tmp_path / "late.csv"
    lines = [f"{n},2013-01-01,{n}" for n in range(300)]
    path.write_text("\n".join(["id,at,fare", *lines, "1.5,2013-01-01,"]))
    validation = validate(read_batch(path, contract), contract)
    assert validation.quarantined.select("_row", "reasons").rows() == [(300, ["type:id"])]


def test_json_of_mixed_types_costs_its_row_and_not_the_file(tmp_path: Path, contract: Contract) -> None:
    path = tmp_path / "mixed.ndjson"
    path.write_text('{"id": 1, "at": "2013-01-01"}\n{"id": [2], "at": "2013-01-01"}\n{"id": "3", "at": "2013-01-01"}\n')
    validation = validate(read_batch(path, contract), contract)
    assert validation.kept["id"].to_list() == [1, 3]
    assert validation.kept["fare"].to_list() == [None, None]


def test_a_csv_tells_missing_text_from_empty_text(tmp_path: Path, make_contract: Any) -> None:
    path = tmp_path / "names.csv"
    path.write_text('id,at,s\n1,2013-01-01,""\n2,2013-01-01,\n')
    contract = make_contract({"s": {"type": "string", "nullable": True}})
    assert validate(read_batch(path, contract), contract).kept["s"].to_list() == ["", None]
