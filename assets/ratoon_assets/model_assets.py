"""The assets of one model."""

from pathlib import Path

import dagster as dg

from ratoon.declarations import ModelSpec
from ratoon_assets.graph import reference_spec
from ratoon_assets.monitor_assets import monitor_assets
from ratoon_assets.retrain_assets import retrain_assets
from ratoon_assets.selftest_check import selftest_check


def model_assets(spec: ModelSpec, root: Path) -> list[dg.AssetsDefinition]:
    """Return the four assets that show a retrain, the three that watch the model, and its reference with a check.

    Args:
        spec: The model's declaration.
        root: The project's folder.
    """
    reference = dg.AssetsDefinition(specs=[reference_spec(spec)])
    return [*retrain_assets(spec, root), monitor_assets(spec, root), reference, selftest_check(spec)]
