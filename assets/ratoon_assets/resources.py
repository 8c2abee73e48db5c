"""How an operation or a sensor gets the application: built on first use, once per process."""

from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratoon.bootstrap import Ratoon

RESOURCE = "ratoon"
"""Key of the resource."""


class Application:
    """Holds a project's folder and builds its application when it is first asked for.

    Listing assets builds nothing: no database is opened and no polars imported.

    Args:
        root: The project's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def app(self) -> "Ratoon":
        """The application, with its ledger, lake and artifact store."""
        from ratoon.bootstrap import build
        from ratoon.settings import load_settings

        return build(load_settings(self.root))


@cache
def application(root: Path) -> Application:
    """Return the one application of a project: definitions only merge when they share the very same resource."""
    return Application(root)


def app_of(context: Any) -> "Ratoon":
    """Return the application of an operation's or a sensor's context."""
    held: Application = getattr(context.resources, RESOURCE)
    return held.app
