"""What Dagster loads: every dataset and model that this project declares."""

from pathlib import Path

from dagster import Definitions
from dagster.components import definitions

from ratoon_assets.definitions import load_project_defs


@definitions
def defs() -> Definitions:
    """Return the assets, checks and sensors of this project."""
    return load_project_defs(Path(__file__).parent.parent)
