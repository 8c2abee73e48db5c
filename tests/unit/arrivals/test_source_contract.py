"""What every source of arrivals promises. An adapter is added by one entry in ADAPTERS."""

import datetime as dt
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ratoon.arrivals import Arrival, FolderSourceAdapter, Source
from ratoon.declarations import FolderSource
from ratoon.errors import ConflictError, UnreadableFileError

NOON = dt.datetime(2013, 1, 1, 12, tzinfo=dt.UTC)
DIGEST = "0123456789abcdef" * 4
SETTLE = dt.timedelta(seconds=2)


@dataclass
class Place:
    """A source under test, and a way to land a file in it that changed so many seconds before noon."""

    source: Source
    land: Callable[[str, bytes, float], None]


def folder_place(tmp_path: Path) -> Place:
    source = FolderSourceAdapter(FolderSource(path="in", settle=SETTLE), tmp_path)

    def land(name: str, content: bytes, age_s: float) -> None:
        path = source.folder / name
        path.write_bytes(content)
        os.utime(path, (NOON.timestamp() - age_s,) * 2)

    return Place(source, land)


ADAPTERS = {"folder": folder_place}


@pytest.fixture(params=ADAPTERS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made = ADAPTERS[request.param](tmp_path)
    made.source.prepare()
    return made


def only(place: Place) -> Arrival:
    (arrival,) = place.source.pending(NOON, 10)
    return arrival


def test_nothing_is_pending_before_the_place_exists(tmp_path: Path) -> None:
    for make in ADAPTERS.values():
        assert make(tmp_path / "nowhere").source.pending(NOON, 10) == []


def test_preparing_twice_changes_nothing(place: Place) -> None:
    place.land("a.csv", b"x", 60)
    place.source.prepare()
    assert only(place).name == "a.csv"


def test_the_oldest_come_first_then_by_name_and_no_more_than_asked(place: Place) -> None:
    for name, age_s in [("c.csv", 10), ("b.csv", 20), ("a.csv", 10), ("d.csv", 30)]:
        place.land(name, b"x", age_s)
    names = [arrival.name for arrival in place.source.pending(NOON, 3)]
    assert names == ["d.csv", "b.csv", "a.csv"]
    assert [arrival.name for arrival in place.source.pending(NOON, 9)] == [*names, "c.csv"]


def test_a_file_is_pending_once_it_has_settled(place: Place) -> None:
    place.land("a.csv", b"x", 0)
    just_before = NOON + SETTLE - dt.timedelta(microseconds=1)
    assert place.source.pending(just_before, 10) == []
    assert len(place.source.pending(NOON + SETTLE, 10)) == 1


def test_an_arrival_says_what_landed(place: Place) -> None:
    place.land("a b.csv", b"four", 60)
    arrival = only(place)
    assert (arrival.name, arrival.size, arrival.modified_at) == ("a b.csv", 4, NOON - dt.timedelta(seconds=60))
    assert place.source.open(arrival).read_bytes() == b"four"


def test_a_file_that_nobody_accepted_stays_pending(place: Place) -> None:
    place.land("a.csv", b"x", 60)
    place.source.open(only(place))
    assert only(place).name == "a.csv"


def test_an_accepted_file_is_pending_no_more_and_accepting_again_changes_nothing(place: Place) -> None:
    place.land("a.csv", b"x", 60)
    arrival = only(place)
    place.source.accept(arrival, DIGEST)
    place.source.accept(arrival, DIGEST)
    assert place.source.pending(NOON, 10) == []


def test_a_refused_file_is_pending_no_more_and_refusing_again_changes_nothing(place: Place) -> None:
    place.land("a.csv", b"x", 60)
    arrival = only(place)
    place.source.refuse(arrival, DIGEST, {"code": "RT-SCHEMA"})
    place.source.refuse(arrival, DIGEST, {"code": "RT-SCHEMA"})
    assert place.source.pending(NOON, 10) == []


def test_the_same_file_can_come_again(place: Place) -> None:
    for _ in range(2):
        place.land("a.csv", b"x", 60)
        place.source.accept(only(place), DIGEST)
    assert place.source.pending(NOON, 10) == []


@pytest.mark.parametrize(("content", "age_s"), [(b"longer", 60), (b"x", 30)])
def test_a_file_that_changed_since_it_was_listed_is_neither_read_nor_moved(
    place: Place, content: bytes, age_s: float
) -> None:
    place.land("a.csv", b"x", 60)
    arrival = only(place)
    place.land("a.csv", content, age_s)
    with pytest.raises(ConflictError, match="changed after it was listed"):
        place.source.open(arrival)
    with pytest.raises(ConflictError):
        place.source.accept(arrival, DIGEST)
    with pytest.raises(ConflictError):
        place.source.refuse(arrival, DIGEST, {})
    assert only(place).size == len(content)


def test_a_file_that_vanished_before_it_was_read_is_a_conflict(place: Place) -> None:
    place.land("a.csv", b"x", 60)
    arrival = only(place)
    place.source.accept(arrival, DIGEST)
    with pytest.raises(ConflictError, match="not there any more"):
        place.source.open(arrival)


@pytest.mark.parametrize("name", ["../secret.csv", "/etc/passwd", "sub/a.csv", "..", ""])
def test_a_name_that_leads_elsewhere_is_refused(place: Place, tmp_path: Path, name: str) -> None:
    place.land("a.csv", b"x", 60)
    (tmp_path / "secret.csv").write_bytes(b"x")
    known = only(place)
    forged = Arrival(uri=known.uri.replace("a.csv", name), name=name, size=1, modified_at=known.modified_at)
    with pytest.raises((UnreadableFileError, ConflictError)):
        place.source.open(forged)
    with pytest.raises((UnreadableFileError, ConflictError)):
        place.source.accept(forged, DIGEST)
    assert (tmp_path / "secret.csv").exists()
