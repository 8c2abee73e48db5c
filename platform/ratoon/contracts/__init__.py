"""What a dataset promises, and the check of every batch against it.

:mod:`ratoon.contracts.spec` is the declaration and imports no polars, so that the ledger and the policy can
use it; everything that touches data is loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ratoon.contracts.spec import Column, Contract, Label, Rule, label_contract

if TYPE_CHECKING:
    from ratoon.contracts.compiled import CompiledContract, compile_contract, frame_schema
    from ratoon.contracts.reading import Limits, read_batch
    from ratoon.contracts.validation import Validation, replayable, validate

__all__ = [
    "Column",
    "CompiledContract",
    "Contract",
    "Label",
    "Limits",
    "Rule",
    "Validation",
    "compile_contract",
    "frame_schema",
    "label_contract",
    "read_batch",
    "replayable",
    "validate",
]

_LOADED_ON_USE = {
    "CompiledContract": "compiled",
    "compile_contract": "compiled",
    "frame_schema": "compiled",
    "Limits": "reading",
    "read_batch": "reading",
    "Validation": "validation",
    "replayable": "validation",
    "validate": "validation",
}


def __getattr__(name: str) -> Any:
    if name not in _LOADED_ON_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LOADED_ON_USE[name]}"), name)
