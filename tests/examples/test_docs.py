"""README and docs: each command parses, each declaration is sound, each Python block runs, each link holds."""

import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ratoon.cli.commands import COMMANDS, build_app
from ratoon.declarations import ModelSpec
from ratoon.project import TYPES, load_project
from ratoon.project.check import check_project
from ratoon.settings import Settings
from ratoon.templates import write_project

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "platform/ratoon/templates").rglob("*.md.in"),
    ]
    if path.name != "CHANGELOG.md"
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(page, line, match[1], match[2]))
    return [block for block in found if block.language in languages]


def shell_lines() -> Iterator[tuple[str, list[str]]]:
    """Yield every command of the shell blocks, without the variables set before it."""
    for block in blocks("sh"):
        for line in block.text.splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words:
                yield f"{block} {line}", words


COMMAND_LINES = dict(shell_lines())


def test_the_docs_show_commands_at_all() -> None:
    shown = {words[1] for words in COMMAND_LINES.values() if words[0] == "ratoon"}
    assert shown >= {command.name for command in COMMANDS}


@pytest.mark.parametrize("words", [w for w in COMMAND_LINES.values() if w[0] == "ratoon"], ids=" ".join)
def test_every_ratoon_command_in_the_docs_is_one(words: list[str]) -> None:
    build_app().parse_args(words[1:], exit_on_error=False, print_error=False)


def test_every_other_command_in_the_docs_is_known() -> None:
    others = {where: words for where, words in COMMAND_LINES.items() if words[0] != "ratoon"}
    makefile = ROOT / "Makefile"
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile.read_text(), re.MULTILINE)) if makefile.exists() else set()
    for where, words in others.items():
        match words:
            case ["make", target, *_]:
                assert target in targets, where
            case ["cd", folder]:
                assert folder == "my-project" or (ROOT / folder).is_dir(), where
            case ["dg", "scaffold", "defs", kind, _]:
                assert kind in TYPES, where
            case ["python", "-m", "my_project.make_data", *rest]:
                assert set(rest) <= {"--weeks", "--shift", "1", "2", "8"}, where
            case ["uv", "run", "python", file]:
                assert (ROOT / file).is_file(), where
            case ["uv", "run", "pre-commit", "install"] | [".", ".venv/bin/activate"]:
                pass
            case _:
                pytest.fail(f"{where}: nobody checks this command; teach the test about it")


def test_every_example_in_help_is_a_command_line() -> None:
    for command in COMMANDS:
        for line in command.examples:
            build_app().parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("block", [b for b in blocks("yaml") if not b.text.startswith("#")], ids=str)
def test_every_declaration_in_the_docs_is_sound(block: Block) -> None:
    document = yaml.safe_load(block.text)
    TYPES[document["type"]].model_validate(document["attributes"])


def test_the_project_of_the_how_to_passes_its_check(tmp_path: Path) -> None:
    """The how-to's blocks name their files; together they are a project without problems."""
    root = tmp_path / "my-project"
    write_project(root)
    written = 0
    for block in blocks("yaml", "python"):
        first = block.text.partition("\n")[0]
        if block.page.name == "own-model.md" and first.startswith("# my_project/"):
            file = root / first.removeprefix("# ")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
            written += 1
    assert written == 3
    problems = [p for p in check_project(load_project(root)) if "defs/late" not in p.file]
    assert [problem.message for problem in problems] == []
    model: ModelSpec = load_project(root).project.models["unpaid"]
    done = subprocess.run(
        [sys.executable, "-c", _RUN_FEATURES, model.features], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["country", "amount", "shipping_share", "hour", "weekday"]


_RUN_FEATURES = """
import sys, importlib, datetime, polars as pl
sys.path.insert(0, ".")
module, _, name = sys.argv[1].partition(":")
row = {"order_id": "1", "country": "SE", "amount": 10.0, "shipping": 1.0, "ordered_at": datetime.datetime(2026, 1, 1)}
rows = pl.LazyFrame([row])
print(*getattr(importlib.import_module(module), name)(rows).collect().columns)
"""


@pytest.mark.parametrize("block", [b for b in blocks("python") if not b.text.startswith("# my_project/")], ids=str)
def test_every_python_block_runs_and_prints_what_the_docs_say(block: Block, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", block.text], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = [other for other in blocks("text") if other.page == block.page and other.line > block.line]
    assert not printed or done.stdout == printed[0].text


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_every_settings_block_names_real_settings(block: Block) -> None:
    assert set(tomllib.loads(block.text)) <= set(Settings.model_fields)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    for target in _LINK.findall(_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.is_file(), f"{page}: {target}"
        if anchor:
            assert anchor in headings(file), f"{page}: {target}"


def headings(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    lines = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def reference() -> dict[Path, str]:
    """Return the reference pages as the code says them now."""
    spec = importlib.util.spec_from_file_location("reference", Path(__file__).with_name("reference.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {path: write() for path, write in module.PAGES.items()}


def test_the_reference_says_what_the_code_says() -> None:
    for path, text in reference().items():
        assert path.read_text(encoding="utf-8") == text, f"run: uv run python tests/examples/reference.py ({path.name})"


def test_the_glossary_names_each_word_once_and_in_order() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    assert words == sorted(set(words))


def test_every_dependency_has_its_reason() -> None:
    record = (ROOT / "docs/adr/0006-dependencies.md").read_text()
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = [text for texts in declared["optional-dependencies"].values() for text in texts]
    for text in [*declared["dependencies"], *optional]:
        name = re.match(r"[\w.-]+", text)
        assert name is not None and f"`{name[0]}" in record, text
