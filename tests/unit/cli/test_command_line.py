"""The command line's promises: what it loads, how it ends, how it answers."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ratoon.cli import main
from ratoon.cli.commands import COMMANDS
from ratoon.cli.failure import exit_code, report
from ratoon.errors import BackendError, NotFoundError, RatoonError, RefusedError

HEAVY = ("celery", "dagster", "deltalake", "polars", "pyarrow", "pydantic", "sqlalchemy", "sqlmodel", "xgboost")

NAMES = [command.name for command in COMMANDS]


def loaded_after(*arguments: str) -> list[str]:
    """Return which heavy packages a fresh interpreter has loaded after a command line."""
    loaded = f"[name for name in {HEAVY!r} if name in sys.modules]"
    code = f"import sys; from ratoon.cli import main; main({list(arguments)!r}); sys.stderr.write(repr({loaded}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return list(eval(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("why", "--help")], ids=" ".join)
def test_help_loads_no_heavy_package(arguments: tuple[str, ...]) -> None:
    assert loaded_after(*arguments) == []


def test_starting_a_project_loads_neither_data_libraries_nor_an_orchestrator(tmp_path: Path) -> None:
    assert loaded_after("init", str(tmp_path / "shop")) == ["pydantic"]


def test_the_commands_are_the_ones_that_the_docs_promise() -> None:
    promised = "init check schema up demo replay status why report lineage quarantine drift selftest"
    promised += " alerts metrics doctor trigger promote rollback cancel mute unmute resolve"
    assert promised.split() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "--json" in text
    assert f"Examples:\n  ratoon {name}" in text


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["stauts"], 'Did you mean "status"?'),
        (["why"], "model"),
        (["why", "x", "--limti", "3"], "Did you mean --limit?"),
        (["promote", "x", "three", "--reason", "y"], "three"),
    ],
    ids=["a misspelt command", "a missing argument", "a misspelt option", "a word for a number"],
)
def test_wrong_usage_ends_with_2_and_says_what_was_meant(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert part.lower() in captured.err.lower()


def test_wrong_usage_is_a_record_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "RT-USAGE"


@pytest.mark.parametrize(("error", "code"), [(NotFoundError("x"), 1), (BackendError("x"), 1), (RefusedError("x"), 3)])
def test_a_refusal_can_be_told_from_a_failure(error: RatoonError, code: int) -> None:
    assert exit_code(error) == code


def test_an_error_names_its_code_and_the_next_step() -> None:
    stream = io.StringIO()
    report(BackendError("the database does not answer"), as_json=False, stream=stream)
    assert stream.getvalue().startswith("RT-BACKEND the database does not answer\n  next: `ratoon doctor`")


def test_a_command_outside_any_project_fails_with_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--json"]) == 1
    record = json.loads(capsys.readouterr().err)
    assert record["error"]["code"] == "RT-CONFIG"
    assert "ratoon init my-project" in record["error"]["message"]
