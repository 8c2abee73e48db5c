"""The loop's use cases, each as gather, decide, apply: ingest, profile, monitor and decide, request a retrain.

They are loaded on first use, since most need polars: a sensor's tick that only notes passed time does not.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratoon.loop.clock import note_passed_time
    from ratoon.loop.ingest import ingest_arrivals, replay_quarantine
    from ratoon.loop.monitor import monitor_model
    from ratoon.loop.profiling import profile_pending
    from ratoon.loop.reports import BatchReport, ProfileReport, StepReport
    from ratoon.loop.requests import request_retrain

_PLACES = {
    "BatchReport": "reports",
    "ProfileReport": "reports",
    "StepReport": "reports",
    "ingest_arrivals": "ingest",
    "monitor_model": "monitor",
    "note_passed_time": "clock",
    "profile_pending": "profiling",
    "replay_quarantine": "ingest",
    "request_retrain": "requests",
}

__all__ = [
    "BatchReport",
    "ProfileReport",
    "StepReport",
    "ingest_arrivals",
    "monitor_model",
    "note_passed_time",
    "profile_pending",
    "replay_quarantine",
    "request_retrain",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
