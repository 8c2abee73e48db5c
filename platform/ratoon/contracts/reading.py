"""Read a batch file as it is, within limits that are checked before its rows are read."""

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from ratoon.contracts.compiled import match_columns
from ratoon.contracts.spec import Contract
from ratoon.errors import BackendError, LimitExceededError, UnreadableFileError

_CHUNK = 1 << 20
_ARROW_FILE = b"ARROW1"
_ARROW_STREAM_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a file may hold at most. Compressed formats count by what they unpack to as well.

    Attributes:
        max_bytes: Bytes of the file, of a gzipped CSV once unpacked, and of a Parquet file's pages once unpacked.
        max_rows: Rows.
    """

    max_bytes: int = 2_000_000_000
    max_rows: int = 50_000_000


def read_batch(path: Path, contract: Contract, limits: Limits | None = None) -> pl.DataFrame:
    """Return a file's rows before validation: the contract's columns in its order, in the file's own types.

    The suffix says the format: ``.parquet``; ``.csv`` and ``.csv.gz`` (UTF-8, comma, header; all columns come
    as text, an empty field as null, a quoted empty field as empty text); ``.ndjson`` and ``.jsonl`` (all columns
    as text, an absent key as null); ``.arrow``, ``.feather`` and ``.ipc``. A file with columns and no rows is a
    batch of no rows.

    Args:
        path: A local file.
        contract: Names the columns; further ones are refused or left out as it says. Only NDJSON may leave out
            a nullable column altogether.
        limits: What the file may hold at most; the defaults of :class:`Limits` when None.

    Raises:
        UnreadableFileError: Unknown suffix, empty, truncated, or not of its format.
        SchemaMismatchError: Other columns than the contract's.
        LimitExceededError: Too many bytes or rows.
        BackendError: The file can't be opened.
    """
    limits = limits or Limits()
    read = _reader(path)
    _check_size(path, limits)
    try:
        frame = read(path, contract, limits)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, EOFError, zlib.error, ValueError) as exc:
        complaint = " ".join(str(exc).split())[:300] or type(exc).__name__
        raise UnreadableFileError(
            f"{path.name!r} can't be read as {_suffix(path)}: {complaint}; it may be truncated: send it again, whole"
        ) from exc
    _check_rows(path, frame.height, limits)
    return frame


def _reader(path: Path) -> Callable[[Path, Contract, Limits], pl.DataFrame]:
    reader = _READERS.get(_suffix(path))
    if reader is None:
        raise UnreadableFileError(
            f"{path.name!r} has no known suffix; expected one of {', '.join(_READERS)}: rename it, or convert it"
        )
    return reader


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    return "".join(suffixes) if suffixes[-1:] == [".gz"] else "".join(suffixes[-1:])


def _check_size(path: Path, limits: Limits) -> None:
    try:
        size = path.stat().st_size
    except OSError as exc:
        raise BackendError(f"{path.name!r} can't be opened: {exc.strerror}; check that it is still there") from exc
    if size == 0:
        raise UnreadableFileError(f"{path.name!r} is empty (0 bytes); send it again, whole")
    _check_bytes(path, size, limits, "is")


def _check_bytes(path: Path, size: int, limits: Limits, verb: str) -> None:
    if size > limits.max_bytes:
        raise LimitExceededError(
            f"{path.name!r} {verb} {size:,} bytes, more than the {limits.max_bytes:,} allowed; "
            "send it in parts, or raise the source's max_bytes"
        )


def _check_rows(path: Path, n_rows: int, limits: Limits) -> None:
    if n_rows > limits.max_rows:
        raise LimitExceededError(
            f"{path.name!r} has more rows than the {limits.max_rows:,} allowed (at least {n_rows:,}); "
            "send it in parts, or raise the source's max_rows"
        )


def _read_parquet(path: Path, contract: Contract, limits: Limits) -> pl.DataFrame:
    # Imported here: only Parquet needs it. polars does not tell the unpacked size before it unpacks.
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    _check_rows(path, sum(group.num_rows for group in groups), limits)
    _check_bytes(path, sum(group.total_byte_size for group in groups), limits, "unpacks to")
    match_columns(pl.scan_parquet(path, glob=False).collect_schema().names(), contract, repr(path.name))
    return pl.read_parquet(path, columns=list(contract.columns), glob=False, hive_partitioning=False)


def _read_csv(path: Path, contract: Contract, limits: Limits) -> pl.DataFrame:
    return _parse_csv(path, path, contract, limits)


def _read_gzipped_csv(path: Path, contract: Contract, limits: Limits) -> pl.DataFrame:
    unpacked = BytesIO()
    with gzip.open(path) as stream:
        while chunk := stream.read(_CHUNK):
            unpacked.write(chunk)
            _check_bytes(path, unpacked.tell(), limits, "unpacks to at least")
    return _parse_csv(unpacked.getvalue(), path, contract, limits)


def _parse_csv(source: Path | bytes, path: Path, contract: Contract, limits: Limits) -> pl.DataFrame:
    header = pl.read_csv(source, infer_schema=False, n_rows=0, glob=False).columns
    match_columns(header, contract, repr(path.name))
    columns = list(contract.columns)
    return pl.read_csv(source, infer_schema=False, n_rows=limits.max_rows + 1, columns=columns, glob=False).select(
        columns
    )


def _read_ndjson(path: Path, contract: Contract, limits: Limits) -> pl.DataFrame:
    keys = _json_keys(path)
    absent = [name for name, column in contract.columns.items() if column.nullable and name not in keys]
    match_columns([*keys, *absent], contract, repr(path.name))
    # As text, so that one odd value is a bad row and not another type for the whole column.
    text = pl.Schema(dict.fromkeys(contract.columns, pl.String()))
    with path.open("rb") as stream:
        return pl.read_ndjson(stream, schema=text, n_rows=limits.max_rows + 1)


def _json_keys(path: Path) -> list[str]:
    try:
        with path.open("rb") as stream:
            return pl.scan_ndjson(stream, infer_schema_length=None).collect_schema().names()
    except pl.exceptions.PolarsError:
        # polars gives up where one key holds values without a common type, which is no reason to lose the file.
        with path.open("rb") as stream:
            return list(dict.fromkeys(key for line in stream if line.strip() for key in _json_object(line)))


def _json_object(line: bytes) -> dict[str, Any]:
    if not line.lstrip().startswith(b"{"):
        raise ValueError("a line that is not a JSON object")
    try:
        value: dict[str, Any] = json.loads(line)
    except RecursionError as exc:
        raise ValueError("values are nested too deeply") from exc
    return value


def _read_arrow(path: Path, contract: Contract, limits: Limits) -> pl.DataFrame:
    import pyarrow as pa

    with path.open("rb") as stream:
        is_file = _is_arrow_file(stream)
        reader = pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream)
        match_columns(reader.schema.names, contract, repr(path.name))
        if is_file:
            _check_rows(path, reader.count_rows(), limits)
    columns = list(contract.columns)
    read = pl.read_ipc if is_file else pl.read_ipc_stream
    # Not by its path: polars would map the file into memory, and a mapped file that shrinks kills the process.
    with path.open("rb") as stream:
        return read(stream, columns=columns, n_rows=limits.max_rows + 1).select(columns)


def _is_arrow_file(stream: BinaryIO) -> bool:
    is_file = stream.read(len(_ARROW_FILE)) == _ARROW_FILE
    if not is_file:
        # A stream that is cut between two of its batches still parses; only the end marker tells.
        stream.seek(-len(_ARROW_STREAM_END), SEEK_END)
        if stream.read() != _ARROW_STREAM_END:
            raise ValueError("an Arrow stream without its end marker")
    stream.seek(0)
    return is_file


_READERS: dict[str, Callable[[Path, Contract, Limits], pl.DataFrame]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".csv.gz": _read_gzipped_csv,
    ".ndjson": _read_ndjson,
    ".jsonl": _read_ndjson,
    ".arrow": _read_arrow,
    ".feather": _read_arrow,
    ".ipc": _read_arrow,
}
