"""One side of the profile benchmarks in a process of its own: ``python profile_side.py SIDE FOLDER``.

Prints JSON: wall and CPU seconds of the work (imports aside), and the most bytes that the process ever held.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from ratoon.drift import compare
from ratoon.profiles import Binning, decode, make_reference, merge, profile


def read(folder: Path) -> None:
    """Read the current file into memory."""
    pl.read_parquet(folder / "current.parquet")


def stream(folder: Path) -> None:
    """Go through the current file in pieces and do nothing with them."""
    for piece in pl.scan_parquet(folder / "current.parquet").collect_batches(chunk_size=1 << 17, maintain_order=True):
        piece.clear()


def report(folder: Path) -> None:
    """Profile the current file and compare it with the stored reference."""
    reference = decode((folder / "reference.profile").read_bytes())
    counted = profile(pl.scan_parquet(folder / "current.parquet"), _binning(folder))
    if not compare(reference, counted).judged:
        raise SystemExit("the report was not judged")


def make(folder: Path) -> None:
    """Make the bins and the profile of the reference."""
    make_reference(pl.scan_parquet(folder / "reference.parquet"))


def sums(folder: Path) -> None:
    """Add up each column of the wide files."""
    pl.scan_parquet(folder / "wide-*.parquet").sum().collect(engine="streaming")


def wide(folder: Path) -> None:
    """Profile the wide files."""
    profile(pl.scan_parquet(folder / "wide-*.parquet"), _binning(folder))


def window(folder: Path) -> None:
    """Merge the stored rows of many batches."""
    merge(_TABLE[folder])


_TABLE: dict[Path, pl.DataFrame] = {}
_SIDES: dict[str, Callable[[Path], None]] = {
    side.__name__: side for side in (read, stream, report, make, sums, wide, window)
}


def _binning(folder: Path) -> Binning:
    return Binning.from_json((folder / "binning.json").read_text())


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(side: str, folder: Path) -> None:
    """Run one side and print what it took."""
    if side == "window":
        _TABLE[folder] = pl.read_parquet(folder / "profiles.parquet")
    start, cpu = time.perf_counter(), _cpu_s()
    _SIDES[side](folder)
    wall, cpu = time.perf_counter() - start, _cpu_s() - cpu
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": int(peak.split()[1]) << 10}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
