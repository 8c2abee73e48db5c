"""The options that every command takes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a command answers, and about which project."""

    json: Annotated[bool, Parameter(negative=())] = False
    """Answer with one JSON document."""
    project: Path | None = None
    """The project's folder; otherwise the one that the current folder lies in."""


DEFAULTS = Options()
"""What a command uses when neither option is given."""
