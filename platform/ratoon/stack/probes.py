"""Cheap questions that tell whether a child really serves: none imports what it asks."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_SETTINGS_FRAME = 4
_HEALTH = "{instance{daemonHealth{allDaemonStatuses{required healthy lastHeartbeatTime}}}}"


def grpc_answers(path: Path, timeout_s: float = 1) -> bool:
    """Say whether a gRPC server on a unix socket answers the HTTP/2 greeting with its settings."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(timeout_s)
            link.connect(str(path))
            link.sendall(_HTTP2_HELLO)
            frame = link.recv(9)
    except OSError:
        return False
    return len(frame) > 3 and frame[3] == _SETTINGS_FRAME


def webserver_answers(port: int, timeout_s: float = 2) -> bool:
    """Say whether Dagster's webserver on 127.0.0.1 answers ``/server_info``."""
    return _ask(port, "GET", "/server_info", None, timeout_s) is not None


def port_answers(port: int, timeout_s: float = 1) -> bool:
    """Say whether something on 127.0.0.1 takes a connection on a port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout_s):
            return True
    except OSError:
        return False


def daemons_are_healthy(port: int, *, since: float, timeout_s: float = 5) -> bool:
    """Say whether every daemon that Dagster requires has a fresh heartbeat, by the webserver's word.

    Args:
        port: The webserver's.
        since: Unix time of the daemon's start: the heartbeats of one that died look fresh for a while.
        timeout_s: Time that the webserver has to answer.
    """
    answer = _ask(port, "POST", "/graphql", json.dumps({"query": _HEALTH}).encode(), timeout_s)
    try:
        statuses = answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"] if answer else []
    except (KeyError, TypeError):
        return False
    required = [status for status in statuses if status["required"]]
    return bool(required) and all(
        status["healthy"] and (status["lastHeartbeatTime"] or 0) >= since for status in required
    )


def _ask(port: int, method: str, path: str, body: bytes | None, timeout_s: float) -> dict[str, Any] | None:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        link.request(method, path, body, {"Content-Type": "application/json"})
        response = link.getresponse()
        content = response.read()
        found = json.loads(content) if response.status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        link.close()
    return found if isinstance(found, dict) else None
