"""Reads an order's rows from the lake."""

import polars as pl

from ratoon.lake import Lake
from ratoon.training.orders import EvaluateOrder, TrainOrder


def from_lake(order: TrainOrder | EvaluateOrder) -> pl.LazyFrame:
    """Return the matured rows of an order, as of its time and at its table versions."""
    lake = Lake(order.lake_url, order.storage_options)
    return lake.labelled(
        order.dataset,
        order.contract,
        rows_version=order.rows_version,
        labels_version=order.labels_version,
        as_of=order.as_of,
    )
