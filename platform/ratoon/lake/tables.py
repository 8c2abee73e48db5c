"""One Delta table: append a batch once, read a version. The only module that speaks to deltalake."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from ratoon.errors import BackendError, ConfigError, ConflictError, DataError, NotFoundError

_ATTEMPTS = 20

_TIDY_EVERY = 50
"""Commits after which small files are merged: every read and every append pays for each live file."""

_VERSIONED: dict[str, str | None] = {
    # A version that a model was trained on must stay readable for as long as its files do.
    "delta.enableExpiredLogCleanup": "false",
}
_UNVERSIONED: dict[str, str | None] = {
    # Opening a table reads its newest checkpoint and every commit since.
    "delta.checkpointInterval": "10",
    "delta.enableExpiredLogCleanup": "true",
    # Long enough for a reader that opened the table before its files were merged.
    "delta.logRetentionDuration": "interval 5 minutes",
    "delta.deletedFileRetentionDuration": "interval 5 minutes",
    # The columns by which a read finds its files; those of all others would be most of the log.
    "delta.dataSkippingStatsColumns": "_batch,_as_of",
}
_TARGET_BYTES = {True: 8 << 20, False: 1 << 20}
"""Size from which a file isn't merged any more, with and without versions: each merge below it writes all again."""

_GROUP_ROWS = 1024
"""Rows per row group of merged files without versions: a window reads the groups of its time, and no others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One Delta table by its place.

    Attributes:
        url: Path or URL.
        storage_options: Keys of the object store.
        keeps_versions: Whether every version stays readable. The log then grows with each commit, and so does the
            time to open the table. Without it the log is minutes long, and what nobody reads any more is deleted.
    """

    url: str
    storage_options: dict[str, str] = field(default_factory=dict, repr=False)
    keeps_versions: bool = True

    def version(self) -> int | None:
        """Return the newest version, or None while there is no table."""
        table = self._open()
        return None if table is None else table.version()

    def append(self, frame: pl.DataFrame, batch_id: str, *, found_by: pl.Expr | None = None) -> int:
        """Append a batch unless the table holds it already.

        The batch's id is the commit's app transaction, with the batch's height as its version. Delta takes a
        transaction again later without complaint, so the table is asked first; it refuses only one that came
        in since the table was opened, and then the table is asked again. No second copy can slip in.

        Transactions stay in the log forever. With ``found_by`` there is none: the table is asked for the rows, and
        a commit on which any other came in since is refused.

        Args:
            frame: The batch's rows.
            batch_id: Its id.
            found_by: Which of the table's rows are this batch's, by columns of which each file's range is known.

        Returns:
            A version that holds the batch.

        Raises:
            DataError: The table holds this batch with another number of rows.
            ConfigError: A column has another type than in the table.
            ConflictError: Other writers won every time.
            BackendError: The store failed.
        """
        for _ in range(_ATTEMPTS):
            table = self._open()
            stored = None if table is None else self._held(table, batch_id, found_by)
            if table is not None and stored is not None:
                self._check_same(batch_id, stored, frame.height)
                return table.version()
            try:
                version = self._commit(table, frame, batch_id, is_marked=found_by is None)
            except CommitFailedError:
                continue
            except (DeltaError, OSError) as exc:
                if table is None and self._open() is not None:
                    continue
                raise BackendError(f"table {self.url} can't be written: {_shortened(exc)}; check the store") from exc
            if version > 0 and version % _TIDY_EVERY == 0:
                self.tidy()
            return version
        raise ConflictError(f"table {self.url}: {_ATTEMPTS} commits in a row lost to other writers; try again")

    def scan(self, version: int | None = None) -> pl.LazyFrame | None:
        """Return the table's rows at a version (the newest when None), or None while there is no table.

        Raises:
            NotFoundError: There is no such version.
        """
        table = self._open(version)
        return None if table is None else pl.scan_delta(table, storage_options=self.storage_options or None)

    def tidy(self) -> int:
        """Merge small files and return how many went; without versions, delete what nobody reads any more.

        Appends call it every 50 commits. Where another process merges the same files, that one's work stands.
        """
        table = self._open()
        if table is None:
            return 0
        groups = None if self.keeps_versions else _GROUP_ROWS
        properties = _encodings(self._schema(table), max_row_group_size=groups)
        try:
            merged = table.optimize.compact(
                target_size=_TARGET_BYTES[self.keeps_versions], writer_properties=properties
            )
            if not self.keeps_versions:
                table.create_checkpoint()
                table.cleanup_metadata()
                table.vacuum(dry_run=False, full=True)
        except CommitFailedError:
            return 0
        except (DeltaError, OSError) as exc:
            raise BackendError(f"table {self.url} can't be tidied: {_shortened(exc)}; try again") from exc
        return int(merged["numFilesRemoved"])

    def _held(self, table: DeltaTable, batch_id: str, found_by: pl.Expr | None) -> int | None:
        """Return the number of rows with which the table holds a batch, or None where it doesn't."""
        if found_by is None:
            return table.transaction_version(batch_id)
        rows = pl.scan_delta(table, storage_options=self.storage_options or None)
        try:
            return int(rows.filter(found_by).select(pl.len()).collect().item()) or None
        except OSError as exc:
            raise BackendError(f"table {self.url} can't be read: {_shortened(exc)}; check the store") from exc

    def _commit(self, table: DeltaTable | None, frame: pl.DataFrame, batch_id: str, *, is_marked: bool) -> int:
        if table is not None:
            self._check_types(table, frame)
        write_deltalake(
            self.url if table is None else table,
            frame,
            mode="error" if table is None else "append",
            schema_mode=None if table is None else "merge",
            configuration=(_VERSIONED if self.keeps_versions else _UNVERSIONED) if table is None else None,
            storage_options=self.storage_options or None,
            writer_properties=_encodings(frame.schema),
            commit_properties=CommitProperties(
                custom_metadata={"batch": batch_id},
                app_transactions=[Transaction(batch_id, frame.height)] if is_marked else [],
                # The first commit is retried without a look at what won: two creators would both append. Without
                # a transaction so is every other.
                max_commit_retries=None if is_marked and table is not None else 0,
            ),
        )
        return 0 if table is None else table.version()

    def _check_same(self, batch_id: str, stored: int, height: int) -> None:
        if stored != height:
            raise DataError(
                f"table {self.url} holds batch {batch_id} with {stored} rows, and now it has {height}: "
                "its contract changed between two attempts; take the change back until the batch is done"
            )

    def _check_types(self, table: DeltaTable, frame: pl.DataFrame) -> None:
        stored = self._schema(table)
        changed = [
            f"{name} was {stored[name]} and is {dtype}"
            for name, dtype in frame.schema.items()
            if name in stored and stored[name] != dtype
        ]
        if changed:
            raise ConfigError(
                f"table {self.url}: a column can't change its type ({'; '.join(changed)}); "
                "give the column a new name, or declare a new dataset"
            )

    def _schema(self, table: DeltaTable) -> pl.Schema:
        return pl.scan_delta(table, storage_options=self.storage_options or None).collect_schema()

    def _open(self, version: int | None = None) -> DeltaTable | None:
        try:
            return DeltaTable(self.url, version=version, storage_options=self.storage_options or None)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as exc:
            newest = None if version is None else self.version()
            if version is not None and newest is not None and version > newest:
                raise NotFoundError(f"table {self.url} has no version {version}; its newest is {newest}") from exc
            raise BackendError(f"table {self.url} can't be opened: {_shortened(exc)}; check the store") from exc


def _encodings(schema: pl.Schema, **more: Any) -> WriterProperties:
    """Return Parquet encodings (and ``more`` properties) that write numbers in two thirds of the default's time and in less space.

    The default tries a dictionary first, which numbers and times hardly ever profit from.
    """
    plain = ColumnProperties(dictionary_enabled=False)
    packed = ColumnProperties(dictionary_enabled=False, encoding="DELTA_BINARY_PACKED")
    numbers = {name: plain for name, dtype in schema.items() if dtype.is_float() or dtype.is_temporal()}
    return WriterProperties(
        column_properties=numbers | {n: packed for n, dtype in schema.items() if dtype.is_integer()}, **more
    )


def _shortened(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
