"""A dataset with a label, and a lake of its own for each test."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ratoon.contracts import Contract
from ratoon.lake import Lake

DAY_ONE = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture(scope="session")
def day() -> Callable[[int], dt.datetime]:
    """Return the start of a day of January 2013, UTC."""
    return lambda number: DAY_ONE + dt.timedelta(days=number - 1)


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract.model_validate(
        {
            "columns": {
                "id": {"type": "int"},
                "at": {"type": "datetime"},
                "fare": {"type": "float", "nullable": True},
                "two words": {"type": "category", "nullable": True},
            },
            "entity_key": ["id"],
            "event_time": "at",
            "label": {"column": "late", "delay": "1d"},
        }
    )


@pytest.fixture(scope="session")
def rows() -> Callable[..., pl.DataFrame]:
    """Return a maker of kept rows with these ids."""

    def make(*ids: int, **more: Any) -> pl.DataFrame:
        frame = pl.DataFrame({"id": ids}, schema={"id": pl.Int64})
        at = pl.lit(DAY_ONE, pl.Datetime("us", "UTC")) + pl.duration(minutes=pl.col("id"))
        text = pl.lit("a", pl.String)
        known = frame.with_columns(at.alias("at"), (pl.col("id") * 1.5).alias("fare"), text.alias("two words"))
        return known.with_columns(**more)

    return make


@pytest.fixture(scope="session")
def labels() -> Callable[..., pl.DataFrame]:
    """Return a maker of kept labels from (id, late, known_at) triples."""
    schema = pl.Schema({"id": pl.Int64(), "late": pl.Boolean(), "known_at": pl.Datetime("us", "UTC")})
    return lambda *triples: pl.DataFrame(triples, schema=schema, orient="row")
