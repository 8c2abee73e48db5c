"""A folder on this machine as a source."""

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ratoon.arrivals import FolderSourceAdapter
from ratoon.declarations import FolderSource
from ratoon.errors import BackendError, ConfigError, ConflictError, UnreadableFileError

DIGEST = "0123456789abcdef" * 4


def names(adapter: FolderSourceAdapter, now: dt.datetime) -> list[str]:
    return [arrival.name for arrival in adapter.pending(now, 100)]


@pytest.mark.parametrize("name", [".hidden.csv", "_draft.csv", "a.csv.tmp", "a.part"])
def test_unfinished_and_hidden_names_are_not_looked_at(
    adapter: FolderSourceAdapter, land: Any, noon: dt.datetime, name: str
) -> None:
    land(name)
    assert names(adapter, noon) == []


def test_folders_links_and_pipes_are_not_looked_at(
    adapter: FolderSourceAdapter, noon: dt.datetime, tmp_path: Path
) -> None:
    (adapter.folder / "sub.csv").mkdir()
    secret = tmp_path / "secret.csv"
    secret.write_text("x")
    os.utime(secret, (0, 0))
    (adapter.folder / "link.csv").symlink_to(secret)
    os.mkfifo(adapter.folder / "pipe.csv")
    assert names(adapter, dt.datetime(9000, 1, 1, tzinfo=dt.UTC)) == []


def test_only_names_of_the_pattern_are_looked_at(tmp_path: Path, noon: dt.datetime) -> None:
    adapter = FolderSourceAdapter(FolderSource(path=".", pattern="flights-*.csv"), tmp_path)
    for name in ("flights-1.csv", "weather-1.csv", "FLIGHTS-2.csv"):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (0, 0))
    assert names(adapter, noon) == ["flights-1.csv"]


def test_names_that_are_not_utf8_are_not_looked_at(adapter: FolderSourceAdapter, noon: dt.datetime) -> None:
    raw = os.fsencode(adapter.folder) + b"/\xff.csv"
    Path(os.fsdecode(raw)).write_text("x")
    os.utime(raw, (0, 0))
    assert names(adapter, noon) == []


def test_an_accepted_file_keeps_its_content_under_digest_and_name(
    adapter: FolderSourceAdapter, land: Any, noon: dt.datetime
) -> None:
    land("a.csv", b"content")
    (arrival,) = adapter.pending(noon, 1)
    adapter.accept(arrival, DIGEST)
    assert (adapter.folder / ".accepted" / "0123456789ab-a.csv").read_bytes() == b"content"


@pytest.mark.parametrize(("digest", "prefix"), [(DIGEST, "0123456789ab"), (None, "unread")])
def test_a_refused_file_has_its_reason_beside_it(
    adapter: FolderSourceAdapter, land: Any, noon: dt.datetime, digest: str | None, prefix: str
) -> None:
    land("a.csv", b"content")
    (arrival,) = adapter.pending(noon, 1)
    adapter.refuse(arrival, digest, UnreadableFileError("cut off").to_record())
    refused = adapter.folder / ".refused" / f"{prefix}-a.csv"
    assert refused.read_bytes() == b"content"
    reason = json.loads(refused.with_name(refused.name + ".reason.json").read_text())
    assert reason["error"] == {"code": "RT-UNREADABLE", "retryable": False, "message": "cut off"}
    assert (reason["file"], reason["digest"]) == ("a.csv", digest)


def test_the_longest_name_that_can_land_can_be_set_aside(
    adapter: FolderSourceAdapter, land: Any, noon: dt.datetime
) -> None:
    land("é" * 125 + ".csv")
    (arrival,) = adapter.pending(noon, 1)
    adapter.refuse(arrival, DIGEST, {})
    kept = [path for path in (adapter.folder / ".refused").iterdir() if path.suffix == ".csv"]
    assert len(kept) == 1
    assert kept[0].name.startswith("0123456789ab-é")


def test_a_file_that_is_swapped_for_a_link_is_not_followed(
    adapter: FolderSourceAdapter, land: Any, noon: dt.datetime, tmp_path: Path
) -> None:
    path = land("a.csv", b"x")
    (arrival,) = adapter.pending(noon, 1)
    path.rename(tmp_path / "elsewhere.csv")
    path.symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(ConflictError):
        adapter.open(arrival)
    with pytest.raises(ConflictError):
        adapter.accept(arrival, DIGEST)


def test_a_link_in_place_of_the_accepted_folder_lets_nothing_out(
    adapter: FolderSourceAdapter, land: Any, noon: dt.datetime, tmp_path: Path
) -> None:
    land("a.csv")
    (tmp_path / "out").mkdir()
    (adapter.folder / ".accepted").symlink_to(tmp_path / "out")
    (arrival,) = adapter.pending(noon, 1)
    with pytest.raises(ConfigError, match="symbolic link"):
        adapter.accept(arrival, DIGEST)
    assert names(adapter, noon) == ["a.csv"]


def test_a_file_in_place_of_the_accepted_folder_is_a_failure_that_may_pass(
    adapter: FolderSourceAdapter, land: Any, noon: dt.datetime
) -> None:
    land("a.csv")
    (adapter.folder / ".accepted").write_text("not a folder")
    (arrival,) = adapter.pending(noon, 1)
    with pytest.raises(BackendError, match="can't be moved"):
        adapter.accept(arrival, DIGEST)


@pytest.mark.parametrize("path", ["..", "a/../../b"])
def test_a_relative_path_must_not_lead_out_of_the_inbox(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match="leads out of"):
        FolderSourceAdapter(FolderSource(path=path), tmp_path / "inbox")


def test_a_relative_path_through_a_link_must_not_lead_out_of_the_inbox(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="leads out of"):
        FolderSourceAdapter(FolderSource(path="link"), tmp_path / "inbox")


def test_an_absolute_path_may_be_anywhere(tmp_path: Path) -> None:
    adapter = FolderSourceAdapter(FolderSource(path=str(tmp_path / "drop")), tmp_path / "inbox")
    adapter.prepare()
    assert adapter.folder == (tmp_path / "drop").resolve()
    assert adapter.folder.is_dir()
