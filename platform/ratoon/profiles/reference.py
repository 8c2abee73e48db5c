"""A reference: what later batches are compared with."""

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import polars as pl

from ratoon.contracts.spec import Contract
from ratoon.profiles.binning import Binning, ColumnBinning
from ratoon.profiles.chunks import column_groups, count_rows, fits_in_memory
from ratoon.profiles.kinds import roles
from ratoon.profiles.making import MIN_ROWS, bin_columns, check_rows, choose_joint, just_below
from ratoon.profiles.profiling import as_profile, joint_row, profile_columns
from ratoon.profiles.schema import Row


class Reference(NamedTuple):
    """The bins of a reference, and its counts in them."""

    binning: Binning
    profile: pl.DataFrame


def make_reference(
    frame: pl.DataFrame | pl.LazyFrame,
    contract: Contract | None = None,
    *,
    max_bins: int = 20,
    min_rows: int = MIN_ROWS,
    keys: Collection[str] = (),
    pii: Collection[str] = (),
    joint: Sequence[str] | None = None,
) -> Reference:
    """Make the bins of a reference and count it in them, reading each column once.

    A lazy frame with more than 33 million values is read a few columns at a time; those of the joint matrix (at most
    100) are then read a second time, since they are only known at the end.

    Args:
        frame: As for :func:`ratoon.profiles.make_binning`, and so are the others.
        contract: Its columns are binned; None bins every column by its dtype.
        max_bins: Most bins of a numeric column within the reference's range, >= 2.
        min_rows: Fewest rows.
        keys: Further columns of kind ``key``.
        pii: Further columns of personal data.
        joint: Columns of the joint matrix; None takes the first 100 that vary, by name.

    Raises:
        EmptyWindowError: The frame has fewer rows than ``min_rows``.
        SchemaMismatchError: A column has a type that can't be counted, or the contract names one that is missing.
    """
    found = roles(frame.collect_schema(), contract, keys=keys, pii=pii)
    held = frame.select(list(found))
    if isinstance(held, pl.LazyFrame) and fits_in_memory(held, len(found)):
        held = held.collect(engine="streaming")
    n_rows = count_rows(held)
    check_rows(n_rows, min_rows)
    columns: dict[str, ColumnBinning] = {}
    varying: list[str] = []
    rows: list[Row] = []
    for part in column_groups(held, list(found)):
        binned, vary = bin_columns(part, {name: found[name] for name in part.columns}, max_bins)
        rows += profile_columns(part, binned)
        columns |= binned
        varying += vary
    binning = Binning(columns=columns, joint=choose_joint(varying, joint))
    return Reference(binning, as_profile([*rows, *joint_row(held, binning)], binning))


_LARGEST_SHARE: Final = 0.5
_LARGEST_RATIO: Final = 3
_LARGEST_REST: Final = 0.05
_FEWEST: Final = 100


def resolves(profile: pl.DataFrame, binning: Binning) -> bool:
    """Decide whether bins still resolve a reference that they weren't made of.

    They don't where a numeric column has a bin with more than three times an equal share (or half of all) that isn't
    the bin of a single value, or where more than 5 % of a category's values aren't listed: a shift within such a bin
    would go unseen. Columns with fewer than 100 values aren't looked at.

    Args:
        profile: The reference, counted in these bins (:data:`ratoon.profiles.PROFILE_SCHEMA`).
        binning: The bins.
    """
    return all(
        _resolves(row, binning.columns[row["column"]])
        for row in profile.iter_rows(named=True)
        if row["kind"] in ("numeric", "category")
    )


def _resolves(row: Row, column: ColumnBinning) -> bool:
    usable = row["n"] - row["nulls"] - row["nans"] - row["infs"]
    if usable < _FEWEST:
        return True
    if column.kind == "category":
        return bool(row["rest"] <= _LARGEST_REST * usable)
    most = min(_LARGEST_SHARE, _LARGEST_RATIO / max(1, len(column.edges) - 1)) * usable
    points = [False, *(lower >= just_below(upper, column.type) for lower, upper in pairwise(column.edges)), False]
    return all(n <= most or is_point for n, is_point in zip(row["counts"], points[: len(row["counts"])], strict=True))
