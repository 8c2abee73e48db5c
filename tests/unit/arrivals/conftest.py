"""Adapters of the arrivals port, and the time at which the tests look."""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ratoon.arrivals import FolderSourceAdapter
from ratoon.declarations import FolderSource

NOON = dt.datetime(2013, 1, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def noon() -> dt.datetime:
    return NOON


@pytest.fixture
def adapter(tmp_path: Path) -> FolderSourceAdapter:
    made = FolderSourceAdapter(FolderSource(path="flights", settle=dt.timedelta(seconds=2)), tmp_path)
    made.prepare()
    return made


@pytest.fixture
def land(adapter: FolderSourceAdapter) -> Callable[..., Path]:
    """Return a way to put a file into the folder, last changed so many seconds before noon."""

    def put(name: str, content: bytes = b"rows", age_s: float = 60) -> Path:
        path = adapter.folder / name
        path.write_bytes(content)
        changed = NOON.timestamp() - age_s
        os.utime(path, (changed, changed))
        return path

    return put
