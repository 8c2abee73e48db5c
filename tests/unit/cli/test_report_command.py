"""``ratoon report``: one page, written whole, wherever it is asked for."""

import json
import webbrowser
from pathlib import Path

import pytest

from ratoon.cli import main
from ratoon.ledger import Ledger
from ratoon.templates import write_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh project with an empty ledger that is the working directory."""
    root = tmp_path / "shop"
    write_project(root)
    (root / ".ratoon").mkdir()
    Ledger(f"sqlite:///{root / '.ratoon' / 'ledger.db'}").migrate()
    monkeypatch.chdir(root)
    return root


def test_the_page_lies_in_the_projects_home_unless_told_otherwise(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "late"]) == 0
    written = project / ".ratoon" / "reports" / "late.html"
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "late: Nothing has been decided yet." and str(written) in said
    assert written.read_text().startswith("<!doctype html>")
    assert [path.name for path in written.parent.iterdir()] == ["late.html"]


def test_a_program_is_told_the_file_and_the_verdict(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "late", "--out", "pages/one.html", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["file"] == str(project / "pages" / "one.html")
    assert record["bytes"] == (project / "pages" / "one.html").stat().st_size
    assert (record["level"], record["headline"]) == ("quiet", "Nothing has been decided yet.")


def test_open_shows_the_page_in_the_browser(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", shown.append)
    assert main(["report", "late", "--open"]) == 0
    assert shown == [(project / ".ratoon" / "reports" / "late.html").as_uri()]


def test_a_place_that_can_not_be_written_to_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "taken").write_text("a file")
    assert main(["report", "late", "--out", "taken/late.html"]) == 1
    assert "taken/late.html" in capsys.readouterr().err


def test_a_model_that_is_not_declared_is_an_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "nobody"]) == 1
    assert "no model 'nobody' is declared" in capsys.readouterr().err
