"""Commands about a project's files: init, check, schema."""

from pathlib import Path
from typing import Any

from ratoon.cli.failure import FAILED, OK
from ratoon.cli.options import DEFAULTS, Options
from ratoon.cli.output import Block, answer
from ratoon.cli.views.words import count


def init(folder: Path, *, options: Options = DEFAULTS) -> int:
    """Write a small project that runs.

    Args:
        folder: A new folder; its name becomes the project's.
        options: How to answer, and about which project.
    """
    from ratoon.templates import write_project

    root = folder.resolve()
    files = write_project(root)
    steps = [
        f"cd {folder}",
        "ratoon check",
        f"python -m {root.name.lower().replace('-', '_')}.make_data --weeks 8",
        "ratoon up",
    ]
    record = {"project": root, "files": [file.relative_to(root) for file in files], "next": steps}
    lines = [f"{root}: {len(files)} files written. Next:", *(f"  {step}" for step in steps)]
    answer(record, lines, as_json=options.json)
    return OK


def check(*, options: Options = DEFAULTS) -> int:
    """Say everything that is wrong with a project, by file, line and key.

    Fails with exit code 1 where anything is wrong. Nothing of the project is executed.
    """
    from ratoon.project import load_project
    from ratoon.project.check import check_project

    root = project_root(options)
    loaded = load_project(root)
    problems = check_project(loaded)
    record: dict[str, Any] = {
        "project": root,
        "ok": not problems,
        "datasets": sorted(loaded.project.datasets),
        "models": sorted(loaded.project.models),
        "problems": [problem.to_record() for problem in problems],
    }
    answer(record, _check_blocks(record), as_json=options.json)
    return FAILED if problems else OK


def schema(*, out: Path | None = None, options: Options = DEFAULTS) -> int:
    """Write the JSON Schemas that editors complete from.

    Args:
        out: Folder in which .schema is written; otherwise the project's.
        options: How to answer, and about which project.
    """
    from ratoon.project import write_schemas

    paths = write_schemas(out.resolve() if out else project_root(options))
    answer({"files": paths}, [f"{path} written" for path in paths], as_json=options.json)
    return OK


def project_root(options: Options) -> Path:
    """Return the folder of the project that a command is about.

    Raises:
        ConfigError: It lies in no project.
    """
    from ratoon.project import find_project

    return find_project(options.project or Path.cwd())


def _check_blocks(record: dict[str, Any]) -> list[Block]:
    root = Path(record["project"])
    blocks: list[Block] = []
    for problem in record["problems"]:
        file = Path(problem["file"])
        place = file.relative_to(root) if file.is_relative_to(root) else file
        parts = (f"{place}:{problem['line']}", problem["key"], problem["reason"])
        blocks.append(": ".join(part for part in parts if part))
    sound = f"{count(len(record['datasets']), 'dataset')} and {count(len(record['models']), 'model')} loaded"
    found = len(record["problems"])
    blocks.append(f"{count(found, 'problem')}; {sound}" if found else f"no problems; {sound}")
    return blocks
