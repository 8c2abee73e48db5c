"""The home: one stack at a time, and emptied only when it is one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ratoon.errors import RefusedError, StackError
from ratoon.settings import Settings
from ratoon.stack.home import MARKER, HomeLock, empty_home, prepare_home


def settings_for(folder: Path, **fields: object) -> Settings:
    return Settings.model_validate({"project": folder, "home": folder / "home", **fields})


def test_a_second_stack_on_the_same_home_is_refused_with_pid_and_home(tmp_path: Path) -> None:
    first = HomeLock(tmp_path)
    first.acquire()
    with pytest.raises(StackError, match=rf"{tmp_path} is in use by process {os.getpid()}.*RATOON_HOME"):
        HomeLock(tmp_path).acquire()
    first.release()


def test_a_released_home_leaves_no_file_and_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        lock = HomeLock(tmp_path)
        lock.acquire()
        lock.release()
        assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_stack_holds_nobody_back(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from ratoon.stack.home import HomeLock;"
        "lock = HomeLock(pathlib.Path(sys.argv[1])); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with pytest.raises(StackError, match=f"process {holder.pid}"):
        HomeLock(tmp_path).acquire()
    holder.kill()
    holder.communicate()
    lock = HomeLock(tmp_path)
    lock.acquire()
    lock.release()


def test_a_prepared_home_has_its_marker_its_folders_and_a_private_socket_folder(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    prepare_home(settings)
    assert (settings.home / MARKER).is_file()
    assert {path.name for path in settings.home.iterdir() if path.is_dir()} >= {"inbox", "lake", "artifacts", "logs"}
    assert settings.runtime_dir.stat().st_mode & 0o777 == 0o700


def test_fresh_empties_a_home_and_keeps_the_lock_it_is_under(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    lock = HomeLock(settings.home)
    lock.acquire()
    prepare_home(settings)
    (settings.home / "ledger.db").write_text("x")
    (settings.home / "lake" / "rows").mkdir()
    empty_home(settings)
    assert [path.name for path in settings.home.iterdir()] == ["up.lock"]
    lock.release()


def test_fresh_deletes_a_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    prepare_home(settings)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "data").write_text("x")
    (settings.home / "link").symlink_to(precious)
    empty_home(settings)
    assert (precious / "data").read_text() == "x"


def test_fresh_refuses_a_folder_that_is_not_a_ratoon_home(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    settings.home.mkdir()
    (settings.home / "thesis.tex").write_text("x")
    with pytest.raises(RefusedError, match="not a Ratoon home"):
        empty_home(settings)
    assert (settings.home / "thesis.tex").is_file()


@pytest.mark.parametrize("elsewhere", [{"database_url": "postgresql://h/d"}, {"store_url": "s3://b"}])
def test_fresh_refuses_where_state_lies_outside_of_the_home(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    settings = settings_for(tmp_path, **elsewhere)
    prepare_home(settings)
    with pytest.raises(RefusedError, match="elsewhere"):
        empty_home(settings)
    assert (settings.home / MARKER).is_file()


def test_fresh_on_a_home_that_does_not_exist_does_nothing(tmp_path: Path) -> None:
    empty_home(settings_for(tmp_path))
