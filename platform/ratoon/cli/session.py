"""From a command's options to the running parts of Ratoon."""

import getpass
from typing import TYPE_CHECKING

from ratoon.cli.options import Options

if TYPE_CHECKING:
    from ratoon.bootstrap import Ratoon
    from ratoon.settings import Settings


def settings_of(options: Options) -> "Settings":
    """Return the settings of the project that the options name.

    Raises:
        ConfigError: There is no project, or a setting is wrong.
    """
    from ratoon.settings import load_settings

    return load_settings(options.project)


def open_ratoon(options: Options) -> "Ratoon":
    """Return Ratoon's parts for a project; nothing connects before it is used.

    Raises:
        NotFoundError: The embedded ledger does not exist yet.
    """
    from pathlib import Path

    from ratoon.bootstrap import build
    from ratoon.errors import NotFoundError

    settings = settings_of(options)
    file = settings.ledger_url.removeprefix("sqlite:///")
    if settings.database_url is None and not Path(file).exists():
        raise NotFoundError(f"there is no ledger at {file} yet; `ratoon up` makes it and starts the loop")
    return build(settings)


def actor() -> str:
    """Return who runs the command, as the ledger's audit names people."""
    return f"person:{getpass.getuser()}"
