"""Datasets, labels, quarantine, profiles and predictions, each batch in them exactly once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import polars as pl

from ratoon.contracts.compiled import frame_schema
from ratoon.contracts.spec import Contract, Name, label_contract
from ratoon.contracts.validation import QUARANTINE_SCHEMA
from ratoon.errors import DataError
from ratoon.instants import as_utc
from ratoon.lake.tables import Table

Kind = Literal["rows", "labels", "quarantine", "profiles", "predictions", "references"]
"""What a table holds; with a dataset's or a model's name it is the table's place: ``<url>/<kind>/<name>``."""

_UNVERSIONED: frozenset[Kind] = frozenset({"profiles", "references"})
"""Tables that nobody reads at an older version: in exchange, their cost doesn't grow with their history."""

ORIGIN_SCHEMA = pl.Schema({"_batch": pl.String(), "_as_of": pl.Datetime("us", "UTC")})
"""Columns that every row carries: its batch, and the time as of which that was taken."""


class Lake:
    """All Delta tables of one home.

    Every append is one commit that carries its batch's id: appending a batch again changes nothing and
    returns a version that holds it. Every frame that is read has the columns of :data:`ORIGIN_SCHEMA` last.
    A table that doesn't exist yet reads as one without rows.

    Args:
        url: Folder or object-store URL that holds the tables.
        storage_options: Keys and endpoint of the object store.
    """

    def __init__(self, url: str, storage_options: dict[str, str] | None = None) -> None:
        self._url = url.rstrip("/")
        self._storage_options = storage_options or {}

    def append_rows(self, dataset: Name, batch_id: str, frame: pl.DataFrame, *, as_of: datetime) -> int:
        """Append a batch's kept rows, none included; return a Delta version that holds them.

        Args:
            dataset: Whose rows.
            batch_id: The batch; the same id is appended once, whoever tries.
            frame: Kept rows of a validation; columns that the table lacks are added to it.
            as_of: Time as of which the batch is taken; aware.

        Raises:
            DataError: The batch is there with another number of rows: its contract changed half-way.
            ConfigError: A column's type differs from the table's.
            ConflictError, BackendError: The store failed; try again.
        """
        return self._append("rows", dataset, batch_id, frame, as_of)

    def append_labels(self, dataset: Name, batch_id: str, frame: pl.DataFrame, *, as_of: datetime) -> int:
        """Append a label file's kept rows; as :meth:`append_rows`."""
        return self._append("labels", dataset, batch_id, frame, as_of)

    def append_quarantine(self, dataset: Name, batch_id: str, frame: pl.DataFrame, *, as_of: datetime) -> int | None:
        """Append a batch's quarantined rows; as :meth:`append_rows`, but None where there are none."""
        if frame.is_empty():
            return None
        return self._append("quarantine", dataset, batch_id, frame, as_of)

    def append_profiles(
        self, dataset: Name, batch_id: str, frame: pl.DataFrame, *, as_of: datetime, binning: str | None = None
    ) -> int:
        """Append a batch's profile in given bins; as :meth:`append_rows`, once per batch and bins.

        Args:
            dataset: Whose profile.
            batch_id: The batch.
            frame: Its profile.
            as_of: As of when the batch was taken: the same at every attempt, since by it an earlier one is found.
            binning: Digest of the bins, as in the frame's column; None where a batch is counted in one set of bins.
        """
        same = None if binning is None else pl.col("binning") == binning
        return self._append("profiles", dataset, batch_id, frame, as_of, same=same)

    def append_references(self, model: Name, key: str, frame: pl.DataFrame, *, as_of: datetime) -> int:
        """Append the merged profile that a model's champion is compared with; as :meth:`append_rows`.

        Args:
            model: Whose reference.
            key: Names the reference, and becomes its ``_batch``.
            frame: The profile.
            as_of: The same at every attempt with this key, since by it an earlier one is found.
        """
        return self._append("references", model, key, frame, as_of)

    def append_predictions(self, model: Name, batch_id: str, frame: pl.DataFrame, *, as_of: datetime) -> int:
        """Append a model's predictions on a batch; as :meth:`append_rows`."""
        return self._append("predictions", model, batch_id, frame, as_of)

    def scan_rows(
        self,
        dataset: Name,
        *,
        contract: Contract | None = None,
        version: int | None = None,
        as_of: datetime | None = None,
    ) -> pl.LazyFrame:
        """Return a dataset's rows, batch after batch in no certain order.

        Args:
            dataset: Whose rows.
            contract: Gives exactly its columns, in its order and types; a column that the table doesn't have
                yet is null. Without it: the table's columns, and only the origin's while there is no table.
            version: Delta version; the newest when None.
            as_of: Only batches taken by then; all when None.

        Raises:
            NotFoundError: There is no such version.
        """
        schema = frame_schema(contract) if contract else None
        return self._scan("rows", dataset, schema, version, as_of)

    def scan_labels(
        self, dataset: Name, contract: Contract, *, version: int | None = None, as_of: datetime | None = None
    ) -> pl.LazyFrame:
        """Return one label per entity key: the one known last, and of those known at once the one taken last.

        Columns: the entity key, the label, when it became known, and its origin.

        Args:
            dataset: Whose labels.
            contract: The dataset's contract, with a label.
            version: Delta version; the newest when None.
            as_of: Only labels known, and taken, by then; all when None.

        Raises:
            NotFoundError: There is no such version.
            ConfigError: The contract declares no label.
        """
        schema = frame_schema(label_contract(contract))
        known_at = label_contract(contract).event_time
        labels = self._scan("labels", dataset, schema, version, as_of)
        if as_of is not None:
            labels = labels.filter(pl.col(known_at) <= as_utc(as_of))
        return labels.sort(known_at, "_as_of", "_batch").unique(contract.entity_key, keep="last", maintain_order=True)

    def scan_quarantine(self, dataset: Name, *, as_of: datetime | None = None) -> pl.LazyFrame:
        """Return a dataset's quarantined rows (:data:`~ratoon.contracts.validation.QUARANTINE_SCHEMA`)."""
        return self._scan("quarantine", dataset, QUARANTINE_SCHEMA, None, as_of)

    def scan_profiles(
        self,
        dataset: Name,
        *,
        schema: Mapping[str, pl.DataType] | None = None,
        as_of: datetime | None = None,
        since: datetime | None = None,
        binning: str | None = None,
    ) -> pl.LazyFrame:
        """Return a dataset's profiles. A window by ``since`` costs what it holds, whatever was stored before.

        Args:
            dataset: Whose profiles.
            schema: The columns, even while there are none; one that the table doesn't have yet is null.
            as_of: Only batches taken by then; all when None.
            since: Only batches taken then or later; all when None.
            binning: Only profiles in the bins of this digest; all when None.
        """
        profiles = self._scan("profiles", dataset, schema, None, as_of)
        if since is not None:
            profiles = profiles.filter(pl.col("_as_of") >= as_utc(since))
        if binning is not None:
            profiles = profiles.filter(pl.col("binning") == binning)
        return profiles

    def scan_references(
        self, model: Name, *, schema: Mapping[str, pl.DataType] | None = None, key: str | None = None
    ) -> pl.LazyFrame:
        """Return a model's references, or the one of this key; ``schema`` as for :meth:`scan_profiles`."""
        references = self._scan("references", model, schema, None, None)
        return references if key is None else references.filter(pl.col("_batch") == key)

    def scan_predictions(
        self, model: Name, *, schema: Mapping[str, pl.DataType] | None = None, as_of: datetime | None = None
    ) -> pl.LazyFrame:
        """Return a model's predictions; ``schema`` says the columns even while there are none."""
        return self._scan("predictions", model, schema, None, as_of)

    def labelled(
        self,
        dataset: Name,
        contract: Contract,
        *,
        rows_version: int | None = None,
        labels_version: int | None = None,
        as_of: datetime | None = None,
    ) -> pl.LazyFrame:
        """Return the rows whose label is known: what a model can learn from and be judged on.

        Columns: the contract's, the origin of the row, the label and when it became known. Ordered by event
        time and entity key, so that equal versions give equal bytes. Rows without a label are left out.

        Args:
            dataset: Whose rows and labels.
            contract: Its contract, with a label.
            rows_version: Delta version of the rows; the newest when None.
            labels_version: Delta version of the labels; the newest when None.
            as_of: Only what was taken, and known, by then; all when None.

        Raises:
            ConfigError: The contract declares no label.
            NotFoundError: There is no such version.
        """
        label = label_contract(contract)
        rows = self.scan_rows(dataset, contract=contract, version=rows_version, as_of=as_of)
        labels = self.scan_labels(dataset, contract, version=labels_version, as_of=as_of).select(*label.columns)
        order = (contract.event_time, *contract.entity_key, "_batch")
        return rows.join(labels, on=contract.entity_key, how="inner").sort(order)

    def rows_version(self, dataset: Name) -> int | None:
        """Return the newest Delta version of a dataset's rows, or None while no batch was taken."""
        return self._table("rows", dataset).version()

    def labels_version(self, dataset: Name) -> int | None:
        """Return the newest Delta version of a dataset's labels, or None while no label file was taken."""
        return self._table("labels", dataset).version()

    def compact(self, kind: Kind, name: str) -> int:
        """Merge a table's small files now and return how many went; every fiftieth append does so by itself."""
        return self._table(kind, name).tidy()

    def _append(
        self, kind: Kind, name: str, batch_id: str, frame: pl.DataFrame, as_of: datetime, same: pl.Expr | None = None
    ) -> int:
        untyped = [column for column, dtype in frame.schema.items() if dtype == pl.Null]
        if untyped:
            raise DataError(
                f"{kind} of {name!r}: columns {untyped} have no type, only nulls; cast them before the append"
            )
        taken = pl.lit(as_utc(as_of), dtype=ORIGIN_SCHEMA["_as_of"])
        stored = frame.select(pl.col(column).cast(_storable(dtype)) for column, dtype in frame.schema.items())
        found_by = None
        if kind in _UNVERSIONED:
            found_by = (pl.col("_as_of") == taken) & (pl.col("_batch") == batch_id)
            found_by = found_by if same is None else found_by & same
        return self._table(kind, name).append(
            stored.with_columns(pl.lit(batch_id).alias("_batch"), taken.alias("_as_of")), batch_id, found_by=found_by
        )

    def _scan(
        self,
        kind: Kind,
        name: str,
        schema: Mapping[str, pl.DataType] | None,
        version: int | None,
        as_of: datetime | None,
    ) -> pl.LazyFrame:
        rows = self._table(kind, name).scan(version)
        if rows is None:
            return pl.LazyFrame(schema={**(schema or {}), **ORIGIN_SCHEMA})
        if as_of is not None:
            rows = rows.filter(pl.col("_as_of") <= as_utc(as_of))
        stored = rows.collect_schema()
        wanted = schema or {column: dtype for column, dtype in stored.items() if column not in ORIGIN_SCHEMA}
        return rows.select(*(_present(column, dtype, stored) for column, dtype in wanted.items()), *ORIGIN_SCHEMA)

    def _table(self, kind: Kind, name: str) -> Table:
        return Table(
            url=f"{self._url}/{kind}/{name}",
            storage_options=self._storage_options,
            keeps_versions=kind not in _UNVERSIONED,
        )


def _present(column: str, dtype: pl.DataType, stored: pl.Schema) -> pl.Expr:
    return pl.col(column).cast(dtype) if column in stored else pl.lit(None, dtype).alias(column)


def _storable(dtype: pl.DataType) -> pl.DataType:
    """Return the type in which Delta keeps a column: it has no unsigned integers, categories or nanoseconds."""
    match dtype:
        case pl.UInt8() | pl.UInt16() | pl.UInt32() | pl.UInt64():
            return pl.Int64()
        case pl.Categorical() | pl.Enum():
            return pl.String()
        case pl.Datetime():
            return pl.Datetime("us", "UTC" if dtype.time_zone else None)
        case pl.List():
            return pl.List(_storable(dtype.inner if isinstance(dtype.inner, pl.DataType) else dtype.inner()))
        case _:
            return dtype
