"""Everything that can be known about a project before it runs."""

from ratoon.declarations import DatasetSpec
from ratoon.errors import ConfigError, DeclarationError
from ratoon.project.features import feature_problem
from ratoon.project.loading import LoadedProject, SourceSpan


def check_project(loaded: LoadedProject) -> list[DeclarationError]:
    """Return the problems of a project, those of its contracts' expressions and feature functions included.

    Contracts are compiled, which loads polars: the light commands look at ``loaded.problems`` alone.

    Args:
        loaded: The project as :func:`ratoon.project.load_project` read it.
    """
    project = loaded.project
    problems = list(loaded.problems)
    for name, dataset in project.datasets.items():
        problems.extend(_contract_problems(dataset, loaded.sources[f"dataset.{name}"]))
    for name, model in project.models.items():
        message = feature_problem(project.root, model.features)
        if message is not None:
            problems.append(_at(loaded.sources[f"model.{name}"], "attributes.features", message))
    return sorted(problems, key=lambda problem: (problem.file, problem.line))


def _contract_problems(dataset: DatasetSpec, source: SourceSpan) -> list[DeclarationError]:
    from ratoon.contracts import compile_contract

    try:
        compile_contract(dataset.contract)
    except ConfigError as exc:
        return [_at(source, "attributes.contract", exc.message)]
    return []


def _at(source: SourceSpan, key: str, message: str) -> DeclarationError:
    return DeclarationError(message, str(source.file), source.line_of(key), key)
