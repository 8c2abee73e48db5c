"""What ``dg scaffold defs`` writes: a declaration with comments that runs, to be changed into one's own."""

import re
from importlib import resources
from pathlib import Path

from dagster.components import Scaffolder, ScaffoldRequest

from ratoon.errors import ConfigError
from ratoon.project import load_project

_FOLDER = "scaffolds"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class DatasetScaffolder(Scaffolder):
    """Writes ``defs.yaml`` of a dataset that is named like its folder."""

    def scaffold(self, request: ScaffoldRequest) -> None:
        """Write the files into the request's folder."""
        _write_declaration(request, "dataset.yaml")


class ModelScaffolder(Scaffolder):
    """Writes ``defs.yaml`` of a model that is named like its folder, and a ``features.py`` beside it."""

    def scaffold(self, request: ScaffoldRequest) -> None:
        """Write the files into the request's folder."""
        features = request.target_path / "features.py"
        names = {
            "FEATURES": _module_of(features, request.project_root),
            "DATASET": _first_dataset(request.project_root),
        }
        _write_declaration(request, "model.yaml", **names)
        if not features.exists():
            features.write_text(_template("features.py.in"), encoding="utf-8")


def _write_declaration(request: ScaffoldRequest, template: str, **replaced: str) -> None:
    if request.scaffold_format != "yaml":
        raise ConfigError(f"{request.type_name} is declared in YAML; leave --format out")
    if not _NAME.fullmatch(request.target_path.name):
        raise ConfigError(
            f"{request.target_path.name!r} can't name a dataset or a model; expected small letters, digits and _, for example late_flights"
        )
    text = _template(template)
    for name, value in {"NAME": request.target_path.name, **replaced}.items():
        text = text.replace(f"@{name}@", value)
    (request.target_path / "defs.yaml").write_text(text, encoding="utf-8")


def _first_dataset(project_root: Path | None) -> str:
    """Return a dataset that the project declares, so that a new model has one to learn from."""
    declared = load_project(Path(project_root)).project.datasets if project_root else {}
    labelled = [name for name, spec in declared.items() if spec.contract.label is not None]
    return next(iter([*labelled, *declared]), "my_dataset")


def _module_of(file: Path, project_root: Path | None) -> str:
    """Return a file's module name, below the project or its ``src``."""
    root = Path(project_root) if project_root else file.parent
    base = root / "src" if file.is_relative_to(root / "src") else root
    return ".".join(file.relative_to(base).with_suffix("").parts)


def _template(name: str) -> str:
    return (resources.files("ratoon_assets") / _FOLDER / name).read_text(encoding="utf-8")
