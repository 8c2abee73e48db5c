"""Change points in matured loss: false alarms and delay, beside river's detectors.

Run ``python -m tests.benchmarks.bench_changepoint [runs]``. River runs in an environment of its own
(:mod:`tests.benchmarks.peers.environments`) over the same errors, row by row.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tests.benchmarks.figures import Begin, Benchmark, Figure
from tests.benchmarks.flights_scores import static_scores
from tests.benchmarks.peers.environments import environment, last_line

from ratoon.performance import ChangeSettings, ChangeState, CohortLoss, judge_change, observe, restart

Errors = NDArray[np.int8]

WEEKS, CHANGE, ROWS = 52, 26, 300
OURS = "Ratoon, weekly cohorts"

_SCRIPT = Path(__file__).with_name("peers") / "river_detectors.py"
_BEFORE, _AFTER = 0.15, 0.25
_BLOCK = 4


def weather(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return weekly deviations like those of flights: autocorrelation 0.45, spread 0.03."""
    noise = rng.normal(size=WEEKS)
    for week in range(1, WEEKS):
        noise[week] = 0.45 * noise[week - 1] + np.sqrt(1 - 0.45**2) * noise[week]
    return np.asarray(0.03 * noise)


def level(kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the chance of an error in each week."""
    rate = np.full(WEEKS, _BEFORE)
    if kind.startswith("abrupt"):
        rate[CHANGE:] = _AFTER
    if kind.startswith("gradual"):
        rate[CHANGE:] = np.minimum(_AFTER, _BEFORE + (_AFTER - _BEFORE) * (np.arange(WEEKS - CHANGE) + 1) / 12)
    if kind.startswith("better"):
        rate[CHANGE:] = 0.08
    if kind.endswith("weather"):
        rate = np.clip(rate + weather(rng), 0.02, 0.9)
    return rate


def flights(rng: np.random.Generator, weeks: list[Errors]) -> Errors:
    """Return real weeks in blocks of four, drawn anew: real weather without any lasting change."""
    starts = rng.integers(0, len(weeks), size=WEEKS // _BLOCK)
    order = [(start + step) % len(weeks) for start in starts.tolist() for step in range(_BLOCK)]
    return np.stack([rng.choice(weeks[week], size=ROWS) for week in order])


def make_streams(runs: int) -> dict[str, Errors]:
    """Make every stream: (runs, weeks, rows) of 0/1 errors."""
    scored = static_scores().with_columns(wrong=((pl.col("score") >= 0.5) != (pl.col("label") == 1)).cast(pl.Int8))
    weeks = [
        week["wrong"].to_numpy() for week in scored.partition_by("week", maintain_order=True) if week.height > 1_000
    ]
    streams = {}
    for kind in ("stationary", "weather", "abrupt", "abrupt, weather", "gradual", "gradual, weather", "better"):
        made = []
        for seed in range(runs):
            rng = np.random.default_rng(seed)
            made.append(rng.random((WEEKS, ROWS)) < level(kind, rng)[:, None])
        streams[kind] = np.array(made, dtype=np.int8)
    streams["flights weeks"] = np.array([flights(np.random.default_rng(seed), weeks) for seed in range(runs)])
    return streams


def our_alarms(errors: Errors) -> list[int]:
    """Return the weeks in which Ratoon raises an alarm; it begins anew after each, as after a promotion."""
    state, settings, found = ChangeState(), ChangeSettings(), []
    for week, wrong in enumerate(errors):
        loss = CohortLoss(cohort=str(week), loss=float(wrong.mean()), n_rows=len(wrong), variance=float(wrong.var()))
        state = observe(state, loss)
        if judge_change(state, settings).alarm:
            found.append(week)
            state = restart(state)
    return found


def ask_river(streams: dict[str, Errors]) -> dict:  # type: ignore[type-arg]
    """Run river's detectors in their own environment."""
    found = environment("river")
    if found.python is None:
        raise SystemExit(f"river {found.reason}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "streams.npz"
        np.savez_compressed(path, **streams)  # type: ignore[arg-type]
        command = [str(found.python), str(_SCRIPT), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"river failed: {last_line(done.stderr)}")
    answer: dict = json.loads(done.stdout.splitlines()[-1])  # type: ignore[type-arg]
    return answer


def has_change(stream: str) -> bool:
    """Return whether a stream becomes worse in week 26."""
    return stream.startswith(("abrupt", "gradual"))


def shown(stream: str, alarms: list[list[int]]) -> str:
    """Return what a detector did on a stream, in short.

    Without a worsening: the runs with any alarm by week 21 (a quarter of looks) and by week 52. With one: the median
    of the weeks until the alarm, the runs that had it within 13 weeks, and those with an alarm before the change.
    """
    if not has_change(stream):
        quarter = np.mean([any(week < 8 + 13 for week in run) for run in alarms])
        return f"{quarter:.0%}, {np.mean([bool(run) for run in alarms]):.0%}"
    delays = [next((week for week in run if week >= CHANGE), WEEKS) - CHANGE + 1 for run in alarms]
    early = np.mean([any(week < CHANGE for week in run) for run in alarms])
    median = statistics.median(delays)
    weeks = "never" if median > WEEKS - CHANGE else f"{median:.0f} weeks"
    return f"{weeks}, {np.mean([delay <= 13 for delay in delays]):.0%}, {early:.0%}"


def own_row(stream: str, alarms: list[list[int]], adwin: list[list[int]]) -> Figure:
    """Return Ratoon's row about a stream, beside ADWIN over rows; the other detectors are in the notes."""
    budget = ChangeSettings().false_alarms
    asked = (
        "weeks until the alarm, found within 13 weeks, false alarm before"
        if has_change(stream)
        else "runs with a false alarm by week 21, by week 52"
    )
    limit = "" if has_change(stream) else f"stated: {budget:.0%}, {budget * (WEEKS - 8) / 13:.0%}; "
    return Figure(
        what=f"{stream}: {asked}",
        figure=shown(stream, alarms),
        peer=f"{limit}river's ADWIN over rows: {shown(stream, adwin)}",
        repeats=len(alarms),
    )


def whole_table(
    ours: dict[str, list[list[int]]], river: dict[str, dict[str, list[list[int]]]], cpu_ms: dict[str, float]
) -> str:
    """Return every detector on every stream as Markdown."""
    head = f"| Detector | {' | '.join(ours)} | CPU per week |\n|---|{'---:|' * (len(ours) + 1)}\n"
    detectors = [OURS, *next(iter(river.values()))]
    rows = (
        f"| {name} | {' | '.join(shown(stream, ours[stream] if name == OURS else river[stream][name]) for stream in ours)} "
        f"| {cpu_ms[name]:.2f} ms |"
        for name in detectors
    )
    return head + "\n".join(rows)


def run(runs: int = 40) -> Benchmark:
    """Measure all and return the benchmark."""
    begin, streams = Begin(), make_streams(runs)
    clock = time.process_time()
    ours = {name: [our_alarms(one) for one in errors] for name, errors in streams.items()}
    spent = time.process_time() - clock
    river = ask_river(streams)
    figures = [own_row(stream, ours[stream], river["alarms"][stream]["ADWIN, rows"]) for stream in streams]
    looks = runs * WEEKS * len(streams)
    cpu_ms = {name: seconds / looks * 1000 for name, seconds in {OURS: spent, **river["seconds"]}.items()}
    notes = [
        (
            "All detectors, in the same words: without a worsening the runs with a false alarm by week 21 and by week "
            "52; with one the weeks until the alarm (median), the runs that had it within 13 weeks, and those with a "
            "false alarm before it."
        ),
        whole_table(ours, river["alarms"], cpu_ms),
    ]
    return Benchmark(
        title="Change points in matured loss",
        method=(
            f"{runs} runs of {WEEKS} weeks x {ROWS} rows with a 0/1 error each. Chance of an error {_BEFORE}; from week "
            f"{CHANGE} on {_AFTER} (abrupt), or rising to it over 12 weeks (gradual), or 0.08 (better). Weather: weekly "
            "deviations of 0.03 with autocorrelation 0.45. Flights weeks: errors of a static model of real flights, "
            "weeks drawn anew in blocks of four. River's detectors with their defaults; alarms in weeks that are better "
            "than those before are forgiven to all."
        ),
        command=f"python -m tests.benchmarks.bench_changepoint {runs}",
        figures=figures,
        notes=notes,
        load=begin.load,
        started=begin.at,
    )


if __name__ == "__main__":
    done = run(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
    for line in done.figures:
        print(f"{line.what:95} {line.figure:>20}  {line.peer}")
    print(*done.notes, sep="\n")
