"""Settings: where they come from, what they resolve to, and what a wrong one says."""

from pathlib import Path

import pytest

from ratoon.errors import ConfigError
from ratoon.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("RATOON_"):
            monkeypatch.delenv(name)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "ratoon.toml").write_text("")
    return folder


def test_an_empty_project_keeps_all_state_in_its_own_home(project: Path) -> None:
    settings = load_settings(project)
    assert settings.home == project / ".ratoon"
    assert settings.ledger_url == f"sqlite:///{project}/.ratoon/ledger.db"
    assert settings.lake_url == f"{project}/.ratoon/lake"
    assert settings.artifacts_url == f"{project}/.ratoon/artifacts"
    assert {
        settings.inbox.parent,
        settings.logs.parent,
        settings.dagster_home.parent,
    } == {settings.home}


def test_the_environment_wins_over_the_file_and_an_argument_over_both(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "ratoon.toml").write_text("lease_s = 10\nsweep_s = 2\nmax_attempts = 5\n")
    monkeypatch.setenv("RATOON_LEASE_S", "20")
    monkeypatch.setenv("RATOON_SWEEP_S", "4")
    settings = load_settings(project, lease_s=30.0, sweep_s=None)
    assert (settings.lease_s, settings.sweep_s, settings.max_attempts) == (30, 4, 5)


def test_the_project_is_found_from_a_folder_inside_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = project / "shop" / "defs"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert load_settings().project == project


def test_the_variable_names_the_project_from_anywhere(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATOON_PROJECT", str(project))
    assert load_settings().project == project


def test_outside_a_project_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="ratoon init"):
        load_settings()


def test_an_unknown_setting_is_refused_with_the_list_of_known_ones(
    project: Path,
) -> None:
    (project / "ratoon.toml").write_text("leese_s = 10\n")
    with pytest.raises(ConfigError, match=r"unknown setting 'leese_s'; settings are .*lease_s"):
        load_settings(project)


def test_a_value_out_of_range_is_named_with_its_value(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATOON_WEBSERVER_PORT", "70000")
    with pytest.raises(ConfigError, match=r"webserver_port = '70000'.*65535"):
        load_settings(project)


@pytest.mark.parametrize("text", ["lease_s = \n", 'storage_options = "no table"\n'])
def test_a_broken_file_is_a_config_error(project: Path, text: str) -> None:
    (project / "ratoon.toml").write_text(text)
    with pytest.raises(ConfigError, match="settings of"):
        load_settings(project)


def test_a_broken_json_variable_is_a_config_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATOON_STORAGE_OPTIONS", "{")
    with pytest.raises(ConfigError, match="storage_options"):
        load_settings(project)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_plain_postgres_url_names_the_shipped_driver(project: Path, scheme: str) -> None:
    settings = load_settings(project, database_url=f"{scheme}://u@h/db")
    assert settings.ledger_url == "postgresql+psycopg2://u@h/db"


def test_a_url_with_a_driver_stays_as_it_is(project: Path) -> None:
    assert load_settings(project, database_url="postgresql+psycopg://h/d").ledger_url == "postgresql+psycopg://h/d"


def test_lake_and_artifacts_lie_side_by_side_in_a_bucket(project: Path) -> None:
    settings = load_settings(project, store_url="s3://bucket/prefix/")
    assert (settings.lake_url, settings.artifacts_url) == (
        "s3://bucket/prefix/lake",
        "s3://bucket/prefix/artifacts",
    )


def test_the_embedded_broker_listens_in_the_home(project: Path) -> None:
    settings = load_settings(project, home=Path("/srv/r"))
    assert settings.resolved_broker_url == "redis+socket:///srv/r/broker/valkey.sock"
    assert load_settings(project, broker_url="amqp://h").resolved_broker_url == "amqp://h"


def test_a_home_too_deep_for_a_socket_gets_a_short_folder_of_its_own(
    project: Path,
) -> None:
    deep, other = (load_settings(project, home=project / name / ("d" * 90)) for name in ("a", "b"))
    assert deep.runtime_dir.parent == Path("/tmp")
    assert len(str(deep.broker_socket)) < 100
    assert deep.runtime_dir != other.runtime_dir


def test_another_process_builds_equal_settings_from_the_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(
        project,
        home=project / "elsewhere",
        clock="event",
        storage_options={"aws_region": "eu-west-1"},
        train_threads=3,
        broker_url="amqp://h",
    )
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_the_thread_budget_is_shared_by_concurrent_trainings(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratoon.settings._usable_cores", lambda: 8)
    assert load_settings(project).threads == 8
    assert load_settings(project, train_concurrency=3).threads == 2
    assert load_settings(project, train_concurrency=16).threads == 1
    assert load_settings(project, train_threads=5).threads == 5


def test_secrets_of_the_store_stay_out_of_the_printed_settings(project: Path) -> None:
    settings = load_settings(project, storage_options={"aws_secret_access_key": "hunter2"})
    assert "hunter2" not in repr(settings)


def test_settings_are_frozen(project: Path) -> None:
    settings: Settings = load_settings(project)
    with pytest.raises(ValueError, match="frozen"):
        settings.lease_s = 3  # type: ignore[misc]


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_addresses_of_alerts_are_words_in_a_variable_and_lists_in_the_file(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATOON_ALERT_URLS", "slack://a/b/c  mailto://u:p@h")
    (project / "ratoon.toml").write_text(f'webhook_urls = ["https://h/x"]\nwebhook_secrets = ["{SECRET}"]\n')
    settings = load_settings(project)
    assert settings.alert_urls == ["slack://a/b/c", "mailto://u:p@h"]
    assert settings.webhook_urls == ["https://h/x"]
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    assert load_settings(project) == settings


def test_what_may_hold_a_password_is_never_shown(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(
        project, alert_urls=["slack://hush/b/c"], webhook_urls=["https://h/hush"], webhook_secrets=[SECRET]
    )
    assert "hush" not in repr(settings)
    assert SECRET not in repr(settings)
    wrong: list[dict[str, object]] = [
        {"alert_urls": ["hush"]},
        {"webhook_urls": ["file:///hush"], "webhook_secrets": [SECRET]},
        {"webhook_urls": ["https://user:hush@h/"], "webhook_secrets": [SECRET]},
        {"webhook_secrets": ["whsec_hush"]},
        {"webhook_secrets": ["aHVzaA=="]},
        {"database_url": 7, "storage_options": {"key": ["hush"]}},
    ]
    for given in wrong:
        with pytest.raises(ConfigError) as caught:
            load_settings(project, **given)
        assert "hush" not in caught.value.message
        assert "aHVzaA" not in caught.value.message
