"""Ratoon: models on tables that retrain themselves when it is worth it.

``ratoon.Dataset`` and ``ratoon.RetrainedModel`` are the two Dagster components a project declares.
They are resolved on first use, so that ``import ratoon`` stays free of Dagster, polars and xgboost.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_COMPONENTS = ("Dataset", "RetrainedModel")

__all__ = ["__version__", *_COMPONENTS]  # noqa: PLE0604 - the component names are resolved lazily below


def __getattr__(name: str) -> Any:
    if name in _COMPONENTS:
        return getattr(importlib.import_module("ratoon_assets.components"), name)
    raise AttributeError(f"module 'ratoon' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_COMPONENTS])
