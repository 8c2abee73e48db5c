"""Whether a model's feature function exists, without importing it."""

import ast
from pathlib import Path

from ratoon.project.explain import suggestion


def feature_problem(root: Path, reference: str) -> str | None:
    """Return what is wrong with a ``module:function`` reference, or None.

    The module is looked up below the project (and its ``src``) and parsed, never imported: importing it
    would load polars, and run whatever the module runs.

    Args:
        root: The project's root.
        reference: ``package.module:function``.
    """
    module, _, function = reference.partition(":")
    file = feature_file(root, module)
    if file is None:
        return f"no module {module!r} below {root}; expected {module.replace('.', '/')}.py with a function {function}"
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    except (SyntaxError, UnicodeDecodeError) as exc:
        return f"{file}:{getattr(exc, 'lineno', None) or 1} is not Python: {exc}"
    names = _names(tree)
    if function not in names:
        return f"{file} has no function {function!r}{suggestion(function, names)}"
    return None


def feature_file(root: Path, module: str) -> Path | None:
    """Return the file of a module below a project, or None."""
    relative = Path(*module.split("."))
    places = (
        base / name for base in (root, root / "src") for name in (relative.with_suffix(".py"), relative / "__init__.py")
    )
    return next((place for place in places if place.is_file()), None)


def _names(tree: ast.Module) -> list[str]:
    names = []
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name):
                names.append(name)
            case ast.ImportFrom(names=aliases):
                names.extend(alias.asname or alias.name for alias in aliases)
            case ast.Assign(targets=targets):
                names.extend(target.id for target in targets if isinstance(target, ast.Name))
    return names
