"""Diagnosis: whether an unusual batch is broken data or a real shift, why, and what to do about it.

What decides is resolved on first use, so that :mod:`ratoon.diagnosis.values` imports no polars.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ratoon.diagnosis.values import Advice, BatchFacts, Cause, Diagnosis, Finding, Verdict, diagnosis_of_refusal

if TYPE_CHECKING:
    from ratoon.diagnosis.counted import counts_digest
    from ratoon.diagnosis.incidents import Incident, Watched, group_incidents
    from ratoon.diagnosis.rows import column_changes, restore_rows
    from ratoon.diagnosis.verdict import diagnose

__all__ = [
    "Advice",
    "BatchFacts",
    "Cause",
    "Diagnosis",
    "Finding",
    "Incident",
    "Verdict",
    "Watched",
    "column_changes",
    "counts_digest",
    "diagnose",
    "diagnosis_of_refusal",
    "group_incidents",
    "restore_rows",
]

_LOADED_ON_USE = {
    "Incident": "incidents",
    "Watched": "incidents",
    "column_changes": "rows",
    "counts_digest": "counted",
    "diagnose": "verdict",
    "group_incidents": "incidents",
    "restore_rows": "rows",
}


def __getattr__(name: str) -> Any:
    if name not in _LOADED_ON_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LOADED_ON_USE[name]}"), name)
