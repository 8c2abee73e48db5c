from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from ratoon_assets.pending import Asked, Cursor, next_request, reporting_attempt, retry_delay, work_digest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def arrival(name: str, size: int = 10) -> SimpleNamespace:
    return SimpleNamespace(uri=f"/inbox/{name}", size=size, modified_at=NOW)


def test_nothing_that_waits_has_no_digest_and_asks_for_nothing() -> None:
    assert work_digest([], []) is None
    assert next_request(None, None, now=NOW) is None


def test_the_digest_of_what_waits_does_not_depend_on_its_order() -> None:
    assert work_digest([arrival("a"), arrival("b")], ["m/1", "m/2"]) == work_digest(
        [arrival("b"), arrival("a")], ["m/2", "m/1"]
    )


@pytest.mark.parametrize(
    "other",
    [
        work_digest([arrival("a", size=11)], []),
        work_digest([arrival("a"), arrival("b")], []),
        work_digest([arrival("a")], ["m/1"]),
    ],
)
def test_another_file_size_or_event_is_other_work(other: str) -> None:
    assert other != work_digest([arrival("a")], [])


def test_new_work_is_asked_for_at_once_although_other_work_was_asked_for_just_now() -> None:
    last = Asked(work="old", attempt=4, at=NOW)
    asked = next_request(last, "new", now=NOW)
    assert asked == Asked(work="new", attempt=0, at=NOW)


def test_work_that_still_waits_is_asked_for_again_under_another_run_key_but_later() -> None:
    first = Asked(work="w", attempt=0, at=NOW)
    assert next_request(first, "w", now=NOW + timedelta(seconds=9)) is None
    again = next_request(first, "w", now=NOW + timedelta(seconds=10))
    assert again is not None
    assert again.run_key("flights") != first.run_key("flights")


def test_each_further_attempt_waits_longer_up_to_ten_minutes() -> None:
    delays = [retry_delay(attempt) for attempt in range(60)]
    assert delays[:3] == [timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40)]
    assert delays == sorted(delays)
    assert delays[-1] == timedelta(minutes=10)


def test_a_cursor_comes_back_as_it_was_written() -> None:
    cursor = Cursor(asked={"flights": Asked(work="w", attempt=2, at=NOW)})
    assert Cursor.read(cursor.model_dump_json()) == cursor
    assert Cursor.read(None) == Cursor()


def test_a_retrain_gets_one_run_at_a_time_a_new_one_when_it_was_lost_and_not_for_ever() -> None:
    assert reporting_attempt([]) == 0
    assert reporting_attempt(["active"]) is None
    assert reporting_attempt(["ended", "active"]) is None
    assert reporting_attempt(["ended", "ended"]) == 2
    assert reporting_attempt(["ended"] * 5) == "give up"
