"""A small contract that the tests of this part bend to their needs."""

from collections.abc import Callable
from typing import Any

import pytest

from ratoon.contracts.spec import Contract


@pytest.fixture(scope="session")
def make_contract() -> Callable[..., Contract]:
    """Return a maker of contracts with key ``id``, event time ``at`` and further columns."""

    def make(columns: dict[str, Any] | None = None, **more: Any) -> Contract:
        named = {"id": {"type": "int"}, "at": {"type": "datetime"}, **(columns or {})}
        return Contract.model_validate({"columns": named, "entity_key": ["id"], "event_time": "at", **more})

    return make
