"""From a landed file to the promoted champion on a real stack, against a script that does the same work.

Run ``python -m tests.benchmarks.bench_event_to_champion``. The weeks before are delivered first; then the labels of
one more week land, which trigger a retrain. The time runs from the moment the file has its name until the ledger
has promoted the candidate. Beside each, a bare script reads the same table versions in a process of its own.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Begin, Benchmark, Figure, medians, seconds
from tests.benchmarks.flights_stack import DATASET, MODEL, Page, clean_environment, copy_project, free_port, write_weeks

from ratoon.bootstrap import Ratoon, build
from ratoon.identity import derive_id, digest_file
from ratoon.ledger.records import Retrain, Version
from ratoon.ledger.states import RetrainState
from ratoon.replay import Feeder
from ratoon.settings import load_settings
from ratoon.stack.supervisor import Stack

_WITHIN_S = 180
_LABELS = "flight_outcomes"
_GATE = {"metric": "auc", "margin": 0.4, "min_rows": 100, "must_beat_baseline": False}
# The weeks before come with one file of labels and make one champion; then each week's labels are enough.
_POLICY = {
    "triggers": [{"kind": "new_rows", "rows": 1_000}],
    "guards": {"cooldown": "0s", "min_labelled_rows": 1_000},
}

STAGES = {
    "asked": "file landed -> sensor has asked Dagster for a run",
    "launched": "-> off Dagster's queue, launched",
    "started": "-> run started (its process is up)",
    "taken": "-> batch claimed (the run's first steps)",
    "ingested": "-> batch ingested and its event recorded",
    "decided": "-> decided (labels joined, performance, drift, policy)",
    "claimed": "-> claimed by the training worker",
    "trained": "-> trained (read, features, three fits, artifact)",
    "judging": "-> claimed by the evaluation worker",
    "judged": "-> evaluated (champion, candidate, baseline, bootstrap)",
    "promoted": "-> promoted",
}
SHOWN = "promoted -> shown in Dagster (not in the sum)"


@dataclass(frozen=True, slots=True)
class Pass:
    """One way from landing to champion: seconds by stage, the bare script's, and the work that both did."""

    stages: dict[str, float]
    shown: float
    bare: float
    bare_parts: dict[str, float]
    n_rows: int
    rounds: int

    @property
    def ratoon(self) -> float:
        """Seconds from landing to promotion."""
        return sum(self.stages.values())


class Bench:
    """A stack on the flights, and the history that it is given piece by piece."""

    def __init__(self, folder: Path, history: Path, app: Ratoon, stack: Stack) -> None:
        self._folder, self._history, self._app, self._stack = folder, history, app, stack
        self._page = Page(app.settings.webserver_port)
        self._given = folder / "given"

    def deliver(self, weeks: range) -> None:
        """Let the flights and outcomes of some weeks arrive, and wait until everything rests."""
        for name in (DATASET, _LABELS):
            for week in weeks:
                file = self._history / name / _stem(week)
                if file.exists():
                    (self._given / name).mkdir(parents=True, exist_ok=True)
                    shutil.copy2(file, self._given / name / file.name)
        Feeder(self._app, self._given, tend=self._stack.poll).run(backlog=1_000)
        self._rest()

    def land(self, week: int) -> Pass:
        """Let a week's labels land and take the time of what follows; then of the bare script."""
        file, champion = self._history / _LABELS / _stem(week), self._app.ledger.champion(MODEL)
        if champion is None:
            raise SystemExit("there is no champion yet: the weeks before must have made one")
        known = {retrain.retrain_id for retrain in self._app.ledger.retrains(MODEL)}
        place = self._app.settings.inbox / _LABELS
        shutil.copy2(file, place / ".landing.part")
        landed = time.time()
        (place / ".landing.part").rename(place / file.name)
        retrain: Retrain = self._eventually(lambda: self._ended(known), f"the retrain of week {week}")
        if retrain.state != RetrainState.PROMOTED:
            raise SystemExit(f"week {week}: {retrain.state}, {retrain.error}; nothing was promoted")
        stages, shown = self._way(landed, file, retrain)
        self._rest()
        bare, answer = self._run_bare(retrain, champion)
        return Pass(stages, shown, bare, answer["seconds"], answer["n_rows"], answer["rounds"])

    def _way(self, landed: float, file: Path, retrain: Retrain) -> tuple[dict[str, float], float]:
        batch = self._app.ledger.batch(derive_id("batch", DATASET, "labels", digest_file(file)))
        assert batch is not None
        assert batch.finished_at is not None
        assert retrain.finished_at is not None
        assert retrain.reported_at is not None
        run = self._page.run_of_dataset(taking_at=batch.claimed_at.timestamp())
        trail = sorted(self._app.ledger.audit_trail(retrain.retrain_id), key=lambda entry: entry.seq)
        claims = {e.detail["stage"]: e.recorded_at.timestamp() for e in trail if "stage" in e.detail}
        said = {e.action: e.recorded_at.timestamp() for e in trail if "stage" not in e.detail}
        marks = [
            landed,
            *run,
            batch.claimed_at.timestamp(),
            batch.finished_at.timestamp(),
            retrain.requested_at.timestamp(),
            claims["train"],
            said["retrain.TRAINED"],
            claims["evaluate"],
            said["retrain.EVALUATED"],
            retrain.finished_at.timestamp(),
        ]
        steps = [after - before for before, after in pairwise(marks)]
        return dict(zip(STAGES, steps, strict=True)), retrain.reported_at.timestamp() - marks[-1]

    def _run_bare(self, retrain: Retrain, champion: Version) -> tuple[float, dict[str, Any]]:
        config = self._folder / "bare.json"
        config.write_text(json.dumps(self._bare_config(retrain, champion)))
        threads = str(self._app.settings.threads)
        env = clean_environment() | {
            "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads,
        }  # fmt: skip
        command = [sys.executable, str(Path(__file__).with_name("bare_retrain.py")), str(config)]
        start = time.perf_counter()
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
        taken = time.perf_counter() - start
        answer: dict[str, Any] = json.loads(done.stdout)
        self._check_same_work(retrain, answer)
        return taken, answer

    def _bare_config(self, retrain: Retrain, champion: Version) -> dict[str, Any]:
        app, order = self._app, retrain.order
        artifact = app.ledger.artifact(retrain.retrain_id)
        assert artifact is not None
        assert champion.data_until is not None
        model = self._folder / "champion.ubj"
        model.write_bytes(app.artifacts.get(champion.refs["model"]))
        manifest = json.loads(app.artifacts.get(champion.artifact_digest))
        training = app.model(MODEL).training
        return {
            "project": str(app.settings.project),
            "rows": f"{app.settings.lake_url}/rows/{DATASET}",
            "labels": f"{app.settings.lake_url}/labels/{DATASET}",
            "rows_version": order["rows_version"],
            "labels_version": order["labels_version"],
            "as_of": order["as_of"],
            "params": artifact.params,
            "rounds": training.rounds,
            "patience": training.early_stopping_rounds,
            "validation": training.validation,
            "holdout_s": training.holdout.total_seconds(),
            "model": str(self._folder / "bare.ubj"),
            "champion": {
                "model": str(model),
                "columns": {c["name"]: c["domain"] for c in manifest["features"]["model"]["columns"]},
                "data_until": champion.data_until.isoformat(),
            },
        }

    def _check_same_work(self, retrain: Retrain, answer: dict[str, Any]) -> None:
        """Refuse to compare with a script that did something else."""
        evaluation = self._app.ledger.evaluation(retrain.retrain_id)
        assert evaluation is not None
        theirs = {name: evaluation.metrics[name] for name in ("candidate", "champion")}
        if any(abs(theirs[name] - answer["scores"][name]) > 1e-6 for name in theirs):
            raise SystemExit(f"the bare script found {answer['scores']}, Ratoon {theirs}: not the same work")

    def _ended(self, known: set[str]) -> Retrain | None:
        fresh = [one for one in self._app.ledger.retrains(MODEL) if one.retrain_id not in known]
        return next((one for one in fresh if one.finished_at and one.reported_at), None)

    def _rest(self) -> None:
        """Wait until Dagster has no run either, so that the next one finds everything idle."""
        self._eventually(self._page.is_idle, "the end of all runs")

    def _eventually(self, look: Callable[[], Any], what: str) -> Any:
        until = time.monotonic() + _WITHIN_S
        while not (found := look()):
            if time.monotonic() > until:
                seen = [(str(one.state), one.error) for one in self._app.ledger.retrains(MODEL)]
                decided = [one.reason for one in self._app.ledger.decisions(MODEL, limit=3)]
                raise SystemExit(
                    f"{what} did not come within {_WITHIN_S} s; retrains: {seen}; last decisions: {decided}"
                )
            self._stack.poll()
            time.sleep(0.2)
        return found


def run(weeks: int = 16, repeats: int = 3) -> Benchmark:
    """Start a stack, deliver ``weeks`` weeks, the labels of the last ones one by one, and return the benchmark."""
    begin = Begin()
    for name in [name for name in os.environ if name.startswith(("RATOON_", "DAGSTER_"))]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as name:
        folder, first = Path(name), weeks - repeats
        write_weeks(folder / "history", weeks, joined=first)
        project = copy_project(folder / "flights", gate=_GATE, policy=_POLICY)
        settings = load_settings(project, webserver_port=free_port())
        with Stack(settings) as stack:
            bench = Bench(folder, folder / "history", build(settings), stack)
            bench.deliver(range(1, first + 1))
            passes = []
            for week in range(first + 1, weeks + 1):
                passes.append(bench.land(week))
                if week < weeks:
                    bench.deliver(range(week, week + 1))
    return _as_benchmark(passes, begin)


def _as_benchmark(passes: list[Pass], begin: Begin) -> Benchmark:
    bare = [one.bare for one in passes]
    ratoon = [one.ratoon for one in passes]
    parts = [medians(text, [one.stages[stage] for one in passes], seconds) for stage, text in STAGES.items()]
    last = passes[-1]
    where = ", ".join(f"{name} {value:.2f} s" for name, value in last.bare_parts.items())
    return Benchmark(
        title="From an event to the promoted champion",
        method=(
            "A whole stack on a copy of the flights project (its training, `clock = event`; a policy and a gate that let each "
            "week's labels through). The way runs from the file's rename into the landing folder to the ledger's promotion. "
            "The bare script is a process of its own, from its start to its end: polars reads the same Delta versions, joins the "
            "labels and computes the same features, XGBoost fits the same three models (stopped early, again with the "
            "validation rows, and with the holdout) with the same parameters and threads, and it scores candidate and champion "
            "on the same holdout; both AUCs must equal Ratoon's to 1e-6, or the run fails. The idle stack runs beside it."
        ),
        command="python -m tests.benchmarks.bench_event_to_champion",
        figures=[
            medians(
                "**event to promoted champion**",
                ratoon,
                seconds,
                peer=f"bare script: {statistics.median(bare):.2f} s",
                ratios=[a / b for a, b in zip(ratoon, bare, strict=True)],
            ),
            medians("overhead over the bare script", [a - b for a, b in zip(ratoon, bare, strict=True)], seconds),
            medians("bare script, whole process", bare, seconds),
            *parts,
            medians(SHOWN, [one.shown for one in passes], seconds),
        ],
        notes=[
            (
                f"Rows trained on: {passes[0].n_rows:,} to {last.n_rows:,}; rounds of the refit: "
                f"{', '.join(str(one.rounds) for one in passes)}. The bare script's own parts (last repeat): {where}."
            )
        ],
        load=begin.load,
        started=begin.at,
    )


def _stem(week: int) -> str:
    return f"2013-w{week:02d}.parquet"


def show(figures: list[Figure], notes: list[str]) -> None:
    """Print the rows."""
    for row in figures:
        print(f"{row.what:<60} {row.figure:>12}  {row.peer}  {row.ratio}  ({row.spread})")
    print(*notes, sep="\n")


if __name__ == "__main__":
    measured = run(*(int(argument) for argument in sys.argv[1:3]))
    show(measured.figures, measured.notes)
