"""One Delta table: append a batch once, read a version. The only module that speaks to deltalake."""

from dataclasses import dataclass, field

import polars as pl
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from ratoon.errors import BackendError, ConfigError, ConflictError, DataError, NotFoundError

_ATTEMPTS = 20
_CONFIGURATION: dict[str, str | None] = {
    # A version that a model was trained on must stay readable for as long as its files do.
    "delta.enableExpiredLogCleanup": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One Delta table by its place.

    Attributes:
        url: Path or URL.
        storage_options: Keys of the object store.
    """

    url: str
    storage_options: dict[str, str] = field(default_factory=dict, repr=False)

    def version(self) -> int | None:
        """Return the newest version, or None while there is no table."""
        table = self._open()
        return None if table is None else table.version()

    def append(self, frame: pl.DataFrame, batch_id: str) -> int:
        """Append a batch unless the table holds it already.

        The batch's id is the commit's app transaction, with the batch's height as its version. Delta takes a
        transaction again later without complaint, so the table is asked first; it refuses only one that came
        in since the table was opened, and then the table is asked again. No second copy can slip in.

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
            stored = None if table is None else table.transaction_version(batch_id)
            if table is not None and stored is not None:
                self._check_same(batch_id, stored, frame.height)
                return table.version()
            try:
                return self._commit(table, frame, batch_id)
            except CommitFailedError:
                continue
            except (DeltaError, OSError) as exc:
                if table is None and self._open() is not None:
                    continue
                raise BackendError(f"table {self.url} can't be written: {_shortened(exc)}; check the store") from exc
        raise ConflictError(f"table {self.url}: {_ATTEMPTS} commits in a row lost to other writers; try again")

    def scan(self, version: int | None = None) -> pl.LazyFrame | None:
        """Return the table's rows at a version (the newest when None), or None while there is no table.

        Raises:
            NotFoundError: There is no such version.
        """
        table = self._open(version)
        return None if table is None else pl.scan_delta(table, storage_options=self.storage_options or None)

    def compact(self) -> int:
        """Merge small files into large ones and return how many went; older versions stay readable."""
        table = self._open()
        if table is None:
            return 0
        try:
            return int(table.optimize.compact()["numFilesRemoved"])
        except (DeltaError, OSError) as exc:
            raise BackendError(f"table {self.url} can't be compacted: {_shortened(exc)}; try again") from exc

    def _commit(self, table: DeltaTable | None, frame: pl.DataFrame, batch_id: str) -> int:
        if table is not None:
            self._check_types(table, frame)
        write_deltalake(
            self.url if table is None else table,
            frame,
            mode="error" if table is None else "append",
            schema_mode=None if table is None else "merge",
            configuration=_CONFIGURATION if table is None else None,
            storage_options=self.storage_options or None,
            writer_properties=_encodings(frame.schema),
            commit_properties=CommitProperties(
                custom_metadata={"batch": batch_id},
                app_transactions=[Transaction(batch_id, frame.height)],
                # The first commit is retried without a look at what won: two creators would both append.
                max_commit_retries=0 if table is None else None,
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
        stored = pl.scan_delta(table, storage_options=self.storage_options or None).collect_schema()
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


def _encodings(schema: pl.Schema) -> WriterProperties:
    """Return Parquet encodings that write numbers in two thirds of the default's time and in less space.

    The default tries a dictionary first, which numbers and times hardly ever profit from.
    """
    plain = ColumnProperties(dictionary_enabled=False)
    packed = ColumnProperties(dictionary_enabled=False, encoding="DELTA_BINARY_PACKED")
    numbers = {name: plain for name, dtype in schema.items() if dtype.is_float() or dtype.is_temporal()}
    return WriterProperties(
        column_properties=numbers | {n: packed for n, dtype in schema.items() if dtype.is_integer()}
    )


def _shortened(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
