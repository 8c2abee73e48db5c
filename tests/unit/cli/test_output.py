"""How answers reach people and programs."""

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ratoon.cli.output import Heading, Table, answer, plain, to_data
from ratoon.cli.stack_state import stack_state
from ratoon.ledger.states import RetrainState
from ratoon.policy.values import DriftSignal

TABLE = Table(columns=["model", "rows"], rows=[["flights", "12"], ["x", "1,000"]])


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Item:
    """A value with everything that answers hold."""

    at: datetime
    wait: timedelta
    file: Path
    state: RetrainState
    drift: DriftSignal


def test_every_value_of_an_answer_becomes_json() -> None:
    item = Item(
        datetime(2013, 2, 1, tzinfo=UTC),
        timedelta(days=7),
        Path("/x"),
        RetrainState.RUNNING,
        DriftSignal(n_drifted=0, drifted=[], n_rows=3),
    )
    assert to_data({"item": item, "all": (item.state,)}) == {
        "item": {
            "at": "2013-02-01T00:00:00Z",
            "wait": "7d",
            "file": "/x",
            "state": "RUNNING",
            "drift": {"n_drifted": 0, "drifted": [], "worst_score": None, "n_rows": 3},
        },
        "all": ["RUNNING"],
    }


def test_columns_line_up_and_no_line_ends_in_blanks() -> None:
    assert plain(TABLE) == ["model    rows", "flights  12", "x        1,000"]


def test_a_program_gets_one_json_document_and_nothing_else() -> None:
    stream = io.StringIO()
    answer({"a": 1}, ["text", TABLE], as_json=True, stream=stream)
    assert json.loads(stream.getvalue()) == {"a": 1}


def test_a_pipe_gets_plain_text() -> None:
    stream = io.StringIO()
    answer({}, [Heading(text="Models"), TABLE, "[red]literal[/red]"], as_json=False, stream=stream)
    assert stream.getvalue() == "\nModels\nmodel    rows\nflights  12\nx        1,000\n[red]literal[/red]\n"


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_colour_unless_it_asks_for_none(
    no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", no_color)
    stream = Terminal()
    answer({}, [Table(columns=["test"], rows=[["fail"]]), "[red]literal[/red]"], as_json=False, stream=stream)
    assert "[red]literal[/red]" in stream.getvalue()
    assert ("\x1b[31m" in stream.getvalue()) is coloured


def test_a_stack_is_down_without_a_lock_and_with_the_lock_of_a_dead_process(tmp_path: Path) -> None:
    assert not stack_state(tmp_path, 3000).is_up
    (tmp_path / "up.lock").write_text("4194305\n")
    assert not stack_state(tmp_path, 3000).is_up


def test_a_stack_is_up_while_its_process_lives(tmp_path: Path) -> None:
    import os

    (tmp_path / "up.lock").write_text(f"{os.getpid()}\n")
    state = stack_state(tmp_path, 3001)
    assert (state.is_up, state.pid, state.ui) == (True, os.getpid(), "http://127.0.0.1:3001")
