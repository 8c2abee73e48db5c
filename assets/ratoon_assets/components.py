"""The two Dagster components: a dataset and a model, declared in ``defs.yaml``."""

from pathlib import Path
from typing import Any, ClassVar, Self

import dagster as dg
from pydantic import BaseModel

from ratoon.declarations import DatasetSpec, ModelSpec
from ratoon_assets.dataset_assets import dataset_assets
from ratoon_assets.model_assets import model_assets
from ratoon_assets.resources import RESOURCE, application
from ratoon_assets.scaffolding import DatasetScaffolder, ModelScaffolder


class _Declared(dg.Component):
    """A component whose attributes are one of Ratoon's own declarations."""

    spec_class: ClassVar[type[BaseModel]]

    def __init__(self, spec: Any) -> None:
        self.spec = spec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Return the declaration: its schema is what ``dg check yaml`` and editors see."""
        return cls.spec_class

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Return the component of a document, with its ``{{ env(...) }}`` templates rendered."""
        written = attributes.model_dump(mode="json", exclude_unset=True) if attributes is not None else {}
        return cls(cls.spec_class.model_validate(context.resolution_context.resolve_value(written)))

    def assets(self, root: Path) -> list[dg.AssetsDefinition]:
        """Return the declaration's assets."""
        raise NotImplementedError

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the declaration's assets. The sensors and the job are the project's: see ``load_project_defs``."""
        root = Path(context.project_root)
        return dg.Definitions(assets=self.assets(root), resources={RESOURCE: application(root)})


@dg.scaffold_with(DatasetScaffolder)
class Dataset(_Declared):
    """A dataset: files land in a folder; rows that keep the contract are taken, the others are kept aside with their reasons."""

    spec_class = DatasetSpec
    spec: DatasetSpec

    def assets(self, root: Path) -> list[dg.AssetsDefinition]:  # noqa: ARG002 - a dataset has no code of its own
        """Return batches, dataset and profile."""
        return [dataset_assets(self.spec)]


@dg.scaffold_with(ModelScaffolder)
class RetrainedModel(_Declared):
    """A model that is retrained when its policy says so, and replaced only by a candidate that its gate lets pass."""

    spec_class = ModelSpec
    spec: ModelSpec

    def assets(self, root: Path) -> list[dg.AssetsDefinition]:
        """Return the retrain's four assets and the three that watch the model."""
        return model_assets(self.spec, root)
