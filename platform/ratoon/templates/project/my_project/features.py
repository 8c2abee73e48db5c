"""The features of the project's models: one function each, used for training and for every prediction."""

import polars as pl


def delivery_features(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Compute what the model ``late`` looks at.

    Returns a row for every row that goes in, each computed from that row alone. The key and the event time are
    never features; the label is not among the columns.

    Args:
        rows: Rows of the dataset ``deliveries``, with the columns of its contract.
    """
    ordered = pl.col("ordered_at")
    return rows.with_columns(
        hour=ordered.dt.hour(),
        weekday=ordered.dt.weekday(),
        weight_per_item=pl.col("weight_kg") / pl.col("items"),
    )
