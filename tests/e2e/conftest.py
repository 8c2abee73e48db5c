"""The slow shop on a stack of its own, for each module that does something to it."""

from collections.abc import Iterator

import pytest
from tests.e2e.slow_shop import SlowShop


@pytest.fixture(scope="module")
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowShop]:
    """Start ``ratoon up`` on a shop that trains the module's ``ROUNDS``; it leaves nothing behind when it stops."""
    shop = SlowShop.make(tmp_path_factory.mktemp("slow") / "shop", rounds=request.module.ROUNDS)
    try:
        shop.start()
        yield shop
    finally:
        shop.stop()
    assert shop.left_behind() == []
