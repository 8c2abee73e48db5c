"""Drift: whether two profiles of a dataset differ, and whether by enough to matter.

What computes is resolved on first use, so that :mod:`ratoon.drift.values` (the report) imports no polars.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ratoon.drift.budget import Look, next_alpha
from ratoon.drift.values import ColumnDrift, DriftReport, JointDrift, PairDrift
from ratoon.monitoring import DriftSettings

if TYPE_CHECKING:
    from ratoon.drift.domain import Classifier, DomainTest, domain_test
    from ratoon.drift.selftest import SelfTest, self_test
    from ratoon.drift.verdict import compare

__all__ = [
    "Classifier",
    "ColumnDrift",
    "DomainTest",
    "DriftReport",
    "DriftSettings",
    "JointDrift",
    "Look",
    "PairDrift",
    "SelfTest",
    "compare",
    "domain_test",
    "next_alpha",
    "self_test",
]

_HOMES = {
    "Classifier": "ratoon.drift.domain",
    "DomainTest": "ratoon.drift.domain",
    "SelfTest": "ratoon.drift.selftest",
    "compare": "ratoon.drift.verdict",
    "domain_test": "ratoon.drift.domain",
    "self_test": "ratoon.drift.selftest",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ratoon.drift' has no attribute {name!r}")
