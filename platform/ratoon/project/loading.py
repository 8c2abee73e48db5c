"""Read what a project declares, and everything that is wrong with it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ratoon.declarations import DatasetSpec, ModelSpec, Project
from ratoon.errors import ConfigError, DeclarationError
from ratoon.project.consistency import Finding, dataset_problems, model_problems
from ratoon.project.documents import Document, KeyPath, dotted, read_documents
from ratoon.project.explain import explain, suggestion
from ratoon.project.layout import defs_files
from ratoon.project.templating import render

TYPES: Mapping[str, type[DatasetSpec] | type[ModelSpec]] = {
    "ratoon.Dataset": DatasetSpec,
    "ratoon.RetrainedModel": ModelSpec,
}
"""The component types that Ratoon reads; documents of other types belong to other components."""

_DOCUMENT_KEYS = ("type", "attributes", "requirements", "post_processing", "template_vars_module")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpan:
    """Where a dataset or a model is declared.

    Attributes:
        file: The ``defs.yaml``.
        line: 1-based first line of its document.
        end_line: 1-based last line.
        lines: 1-based line of every dotted key, for example ``attributes.contract``.
    """

    file: Path
    line: int
    end_line: int
    lines: Mapping[str, int]

    def line_of(self, key: str) -> int:
        """Return the line of a dotted key, or the document's first line where the key is not written."""
        return self.lines.get(key, self.line)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedProject:
    """What could be loaded of a project, and what could not.

    Attributes:
        project: The declarations without any error; a model whose dataset is missing is left out too.
        problems: One error per wrong key, by file and line.
        sources: Where each is declared, by ``dataset.<name>`` and ``model.<name>``.
    """

    project: Project
    problems: list[DeclarationError]
    sources: dict[str, SourceSpan]

    def ensure_sound(self) -> Project:
        """Return the project if nothing is wrong with it.

        Raises:
            ConfigError: There are problems; the message names the first and how many there are.
        """
        if self.problems:
            more = f" (and {len(self.problems) - 1} more; see `ratoon check`)" if len(self.problems) > 1 else ""
            raise ConfigError(f"{self.problems[0].message}{more}")
        return self.project


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    document: Document
    spec: DatasetSpec | ModelSpec

    def problem(self, path: KeyPath, message: str) -> DeclarationError:
        return self.document.problem(("attributes", *path), message)


def load_project(root: Path, env: Mapping[str, str] | None = None) -> LoadedProject:
    """Read every declaration of a project; one bad file never takes the others down.

    Args:
        root: The project's root (see :func:`ratoon.project.find_project`).
        env: Variables for ``{{ env(...) }}``; the process's own unless given.

    Raises:
        ConfigError: ``root`` is not a folder.
    """
    if not root.is_dir():
        raise ConfigError(
            f"{root} is not a folder; name a project with --project, or make one with `ratoon init my-project`"
        )
    problems: list[DeclarationError] = []
    declared: list[_Declared] = []
    for file in defs_files(root):
        documents, found = read_documents(file)
        problems.extend(found)
        for document in documents:
            entry, found = _declaration(document, os.environ if env is None else env)
            problems.extend(found)
            declared.extend(entry)
    return _assembled(root, declared, problems)


def _declaration(document: Document, env: Mapping[str, str]) -> tuple[list[_Declared], list[DeclarationError]]:
    kind, found = _kind_of(document)
    if kind is None:
        return [], [*document.problems, *found]
    value, unrendered = render(document, env)
    problems = [*document.problems, *found, *unrendered]
    attributes = value.get("attributes", {})
    if not isinstance(attributes, dict):
        return [], [
            *problems,
            document.problem(("attributes",), "holds the declaration; expected keys and values below it"),
        ]
    try:
        spec = kind.model_validate(attributes)
    except ValidationError as exc:
        known = {_list_of(problem.key) for problem in problems}
        explained = explain(exc, kind, document, attributes, ("attributes",))
        return [], [*problems, *(problem for problem in explained if _list_of(problem.key) not in known)]
    return ([] if problems else [_Declared(document=document, spec=spec)]), problems


def _list_of(key: str) -> str:
    """Return the key of the list that an item stands in: one wrong item makes pydantic complain of all of them."""
    return key.rpartition("[")[0] if key.endswith("]") else key


def _kind_of(document: Document) -> tuple[type[DatasetSpec] | type[ModelSpec] | None, list[DeclarationError]]:
    expected = f"expected {' or '.join(TYPES)}"
    if not isinstance(document.value, dict):
        return None, [document.problem((), f"a document is a mapping with the keys type and attributes; {expected}")]
    if "type" not in document.value:
        return None, [document.problem(("type",), f"is missing; {expected}")]
    name = str(document.value["type"])
    if name not in TYPES:
        ours = name.lower().startswith("ratoon") or "." not in name
        return None, [
            document.problem(("type",), f"{name!r} is no type of Ratoon; {expected}{suggestion(name, TYPES)}")
        ] if ours else []
    unknown = [key for key in document.value if key not in _DOCUMENT_KEYS]
    return TYPES[name], [
        document.problem(
            (str(key),), f"unknown key; allowed here: {', '.join(_DOCUMENT_KEYS)}{suggestion(str(key), _DOCUMENT_KEYS)}"
        )
        for key in unknown
    ]


def _assembled(root: Path, declared: list[_Declared], problems: list[DeclarationError]) -> LoadedProject:
    datasets: dict[str, DatasetSpec] = {}
    models: dict[str, ModelSpec] = {}
    sources: dict[str, SourceSpan] = {}
    for entry in sorted(declared, key=lambda entry: isinstance(entry.spec, ModelSpec)):
        spec, key = entry.spec, _source_key(entry.spec)
        found = _findings(spec, sources.get(key), datasets)
        problems = [*problems, *(entry.problem(path, message) for path, message in found)]
        if found:
            continue
        sources[key] = _span(entry.document)
        if isinstance(spec, DatasetSpec):
            datasets[spec.name] = spec
        else:
            models[spec.name] = spec
    project = Project(root=root, datasets=datasets, models=models)
    return LoadedProject(
        project=project, problems=sorted(problems, key=lambda problem: (problem.file, problem.line)), sources=sources
    )


def _findings(
    spec: DatasetSpec | ModelSpec, first: SourceSpan | None, datasets: Mapping[str, DatasetSpec]
) -> list[Finding]:
    if first is not None:
        return [(("name",), f"{spec.name!r} is already declared in {first.file}:{first.line}; names are unique")]
    if isinstance(spec, DatasetSpec):
        return dataset_problems(spec, datasets)
    return model_problems(spec, datasets)


def _span(document: Document) -> SourceSpan:
    lines = {dotted(path): line for path, line in document.lines.items()}
    return SourceSpan(file=document.file, line=document.line, end_line=document.end_line, lines=lines)


def _source_key(spec: DatasetSpec | ModelSpec) -> str:
    return f"{'dataset' if isinstance(spec, DatasetSpec) else 'model'}.{spec.name}"
