"""Dagster's view of this project."""

from pathlib import Path

import dagster as dg

from ratoon_assets.definitions import load_project_defs


@dg.definitions
def defs() -> dg.Definitions:
    """Return the project's datasets and models as assets, checks, sensors and the job."""
    return load_project_defs(Path(__file__).parent.parent)
