"""Reads the labelled rows of a dataset, as of a time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from ratoon.contracts.spec import Contract, Label
from ratoon.errors import TrainingError
from ratoon.training.orders import EvaluateOrder, TrainOrder
from ratoon.training.windows import Times, Window, to_micros

FrameSource = Callable[[TrainOrder | EvaluateOrder], pl.LazyFrame]
"""Gives the matured rows of an order: the contract's columns, the label column and, where known, ``_batch``."""

_BATCH = "_batch"


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Matured rows, ascending by event time.

    Attributes:
        frame: The contract's columns, without the label.
        label: One label per row, never null.
        times: Event times as microseconds since 1970.
        batch: Id of the batch that each row came in (Categorical), where the source knows it.
    """

    frame: pl.DataFrame
    label: pl.Series
    times: Times
    batch: pl.Series | None


def read_training_rows(source: FrameSource, order: TrainOrder) -> LabelledRows:
    """Read the rows that any of an order's windows can use, at most the newest ``max_rows``.

    Raises:
        TrainingError: The dataset has no label, or no labelled row is known at the order's time.
    """
    rows = _matured(source, order)
    event_time = order.contract.event_time
    newest = rows.select(pl.col(event_time).max()).collect().item()
    if newest is None:
        raise TrainingError(
            f"no labelled row of {order.dataset} is known as of {order.as_of.isoformat()} "
            f"(rows version {order.rows_version}, labels version {order.labels_version}); "
            "wait for labels, or check their entity key"
        )
    reach = _reach(order.training.windows)
    if reach is not None:
        rows = rows.filter(pl.col(event_time) > newest - reach - order.training.holdout)
    return _collect(rows, order.contract, order.training.max_rows)


def read_holdout_rows(source: FrameSource, order: EvaluateOrder, after: int, until: int) -> LabelledRows:
    """Read the rows with an event time in (``after``, ``until``], microseconds since 1970; there may be none."""
    time = pl.col(order.contract.event_time).dt.epoch("us")
    return _collect(_matured(source, order).filter((time > after) & (time <= until)), order.contract, None)


def label_of(contract: Contract, dataset: str) -> Label:
    """Return the label of a contract.

    Raises:
        TrainingError: The contract has none.
    """
    if contract.label is None:
        raise TrainingError(
            f"dataset {dataset} declares no label, so nothing can be learned from it; add contract.label"
        )
    return contract.label


def _matured(source: FrameSource, order: TrainOrder | EvaluateOrder) -> pl.LazyFrame:
    label = label_of(order.contract, order.dataset)
    time = pl.col(order.contract.event_time).dt.epoch("us")
    return source(order).filter(pl.col(label.column).is_not_null() & (time <= to_micros(order.as_of)))


def _reach(windows: list[Window]) -> timedelta | None:
    lengths = [window for window in windows if isinstance(window, timedelta)]
    return max(lengths) if len(lengths) == len(windows) else None


def _collect(rows: pl.LazyFrame, contract: Contract, max_rows: int | None) -> LabelledRows:
    label = label_of(contract, "of this order").column
    names = [*contract.columns, label]
    batch = [_BATCH] if _BATCH in rows.collect_schema() else []
    found = rows.select(*names, *batch).collect()
    if not found[contract.event_time].is_sorted():
        found = found.sort(contract.event_time, *contract.entity_key, maintain_order=True)
    if max_rows is not None:
        found = found.tail(max_rows)
    times = found[contract.event_time].dt.epoch("us").to_numpy().astype(np.int64)
    origin = found[_BATCH].cast(pl.Categorical) if batch else None
    return LabelledRows(found.select(list(contract.columns)), found[label], times, origin)
