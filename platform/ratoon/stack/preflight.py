"""What must be so before a stack starts: a free port, room on the disk, the programs."""

import importlib.util
import shutil
import socket
from pathlib import Path

from ratoon.errors import StackError
from ratoon.settings import Settings
from ratoon.stack.broker import find_server

LEAST_FREE_BYTES = 500 * 2**20
"""Free space under which a stack does not start: SQLite and the broker's log break in ugly ways without."""

_MODULES = ("dagster", "dagster_webserver", "ratoon_workers", "ratoon_assets")

_WHOSE = {"webserver_port": "the UI's", "metrics_port": "the metrics'"}


def check_before_start(settings: Settings) -> None:
    """Refuse to start where something is missing, and say what to do.

    Raises:
        StackError: The disk is nearly full, the port is busy, or a program is missing.
    """
    check_disk(settings.home)
    check_port(settings.webserver_port)
    if settings.metrics_port:
        check_port(settings.metrics_port, setting="metrics_port")
    for name in _MODULES:
        if importlib.util.find_spec(name) is None:
            raise StackError(f"the Python package {name} is not installed; install ratoon with its dependencies")
    if settings.broker_url is None:
        find_server()


def check_disk(home: Path, least_free: int = LEAST_FREE_BYTES) -> None:
    """Refuse a home whose disk has less than ``least_free`` bytes left."""
    free = shutil.disk_usage(home).free
    if free < least_free:
        raise StackError(
            f"the disk of {home} has {free // 2**20} MB left and at least {least_free // 2**20} MB are needed; "
            "free some space, or set RATOON_HOME to a folder on another disk"
        )


def check_port(port: int, *, setting: str = "webserver_port") -> None:
    """Refuse a port of 127.0.0.1 that another program listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            raise StackError(
                f"{_WHOSE[setting]} port 127.0.0.1:{port} can't be used ({exc.strerror}), most likely since another "
                f"program listens on it; stop that program, or choose another port with {setting} in ratoon.toml "
                f"or RATOON_{setting.upper()}"
            ) from exc
