"""The folder `platform/` must never hide Python's own module of that name."""

import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_python_file_lies_directly_in_platform() -> None:
    assert [path.name for path in (ROOT / "platform").glob("*.py")] == []
    assert not (ROOT / "platform" / "__pycache__").exists()


def test_platform_is_the_standard_librarys_also_from_the_repository_root() -> None:
    assert Path(platform.__file__).name == "platform.py"
    code = "import platform; print(platform.system())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == platform.system()


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "helpers", "common", "misc", "manager", "base", "core", "util", "helper"}
    roots = [ROOT / "platform" / "ratoon", ROOT / "assets" / "ratoon_assets", ROOT / "workers" / "ratoon_workers"]
    assert [str(path) for root in roots for path in root.rglob("*.py") if path.stem in empty] == []
