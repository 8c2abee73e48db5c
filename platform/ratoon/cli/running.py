"""Commands that run the loop: up, demo, replay. They report their own progress and return when it ends."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ratoon.cli.failure import OK
from ratoon.cli.options import DEFAULTS, Options
from ratoon.cli.session import settings_of

if TYPE_CHECKING:
    from ratoon.settings import Settings


def up(*, fresh: bool = False, options: Options = DEFAULTS) -> int:
    """Start the stack, watch it, and stop it on Ctrl-C.

    Starts the broker, the Celery workers and Dagster (code location, daemon, web server on 127.0.0.1), restarts
    what dies, and goes on from the stored state.

    Args:
        fresh: Delete the stored state first.
        options: How to answer, and about which project.
    """
    from ratoon.stack.supervisor import Stack

    settings = settings_of(options)

    def say(line: str) -> None:
        sys.stdout.write((json.dumps({"line": line}, ensure_ascii=False) if options.json else line) + "\n")
        sys.stdout.flush()

    def ready() -> None:
        say(f"Ready: http://127.0.0.1:{settings.webserver_port} shows the graph and the runs; Ctrl-C stops everything.")

    Stack(settings, say=say, fresh=fresh).run(on_ready=ready)
    return OK


def demo(*, exit_when_done: Annotated[bool, Parameter(name="--exit")] = False, options: Options = DEFAULTS) -> int:
    """Let the year 2013 of New York flights go through the loop.

    Args:
        exit_when_done: End once the summary is printed; otherwise the UI stays open until Ctrl-C.
        options: How to answer, and about which project.
    """
    from ratoon import demo as flights

    return int(flights.run(_flights_settings(options), exit_when_done=exit_when_done, as_json=options.json))


def replay(folder: Path, *, options: Options = DEFAULTS) -> int:
    """Let stored files arrive one after the other, each as of its own time.

    Args:
        folder: One folder per dataset, named as its source's path, with the files in the order of their names.
        options: How to answer, and about which project.
    """
    from ratoon import replay as history

    return int(history.run(settings_of(options), folder))


def _flights_settings(options: Options) -> "Settings":
    """Return the settings of the example; an installed one keeps its state below the working directory."""
    from ratoon.settings import load_settings

    if options.project is not None:
        return load_settings(options.project)
    project, is_checkout = flights_project()
    own_home = None if is_checkout or "RATOON_HOME" in os.environ else Path.cwd() / ".ratoon-flights"
    return load_settings(project, home=own_home)


def flights_project() -> tuple[Path, bool]:
    """Return the example project, and whether it is a checkout's rather than the installed package's.

    Raises:
        ConfigError: Neither is there.
    """
    import ratoon
    from ratoon.errors import ConfigError

    package = Path(ratoon.__file__).parent
    checkout, installed = package.parents[1] / "examples" / "flights", package / "examples" / "flights"
    if checkout.is_dir():
        return checkout, True
    if installed.is_dir():
        return installed, False
    raise ConfigError(f"the example project is missing; expected it at {checkout} or {installed}: reinstall ratoon")
