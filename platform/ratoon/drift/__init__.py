"""Drift: whether two profiles of a dataset differ, and whether by enough to matter.

``compare`` is resolved on first use, so that :mod:`ratoon.drift.values` (settings, report) imports no polars.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ratoon.drift.values import ColumnDrift, DriftReport, DriftSettings

if TYPE_CHECKING:
    from ratoon.drift.verdict import compare

__all__ = ["ColumnDrift", "DriftReport", "DriftSettings", "compare"]


def __getattr__(name: str) -> Any:
    if name == "compare":
        return importlib.import_module("ratoon.drift.verdict").compare
    raise AttributeError(f"module 'ratoon.drift' has no attribute {name!r}")
