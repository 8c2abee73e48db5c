"""Which children a stack has, and what they are told."""

from pathlib import Path

import pytest
import yaml

from ratoon.settings import Settings
from ratoon.stack import roster as roster_module
from ratoon.stack.broker import server_command, set_messages_aside
from ratoon.stack.dagster_home import POSTGRES_VARIABLE, postgres_url, write_dagster_home
from ratoon.stack.roster import child_environment, roster


def settings_for(folder: Path, **fields: object) -> Settings:
    return Settings.model_validate({"project": folder, "home": folder / "home", **fields})


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_module, "has_gpu", lambda: False)


def test_the_broker_starts_first_and_stops_last(tmp_path: Path) -> None:
    children = roster(settings_for(tmp_path))
    assert [child.name for child in children] == ["broker", "worker", "trainer", "code", "webserver", "daemon"]
    ranks = {child.name: child.rank for child in children}
    assert ranks["broker"] < ranks["worker"] == ranks["trainer"] < ranks["code"] < ranks["webserver"] == ranks["daemon"]


def test_a_broker_of_ones_own_is_not_started_and_not_waited_for(tmp_path: Path) -> None:
    children = roster(settings_for(tmp_path, broker_url="amqp://h"))
    assert "broker" not in {child.name for child in children}
    assert not any("broker" in child.after for child in children)


def test_a_gpu_gets_a_worker_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_module, "has_gpu", lambda: True)
    assert "trainer-gpu" in {child.name for child in roster(settings_for(tmp_path))}


def test_every_queue_but_the_gpus_has_a_worker(tmp_path: Path) -> None:
    served = " ".join(" ".join(child.command) for child in roster(settings_for(tmp_path)))
    assert "control,evaluate" in served and "train.cpu" in served and "train.gpu" not in served


def test_nothing_listens_beyond_this_machine(tmp_path: Path) -> None:
    children = {child.name: child for child in roster(settings_for(tmp_path, webserver_port=4321))}
    assert "127.0.0.1" in children["webserver"].command and "4321" in children["webserver"].command
    assert "--socket" in children["code"].command and "--port" not in children["code"].command
    assert children["broker"].command[1:3] == ("--port", "0")


def test_the_broker_keeps_every_message_in_a_private_place(tmp_path: Path) -> None:
    command = server_command(Path("/bin/valkey-server"), settings_for(tmp_path))
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--unixsocketperm"] == "600"


def test_children_get_the_settings_and_not_the_callers_own_ratoon_variables(tmp_path: Path) -> None:
    env = child_environment(
        settings_for(tmp_path, lease_s=9), {"PATH": "/bin", "RATOON_LEASE_S": "1", "RATOON_OLD": "x"}
    )
    assert env["RATOON_LEASE_S"] == "9.0"
    assert env["PATH"] == "/bin" and "RATOON_OLD" not in env
    assert env["DAGSTER_HOME"] == str(tmp_path / "home" / "dagster")
    assert env["DAGSTER_DISABLE_TELEMETRY"] == "yes" and env["OMP_WAIT_POLICY"] == "PASSIVE"


def test_the_dagster_files_are_what_dagster_accepts(tmp_path: Path) -> None:
    from dagster._config import process_config
    from dagster._core.instance.config import dagster_instance_config_schema

    settings = settings_for(tmp_path)
    write_dagster_home(settings)
    written = yaml.safe_load((settings.dagster_home / "dagster.yaml").read_text())
    checked = process_config(dagster_instance_config_schema(), written)
    assert checked.success, checked.errors
    assert written["telemetry"] == {"enabled": False} and written["nux"] == {"enabled": False}
    workspace = yaml.safe_load((settings.dagster_home / "workspace.yaml").read_text())
    assert workspace["load_from"][0]["grpc_server"]["socket"].endswith("code.sock")


def test_a_postgres_ledger_holds_dagster_in_a_schema_of_its_own_and_no_password_is_written(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, database_url="postgresql+psycopg://u:hunter2@h/d?sslmode=require")
    assert postgres_url(settings) == (
        "postgresql+psycopg2://u:hunter2@h/d?sslmode=require&options=-csearch_path%3Ddagster"
    )
    write_dagster_home(settings)
    assert "hunter2" not in (settings.dagster_home / "dagster.yaml").read_text()
    assert child_environment(settings, {})[POSTGRES_VARIABLE] == postgres_url(settings)
    assert postgres_url(settings_for(tmp_path)) is None


def test_messages_that_a_server_cannot_read_are_set_aside_after_two_failures(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    stored = settings.home / "broker" / "appendonlydir"
    stored.mkdir(parents=True)
    prepare = roster(settings)[0].prepare
    prepare(1)
    assert stored.is_dir()
    prepare(2)
    assert not stored.exists() and (settings.home / "broker" / "appendonlydir.unreadable").is_dir()
    assert set_messages_aside(settings) is False
