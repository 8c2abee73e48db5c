"""The feature function: one per model, the same for training, batch and single rows.

It takes a LazyFrame of the dataset's columns (without the label, which is therefore impossible to leak) plus a row
number ``_row``, and returns a LazyFrame with one row for each of them. A function that only selects and adds columns
may drop ``_row``; one that joins must keep it. Each row's features may depend on that row alone: what is computed
over other rows differs between training and scoring.
"""

import hashlib
import importlib
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ratoon.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

_LOADED: dict[str, str] = {}
"""Source digest of each feature module that this process imported, by file: an edited module is imported anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFunction:
    """A loaded feature function.

    Attributes:
        ref: ``module:function``.
        call: LazyFrame in, LazyFrame out.
        digest: SHA-256 of the module's source file. Modules that it imports are not part of it.
        file: The module's source file.
    """

    ref: str
    call: "Callable[[pl.LazyFrame], pl.LazyFrame]"
    digest: str
    file: Path


def load_features(project_root: str | Path, ref: str) -> FeatureFunction:
    """Import a project's feature function.

    The project's root (and its ``src``) goes on ``sys.path``. A module of the same name that was imported from
    another project, or before its file changed, is imported anew.

    Args:
        project_root: The project's folder.
        ref: ``module:function``.

    Raises:
        TrainingError: No such module or function, or importing it raised.
    """
    root = Path(project_root).resolve()
    module_name, _, name = ref.partition(":")
    file = _source_file(root, module_name)
    if file is None:
        raise TrainingError(
            f"features {ref!r}: no module {module_name!r} below {root} or {root / 'src'}; "
            f"expected {module_name.replace('.', '/')}.py"
        )
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    module = _import(root, module_name, file, digest)
    call = getattr(module, name, None)
    if not callable(call):
        what = "is not a function" if call is not None else "does not exist"
        raise TrainingError(
            f"features {ref!r}: {name!r} {what} in {file}; define def {name}(rows: pl.LazyFrame) -> pl.LazyFrame"
        )
    return FeatureFunction(ref=ref, call=call, digest=digest, file=file)


def _source_file(root: Path, module: str) -> Path | None:
    relative = Path(*module.split("."))
    places = (
        base / name for base in (root, root / "src") for name in (relative.with_suffix(".py"), relative / "__init__.py")
    )
    return next((place for place in places if place.is_file()), None)


def _import(root: Path, module: str, file: Path, digest: str) -> ModuleType:
    known = sys.modules.get(module)
    if known is not None and _is_from(known, file) and _LOADED.get(str(file)) == digest:
        return known
    _forget(module.partition(".")[0])
    for place in (root / "src", root):
        if place.is_dir() and str(place) in sys.path:
            sys.path.remove(str(place))
        if place.is_dir():
            sys.path.insert(0, str(place))
    importlib.invalidate_caches()
    try:
        with _no_bytecode():
            loaded = importlib.import_module(module)
    except Exception as exc:  # a user's module may raise anything while it is imported
        raise TrainingError(
            f"importing {file} raised {type(exc).__name__}: {exc}; try: python -c 'import {module}' in {root}"
        ) from exc
    if not _is_from(loaded, file):
        raise TrainingError(
            f"module {module!r} was imported from {loaded.__file__} in place of {file}; rename one of them"
        )
    _LOADED[str(file)] = digest
    return loaded


def _is_from(module: ModuleType, file: Path) -> bool:
    return module.__file__ is not None and Path(module.__file__).resolve() == file


def _forget(top: str) -> None:
    for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
        del sys.modules[name]


@contextmanager
def _no_bytecode() -> "Iterator[None]":
    """Import from source: cached bytecode is found by a time stamp in seconds, the digest by content."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
