"""The code location: what a project declares as Dagster's definitions, each declaration built on its own."""

import logging
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import dagster as dg
from dagster.components import definitions

from ratoon.declarations import DatasetSpec, ModelSpec, Project
from ratoon.project import load_project
from ratoon.settings import load_settings
from ratoon_assets.dataset_assets import dataset_assets
from ratoon_assets.graph import JOB, SELFTEST_CHECK
from ratoon_assets.model_assets import model_assets
from ratoon_assets.resources import RESOURCE, application
from ratoon_assets.sensors import arrivals_sensor, retrains_sensor

BROKEN_GROUP = "broken"

_log = logging.getLogger(__name__)


@definitions
def defs() -> dg.Definitions:
    """Return the definitions of the project that ``RATOON_PROJECT`` or the working directory names."""
    return load_project_defs(load_settings().project)


def load_project_defs(root: Path) -> dg.Definitions:
    """Return a project's assets, checks, sensors and its job.

    A declaration that is wrong becomes an asset of the group ``broken`` whose description says what is wrong
    where; it takes no other declaration down.

    Args:
        root: The project's folder.
    """
    loaded = load_project(root.resolve())
    problems = [(problem.file or "project", str(problem)) for problem in loaded.problems]
    datasets: dict[str, DatasetSpec] = {}
    models: dict[str, ModelSpec] = {}
    assets: list[dg.AssetsDefinition] = []
    for dataset in loaded.project.datasets.values():
        if built := _built(dataset.name, partial(_dataset, dataset), problems):
            datasets[dataset.name] = dataset
            assets += built
    for model in loaded.project.models.values():
        build = partial(model_assets, model, loaded.project.root)
        if model.dataset in datasets and (built := _built(model.name, build, problems)):
            models[model.name] = model
            assets += built
    project = Project(root=loaded.project.root, datasets=datasets, models=models)
    return _assembled(project, assets, [broken_asset(place, text) for place, text in _grouped(problems)])


def broken_asset(place: str, text: str) -> dg.AssetSpec:
    """Return an asset that shows what is wrong with a file; nothing can be run on it."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", "_".join(Path(place).parts[-2:])).strip("_") or "project"
    description = f"`{place}` was left out:\n\n{text}\n\n`ratoon check` shows the same on the command line."
    return dg.AssetSpec(
        dg.AssetKey([BROKEN_GROUP, name]),
        description=description,
        group_name=BROKEN_GROUP,
        tags={"ratoon/broken": "true"},
    )


def _assembled(
    project: Project, assets: Iterable[dg.AssetsDefinition], broken: Iterable[dg.AssetSpec]
) -> dg.Definitions:
    runnable = list(assets)
    started = [arrivals_sensor(project), retrains_sensor(project)] if runnable else []
    return dg.Definitions(
        assets=[*runnable, *broken],
        jobs=[
            dg.define_asset_job(
                JOB,
                selection=dg.AssetSelection.all()
                - dg.AssetSelection.checks(
                    *(check for asset in runnable for check in asset.check_keys if check.name == SELFTEST_CHECK)
                ),
                description="Whatever a run of Ratoon does is a selection of this job.",
            )
        ]
        if runnable
        else [],
        sensors=started,
        executor=dg.in_process_executor,
        resources={RESOURCE: application(project.root)},
    )


def _dataset(spec: DatasetSpec) -> list[dg.AssetsDefinition]:
    return [dataset_assets(spec)]


def _built(
    name: str, build: Callable[[], list[dg.AssetsDefinition]], problems: list[tuple[str, str]]
) -> list[dg.AssetsDefinition]:
    """Build one declaration; what Dagster refuses in it (an owner, a kind ...) is a problem of this one only."""
    try:
        return build()
    except (dg.DagsterError, ValueError, OSError) as exc:
        problems.append((name, f"{name} can't be shown in Dagster: {exc}"))
        return []


def _grouped(problems: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    by_place: dict[str, list[str]] = {}
    for place, text in problems:
        _log.warning("left out: %s", text)
        by_place.setdefault(place, []).append(f"- {text}")
    return [(place, "\n".join(texts)) for place, texts in by_place.items()]
