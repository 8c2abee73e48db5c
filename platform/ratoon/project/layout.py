"""Where a project keeps its declarations."""

from pathlib import Path

from ratoon.errors import ConfigError

MARKERS = ("ratoon.toml", "pyproject.toml", "dg.toml")
"""A project's root holds one of these and a ``defs`` folder (``ratoon.toml`` alone is enough)."""


def find_project(start: Path) -> Path:
    """Return the root of the project that a folder lies in.

    Args:
        start: A folder, or a file, inside the project.

    Raises:
        ConfigError: No folder from ``start`` upwards is a project.
    """
    origin = start.resolve()
    for folder in (origin, *origin.parents):
        if is_project(folder):
            return folder
    raise ConfigError(
        f"{origin} lies in no project: no folder from here upwards holds ratoon.toml, or pyproject.toml beside a "
        "package with defs/; go into a project, name one with --project, or make one with `ratoon init my-project`"
    )


def is_project(folder: Path) -> bool:
    """Say whether a folder is a project's root."""
    if (folder / "ratoon.toml").is_file():
        return True
    return any((folder / name).is_file() for name in MARKERS) and bool(defs_folders(folder))


def defs_folders(root: Path) -> list[Path]:
    """Return the folders of declarations: ``defs``, ``<package>/defs`` and ``src/<package>/defs``."""
    patterns = ("defs", "*/defs", "src/*/defs")
    return sorted(
        {path for pattern in patterns for path in root.glob(pattern) if path.is_dir() and not _is_hidden(path, root)}
    )


def defs_files(root: Path) -> list[Path]:
    """Return every ``defs.yaml`` of a project, in the order of their paths."""
    return sorted(
        {file for folder in defs_folders(root) for file in folder.rglob("defs.yaml") if not _is_hidden(file, root)}
    )


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(root).parts)
