"""The project that ``ratoon init`` writes."""

import keyword
import re
import sys
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from ratoon.errors import ConfigError, RefusedError
from ratoon.project import write_schemas

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")


def write_project(folder: Path) -> list[Path]:
    """Write a small project that runs into a new folder, and return the files below it.

    The folder's name becomes the project's name; with underscores for dashes, the package's.

    Args:
        folder: A folder that does not exist, or is empty.

    Raises:
        ConfigError: The folder's name can't be a package's name.
        RefusedError: The folder holds something already; nothing was written.
    """
    target = folder.resolve()
    name = _project_name(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RefusedError(
            f"{target} is not empty; name a new folder, or empty this one yourself: nothing is overwritten"
        )
    written = _copy(resources.files(__name__) / "project", target, name, name.replace("-", "_"))
    return sorted([*written, *write_schemas(target)])


def _project_name(target: Path) -> str:
    name = target.name.lower()
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{target.name!r} can't name a project; expected letters, digits and dashes, for example my-project"
        )
    if (
        keyword.iskeyword(package)
        or package in sys.stdlib_module_names
        or package in ("ratoon", "ratoon_assets", "ratoon_workers", "dagster", "polars")
    ):
        raise ConfigError(
            f"a package {package!r} would hide Python's or Ratoon's own; choose another name, for example {name}-models"
        )
    return name


def _copy(source: Traversable, target: Path, name: str, package: str) -> list[Path]:
    target.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for entry in source.iterdir():
        if entry.name == "__pycache__":
            continue
        place = target / _renamed(entry.name, package)
        if entry.is_dir():
            written.extend(_copy(entry, place, name, package))
        else:
            text = entry.read_text(encoding="utf-8").replace("my_project", package).replace("my-project", name)
            place.write_text(text, encoding="utf-8")
            written.append(place)
    return written


def _renamed(name: str, package: str) -> str:
    if name == "my_project":
        return package
    return ".gitignore" if name == "gitignore.in" else name.removesuffix(".in")
