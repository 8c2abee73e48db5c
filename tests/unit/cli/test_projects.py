"""What init, check and schema do to a folder."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from ratoon.cli import main
from ratoon.project import load_project
from ratoon.templates import write_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project as init writes it."""
    root = tmp_path / "corner-shop"
    write_project(root)
    return root


def test_a_new_project_passes_its_own_check(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--project", str(project), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["ok"], record["datasets"], record["models"]) == (True, ["deliveries"], ["late"])


def test_a_new_project_carries_its_own_name_everywhere(project: Path) -> None:
    for file in project.rglob("*"):
        assert "my_project" not in file.name
        if file.is_file():
            assert not re.search(r"my[-_]project\b", file.read_text()), file
    assert (project / "corner_shop" / "definitions.py").is_file()
    assert (project / ".gitignore").is_file()


def test_every_module_of_a_new_project_is_python_with_a_docstring(project: Path) -> None:
    for file in project.rglob("*.py"):
        assert ast.get_docstring(ast.parse(file.read_text())), file


def test_init_says_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "shop")]) == 0
    text = capsys.readouterr().out
    assert "ratoon check\n" in text and "python -m shop.make_data --weeks 8\n" in text and "ratoon up\n" in text


def test_init_never_touches_a_folder_that_holds_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "precious.txt").write_text("mine")
    assert main(["init", str(tmp_path / "shop")]) == 3
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["precious.txt"]
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["platform", "class", "2fast", "ratoon", "über"])
def test_init_refuses_a_name_that_no_package_can_have(tmp_path: Path, name: str) -> None:
    assert main(["init", str(tmp_path / name)]) == 1
    assert not (tmp_path / name).exists()


def test_check_prints_a_line_per_problem_and_fails(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = project / "corner_shop" / "defs" / "late" / "defs.yaml"
    file.write_text(
        file.read_text().replace("metric: auc", "metric: acu").replace("delivery_features", "delivery_feature")
    )
    assert main(["check", "--project", str(project)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("corner_shop/defs/late/defs.yaml:15: attributes.gate.metric: is 'acu'; expected 'auc'")
    assert lines[-1] == "1 problem; 1 dataset and 0 models loaded"


def test_the_schemas_accept_what_init_writes_and_refuse_a_misspelt_key(project: Path) -> None:
    for name, folder in (("dataset", "deliveries"), ("model", "late")):
        text = (project / "corner_shop" / "defs" / folder / "defs.yaml").read_text()
        reference = re.match(r"# yaml-language-server: \$schema=(\S+)", text)
        assert reference is not None
        schema_file = (project / "corner_shop" / "defs" / folder / reference[1]).resolve()
        assert schema_file == project / ".schema" / f"{name}.json"
        validator = Draft202012Validator(json.loads(schema_file.read_text()))
        document = yaml.safe_load(text)
        assert list(validator.iter_errors(document)) == []
        document["attributes"]["nmae"] = "x"
        assert "nmae" in next(validator.iter_errors(document)).message


def test_the_schemas_know_durations_as_people_write_them(project: Path) -> None:
    validator = Draft202012Validator(json.loads((project / ".schema" / "model.json").read_text()))
    document = yaml.safe_load((project / "corner_shop" / "defs" / "late" / "defs.yaml").read_text())
    document["attributes"]["training"]["holdout"] = "P7D"
    assert [list(error.absolute_path) for error in validator.iter_errors(document)] == [
        ["attributes", "training", "holdout"]
    ]


def test_schema_writes_what_init_wrote(project: Path, tmp_path: Path) -> None:
    assert main(["schema", "--project", str(project), "--out", str(tmp_path)]) == 0
    for name in ("dataset.json", "model.json"):
        assert (tmp_path / ".schema" / name).read_text() == (project / ".schema" / name).read_text()


def test_the_made_data_keeps_its_contract(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util
    from datetime import UTC, datetime

    from ratoon.contracts import label_contract, validate

    spec = importlib.util.spec_from_file_location("made", project / "corner_shop" / "make_data.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    contract = load_project(project).project.datasets["deliveries"].contract
    for shift in (False, True):
        rows, labels = made.make_week(datetime(2026, 1, 5, tzinfo=UTC), shift=shift, seed=1)
        assert validate(rows, contract).quarantined.is_empty()
        assert validate(labels, label_contract(contract)).quarantined.is_empty()
    assert made.make_week(datetime(2026, 1, 5, tzinfo=UTC), shift=True, seed=1)[0].equals(rows)
