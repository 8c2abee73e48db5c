"""A stored history arrives again, some landing days at a time, and goes on where it was stopped."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from ratoon.errors import ConfigError
from ratoon.loop import ingest_arrivals, monitor_model, profile_pending
from ratoon.replay import Feeder, Progress


def store_history(shop, folder: Path, weeks: int) -> None:
    """Let weeks land, and take them out of the inbox into a folder of the same shape."""
    for week in range(weeks):
        shop.land_week(week)
    shutil.copytree(shop.inbox, folder, copy_function=shutil.copy2)
    shutil.rmtree(shop.inbox)


def turn(shop) -> None:
    ingest_arrivals(shop.app, "orders")
    profile_pending(shop.app, "orders")
    list(monitor_model(shop.app, "returns"))


def test_a_replay_delivers_in_the_order_of_landing_and_the_second_one_only_what_is_missing(shop, tmp_path) -> None:
    store_history(shop, tmp_path / "history", weeks=2)
    shop.now[0] += timedelta(hours=1)
    said: list[Progress] = []
    feeder = Feeder(shop.app, tmp_path / "history", tend=lambda: turn(shop), tell=said.append)

    assert feeder.run(backlog=1) == 4
    assert [step.delivered for step in said if not step.note] == [0, 1, 2, 3, 4]
    batches = sorted(shop.app.ledger.batches("orders"), key=lambda batch: batch.as_of)
    assert [batch.role for batch in batches] == ["rows", "labels", "rows", "labels"]
    assert feeder.run() == 0


def test_a_history_without_a_file_of_a_landing_folder_is_refused(shop, tmp_path) -> None:
    with pytest.raises(ConfigError, match="expected folders named as the landing folders: orders, outcomes"):
        Feeder(shop.app, tmp_path).run()
