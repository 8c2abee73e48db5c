"""One browser for the whole session, and the slow shop on a stack of its own for each module that does something to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.e2e.slow_shop import SlowShop

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start a headless Chromium; one, since Playwright's loops don't run side by side in one process."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield started
        started.close()


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
