"""One drift report on two files of 60 columns: Ratoon, the limit (polars reads the file), and four peers.

Run ``python -m tests.benchmarks.bench_drift_peers [rows] [peer ...]``. Every tool runs in a fresh process and its own
environment (:mod:`tests.benchmarks.peers.environments`), one after the other.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.drift_files import N_CATEGORIES, N_NUMBERS, SHIFTS, write_files
from tests.benchmarks.figures import Begin, Benchmark, Figure, medians, mib, seconds
from tests.benchmarks.peers.environments import environment, last_line

_SCRIPTS = Path(__file__).with_name("peers")
_WITHIN_S = 3_600

READ, SCAN, STORED, RAW = "polars_read", "polars_scan", "ratoon_stored", "ratoon_raw"
PEERS = {
    "evidently": ("evidently_report", "Evidently 0.7.23, DataDriftPreset", 100),
    "nannyml": ("nannyml_univariate", "NannyML 0.13.1, univariate Jensen-Shannon", 20),
    "whylogs": ("whylogs_profiles", "whylogs 1.6.4, profiles and drift scores", 20),
    "alibi_detect": ("alibi_detect_tabular", "alibi-detect 0.13.0, TabularDrift, imputed", 20),
}
"""By environment: its script, its name in the table, and how much more CPU it must take than Ratoon."""

NAMES = {
    READ: "limit: polars reads the current file",
    SCAN: "limit: polars streams the current file",
    STORED: "Ratoon, stored reference",
    RAW: "Ratoon, two raw files",
} | {script: name for script, name, _ in PEERS.values()}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one process took (see :mod:`tests.benchmarks.peers.measured`), and which columns it flagged."""

    import_s: float
    wall_s: float
    cpu_s: float
    work_cpu_s: float
    peak: float
    flagged: list[str]

    @property
    def found(self) -> list[str]:
        """The shifted columns that were flagged."""
        return [name for name in SHIFTS if name in self.flagged]

    @property
    def n_false(self) -> int:
        """How many columns without a shift were flagged."""
        return len(set(self.flagged) - set(SHIFTS))


def measure(python: Path, script: str, reference: Path, current: Path) -> Outcome | str:
    """Run a tool's script in a process of its own; return what it took, or why it has no figures."""
    command = [str(python), str(_SCRIPTS / f"{script}.py"), str(reference), str(current)]
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=_WITHIN_S)
    except subprocess.TimeoutExpired:
        return f"did not end within {_WITHIN_S} s"
    if done.returncode != 0:
        return f"failed: {last_line(done.stderr)}"
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def store_reference(reference: Path, folder: Path) -> Path:
    """Store the reference's bins and profile, in a process of its own; return the folder."""
    code = "import sys; from pathlib import Path; import ratoon_stored; ratoon_stored.store(*map(Path, sys.argv[1:]))"
    command = [sys.executable, "-c", code, str(reference), str(folder)]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(_SCRIPTS)}, check=True)
    return folder


def run(
    n_rows: int = 1_000_000, repeats: int = 5, peers: Sequence[str] = tuple(PEERS), peer_repeats: int = 1
) -> Benchmark:
    """Measure everything and return the benchmark."""
    begin = Begin()
    taken: dict[str, list[Outcome]] = {}
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference, current = write_files(folder, n_rows)
        size, own = current.stat().st_size, Path(sys.executable)
        stored = store_reference(reference, folder / "stored")
        kept = sum(file.stat().st_size for file in stored.iterdir())
        for _ in range(repeats):
            for script in (READ, SCAN, STORED, RAW):
                outcome = measure(own, script, stored if script == STORED else reference, current)
                if isinstance(outcome, str):
                    raise SystemExit(f"{NAMES[script]} {outcome}")
                taken.setdefault(script, []).append(outcome)
        for peer in peers:
            script, built = PEERS[peer][0], environment(peer)
            for _ in range(peer_repeats):
                outcome = built.reason if built.python is None else measure(built.python, script, reference, current)
                if isinstance(outcome, str):
                    missing[script] = outcome
                    break
                taken.setdefault(script, []).append(outcome)
    return Benchmark(
        title="A drift report beside its peers",
        method=(
            f"Two Parquet files of {n_rows:,} rows x {N_NUMBERS + N_CATEGORIES} columns ({N_NUMBERS} float64, {N_CATEGORIES} categories, "
            f"{mib(size)} each) with seven known shifts: "
            + ", ".join(f"{column} {what}" for column, what in SHIFTS.items())
            + f". Every tool runs in a fresh process on its defaults. Wall time is loading and running, without imports; CPU is the "
            f"whole process with its imports, and in brackets without. The stored reference is {kept / 1024:,.0f} KiB of bins and "
            "counts. n00's shift lies below Ratoon's smallest effect on purpose."
        ),
        command=f"python -m tests.benchmarks.bench_drift_peers {n_rows}",
        figures=figures(taken, missing, peers),
        notes=[table(taken, missing)],
        load=begin.load,
        started=begin.at,
    )


def figures(taken: dict[str, list[Outcome]], missing: dict[str, str], peers: Sequence[str]) -> list[Figure]:
    """Return the rows of what the report must show."""
    ours, read, scan = taken[STORED], taken[READ], taken[SCAN]
    above = [float(a.peak - b.peak) for a, b in zip(ours, scan, strict=True)]
    rows = [
        medians(
            "report with a stored reference: wall (at most 1.5 x)",
            [one.wall_s for one in ours],
            seconds,
            peer=f"{NAMES[READ]}: {statistics.median(one.wall_s for one in read):.2f} s",
            ratios=[a.wall_s / b.wall_s for a, b in zip(ours, read, strict=True)],
        ),
        medians(
            "the same: peak memory above the stream's (at most 50 MB)",
            above,
            mib,
            peer=f"{NAMES[SCAN]}: {mib(statistics.median(one.peak for one in scan))}",
        ),
        medians("report from two raw files: wall", [one.wall_s for one in taken[RAW]], seconds),
    ]
    cpu = statistics.median(one.cpu_s for one in ours)
    for peer in peers:
        script, name, least = PEERS[peer]
        what = f"CPU of {name}, over ours (at least {least} x)"
        if script in missing:
            rows.append(Figure(what=what, figure=missing[script], repeats=0))
            continue
        spent = [one.cpu_s for one in taken[script]]
        rows.append(medians(what, spent, seconds, peer=f"Ratoon: {cpu:.2f} s", ratios=[one / cpu for one in spent]))
    return rows


def table(taken: dict[str, list[Outcome]], missing: dict[str, str]) -> str:
    """Return all tools side by side."""
    base = statistics.median(one.cpu_s for one in taken[STORED])
    work = statistics.median(one.work_cpu_s for one in taken[STORED])
    lines = [
        f"| Tool | Load + run | CPU (without imports) | CPU over ours | Peak | Found of {len(SHIFTS)} | Missed | False flags of {N_NUMBERS + N_CATEGORIES - len(SHIFTS)} |",
        "|---|---:|---:|---:|---:|---:|---|---:|",
    ]
    for script, outcomes in taken.items():
        wall, cpu, bare, peak = (
            statistics.median(getattr(one, field) for one in outcomes)
            for field in ("wall_s", "cpu_s", "work_cpu_s", "peak")
        )
        seen = outcomes[-1]
        missed = ", ".join(name for name in SHIFTS if name not in seen.flagged) or "-"
        verdict = "- | - | -" if script in (READ, SCAN) else f"{len(seen.found)} | {missed} | {seen.n_false}"
        lines.append(
            f"| {NAMES[script]} | {wall:.2f} s | {cpu:.2f} s ({bare:.2f}) | {cpu / base:.1f} ({bare / work:.1f}) | {mib(peak)} | {verdict} |"
        )
    lines += [f"| {NAMES[script]} | {reason} | - | - | - | - | - | - |" for script, reason in missing.items()]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Run with the rows and the peers of the command line, and print what came out."""
    n_rows = int(arguments[0]) if arguments else 1_000_000
    done = run(n_rows, 5 if n_rows >= 1_000_000 else 3, arguments[1:] or tuple(PEERS))
    for row in done.figures:
        print(f"{row.what}: {row.figure} ({row.spread}), {row.peer}, ratio {row.ratio}")
    print("\n".join(done.notes))
    print(f"load at start {done.load:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
