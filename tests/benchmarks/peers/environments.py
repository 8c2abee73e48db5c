"""One Python environment per peer, so that none of them is a dependency of Ratoon's.

Run ``python -m tests.benchmarks.peers.environments [peer ...]`` to build them ahead of a benchmark. Each peer has
``requirements/<peer>.in``, which says what it needs and why, and ``requirements/<peer>.txt``, every package of it
pinned: ``uv pip compile --python-version 3.11 --no-header --no-annotate X.in -o X.txt``.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_CHECKOUT = Path(__file__).parents[3]
_REQUIREMENTS = Path(__file__).with_name("requirements")
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

FOLDER = Path(os.environ.get("RATOON_BENCHMARK_PEERS", _CHECKOUT / ".benchmarks" / "peers"))
"""Where the environments lie; git doesn't see it."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A peer's environment, or why there is none.

    Attributes:
        peer: The name of its requirements.
        python: Its interpreter; None where it did not install.
        reason: Why it did not; empty where it did.
    """

    peer: str
    python: Path | None
    reason: str = ""


def known() -> list[str]:
    """Return the peers that have requirements."""
    return sorted(file.stem for file in _REQUIREMENTS.glob("*.txt"))


def environment(peer: str, folder: Path = FOLDER) -> Environment:
    """Return a peer's environment, built unless one of the same pins is there.

    A peer that does not install is returned with its reason: a benchmark shows it, and leaves none out.
    """
    requirements, place = _REQUIREMENTS / f"{peer}.txt", folder / peer
    digest = hashlib.sha256(requirements.read_bytes() + _PYTHON.encode()).hexdigest()
    built, python = place / "pins.sha256", place / "bin" / "python"
    if built.exists() and built.read_text() == digest:
        return Environment(peer, python)
    shutil.rmtree(place, ignore_errors=True)
    uv = _find_uv()
    if uv is None:
        return Environment(peer, None, "did not install: there is no uv (`make setup` brings it)")
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(place)],
        [uv, "pip", "sync", "--quiet", "--python", str(python), str(requirements)],
    ):
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            return Environment(peer, None, f"did not install: {last_line(done.stdout)}")
    built.write_text(digest)
    return Environment(peer, python)


def last_line(text: str) -> str:
    """Return what a failed command said last, in one line of bounded length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else "it said nothing")[:200]


def _find_uv() -> str | None:
    beside = _CHECKOUT / ".venv" / ".uv" / "bin" / "uv"
    return str(beside) if beside.exists() else shutil.which("uv")


def main(peers: list[str]) -> None:
    """Build the environments of these peers, or of all, and say how it went."""
    for peer in peers or known():
        print(f"{peer}: {environment(peer).reason or 'ready'}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
