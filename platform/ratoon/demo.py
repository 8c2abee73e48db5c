"""The year 2013 of New York's flights, through the whole loop, and what came of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ratoon.bootstrap import Ratoon, build
from ratoon.errors import StackError
from ratoon.ledger.records import DecisionRow, EvaluationRecord, Retrain
from ratoon.replay import Feeder
from ratoon.replay import Progress as Step
from ratoon.settings import Settings
from ratoon.stack.supervisor import Stack

DATASET, MODEL = "flights", "late_arrivals"

_POLL_S = 0.5
_LINE_EVERY_S = 10


def run(settings: Settings, *, exit_when_done: bool, as_json: bool = False) -> int:
    """Start the stack, let the year arrive, print the summary, and keep the UI open until Ctrl-C.

    Args:
        settings: Those of the flights project.
        exit_when_done: Stop once the summary is printed.
        as_json: Print the summary as one line of JSON, and everything else to the error stream.

    Returns:
        The exit code: 0 when the whole year went through and the ledger's invariants hold, 130 when it was
        interrupted before that.
    """
    console = Console(highlight=False, stderr=as_json)
    finished = False
    stack = Stack(settings, say=lambda line: console.print(f"  {line}"))
    console.print("[bold]Ratoon[/bold] starts the embedded stack ...")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with stack:
            started = time.monotonic()
            app = build(settings)
            url = f"http://127.0.0.1:{settings.webserver_port}"
            console.print(f"Dagster shows the graph and the runs: [bold]{url}[/bold]")
            _let_the_year_arrive(app, stack, console)
            results = _compare(settings, stack, console)
            summary = summarize(app, results, seconds=time.monotonic() - started)
            finished = True
            if as_json:
                sys.stdout.write(json.dumps(summary, ensure_ascii=False) + "\n")
                sys.stdout.flush()
            else:
                print_summary(summary, console)
            if not exit_when_done:
                console.print(
                    f"\nThe UI stays open at [bold]{url}[/bold]; Ctrl-C stops everything. The next demo goes on from here."
                )
                _watch(stack)
            return 1 if summary["broken_invariants"] else 0
    except KeyboardInterrupt:
        return 0 if finished else 130


def _let_the_year_arrive(app: Ratoon, stack: Stack, console: Console) -> None:
    history = app.settings.home / "history"
    if not (history / "complete").exists():
        console.print("Writing the year as the weekly files that would have landed ...")
        _write_history(app.settings.project, history)
    told: set[str] = {retrain.retrain_id for retrain in _retrains_of(app)}
    with _bar(console, "the year 2013") as tell:

        def show(step: Step) -> None:
            tell(step.delivered, step.total, _note(step))
            for retrain in _retrains_of(app):
                if retrain.finished_at is not None and retrain.retrain_id not in told:
                    told.add(retrain.retrain_id)
                    row = next(
                        row for row in app.ledger.decisions(MODEL, limit=100) if row.retrain_id == retrain.retrain_id
                    )
                    console.print("  " + "  ".join(_retrain_row(app, row, retrain).values()), soft_wrap=True)

        Feeder(app, history, tend=stack.poll, tell=show).run()


def _retrains_of(app: Ratoon) -> list[Retrain]:
    """Return the model's retrains, oldest first."""
    return sorted(app.ledger.retrains(MODEL, limit=10_000), key=lambda retrain: retrain.seq)


def _write_history(project: Path, history: Path) -> None:
    """Write the files in a process of its own: the supervisor must not load polars."""
    code = "import sys; from pathlib import Path; from flights.history import write_history; write_history(Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(history)], cwd=project, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackError(
            f"the demo's data could not be written to {history}: {done.stderr[-500:]}; install it with: pip install 'ratoon[demo]'"
        )
    (history / "complete").touch()


def _note(step: Step) -> str:
    day = datetime.fromtimestamp(step.as_of, UTC).strftime("%d %b") if step.as_of else ""
    return f"{day}  {step.note}".strip()


def _compare(settings: Settings, stack: Stack, console: Console) -> list[dict[str, Any]]:
    """Run the comparison in a process of its own while the stack is watched."""
    command = [sys.executable, "-m", "ratoon.comparison", str(settings.project), MODEL]
    results: list[dict[str, Any]] = []
    env = settings.to_env()
    with _bar(console, "the year without Ratoon") as tell, _spawn(command, env) as process:
        try:
            for text in process.stdout or ():
                line = json.loads(text)
                results = line.get("results", results)
                if "done" in line:
                    tell(line["done"], line["of"], "retrained on every batch")
                stack.poll()
        except BaseException:
            process.kill()  # or leaving would wait for its end
            raise
    if process.returncode:
        raise StackError(
            f"the comparison with the simpler strategies failed (exit code {process.returncode}); run it by hand: {' '.join(command)}"
        )
    return results


def _spawn(command: Sequence[str], env: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **env, "OMP_WAIT_POLICY": "PASSIVE"}
    )


@contextmanager
def _bar(console: Console, title: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show progress: a bar on a terminal, a line every ten seconds elsewhere."""
    if not console.is_terminal:
        said = [0.0]

        def say(done: int, of: int, note: str) -> None:
            if done == of or time.monotonic() - said[0] > _LINE_EVERY_S:
                said[0] = time.monotonic()
                console.print(f"  {title}  {done}/{of}  {note}")

        yield say
        return
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(30),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as progress:
        task = progress.add_task(title, total=None, note="")
        yield lambda done, of, note: progress.update(task, total=of, completed=done, note=note)


def _watch(stack: Stack) -> None:
    while True:
        stack.poll()
        time.sleep(_POLL_S)


def summarize(app: Ratoon, results: Sequence[dict[str, Any]], *, seconds: float) -> dict[str, Any]:
    """Return what arrived, what was decided and why, and how the model did beside three simpler strategies, as JSON.

    Args:
        app: The application.
        results: From :mod:`ratoon.comparison`.
        seconds: How long it took, without the set-up.
    """
    batches = app.ledger.batches(DATASET)
    decisions = app.ledger.decisions(MODEL, limit=10_000)
    by_id = {retrain.retrain_id: retrain for retrain in _retrains_of(app)}
    started = [row for row in reversed(decisions) if row.retrain_id is not None]
    return {
        "batches": dict(Counter(batch.role for batch in batches)),
        "rows_kept": {role: sum(b.rows_kept or 0 for b in batches if b.role == role) for role in ("rows", "labels")},
        "rows_quarantined": sum(batch.rows_quarantined or 0 for batch in batches),
        "decisions": dict(Counter(row.outcome for row in decisions)),
        "waits": dict(Counter(_waited_for(row) for row in decisions if row.outcome == "wait")),
        "triggers": dict(Counter(cause_of(row) for row in started)),
        "outcomes": dict(Counter(str(retrain.state).lower() for retrain in by_id.values())),
        "retrains": [_retrain_row(app, row, by_id[row.retrain_id]) for row in started if row.retrain_id],
        "strategies": list(results),
        "broken_invariants": [str(violation) for violation in app.ledger.check_invariants()],
        "seconds": round(seconds),
    }


def cause_of(row: DecisionRow) -> str:
    """Return the triggers that fired for a decision, for example ``drift+performance``."""
    return "+".join(trigger.kind for trigger in row.decision.triggers if trigger.fired) or "none"


def _waited_for(row: DecisionRow) -> str:
    """Return what a decision to wait waited for: a trigger, or the guards that held one back."""
    held = [guard.kind for guard in row.decision.guards if not guard.passed]
    return "+".join(held) if cause_of(row) != "none" else "no trigger fired"


def _retrain_row(app: Ratoon, row: DecisionRow, retrain: Retrain) -> dict[str, str]:
    evaluation = app.ledger.evaluation(retrain.retrain_id)
    return {
        "as_of": f"{row.as_of:%Y-%m-%d}",
        "triggers": cause_of(row),
        "outcome": str(retrain.state).lower(),
        "why": row.reason if evaluation is None else _judged(evaluation),
    }


def _judged(evaluation: EvaluationRecord) -> str:
    """Return the sentence that decided: what the gate refused, or how the candidate did against the champion."""
    if evaluation.verdict == "reject":
        return evaluation.reasons[0]
    candidate, champion, low = (evaluation.metrics.get(name) for name in ("candidate", "champion", "gain_low"))
    if champion is None or low is None:
        return f"{candidate:.4f}, and no champion before it"
    return f"{candidate:.4f} against the champion's {champion:.4f}; the gain is at least {low:+.4f}, on {evaluation.n_rows:,} rows"


def print_summary(summary: dict[str, Any], console: Console) -> None:
    """Print a summary as three tables: the year in the ledger, its retrains, and the strategies side by side."""
    console.print(_facts(summary))
    console.print(_retrains(summary["retrains"]))
    console.print(_strategies(summary["strategies"]))
    for violation in summary["broken_invariants"]:
        console.print(f"[red]broken invariant[/red] {violation}")


def _facts(summary: dict[str, Any]) -> Table:
    table = Table(title="The year in the ledger", show_header=False)
    decisions, batches = summary["decisions"], summary["batches"]
    for name, value in (
        ("batches", f"{batches.get('rows', 0)} of flights, {batches.get('labels', 0)} of outcomes"),
        ("rows kept", f"{summary['rows_kept']['rows']:,} of flights, {summary['rows_kept']['labels']:,} of outcomes"),
        ("rows in quarantine", f"{summary['rows_quarantined']:,}"),
        ("decisions", f"{decisions.get('retrain', 0)} to retrain, {decisions.get('wait', 0)} to wait"),
        ("waited for", _counted(summary["waits"])),
        ("retrained by", _counted(summary["triggers"])),
        ("candidates", _counted(summary["outcomes"])),
        ("took", f"{summary['seconds']} s"),
    ):
        table.add_row(name, value)
    return table


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items(), key=lambda pair: -pair[1]))


def _retrains(rows: Sequence[dict[str, str]]) -> Table:
    table = Table(title="Retrains")
    for name in ("as of", "triggers", "outcome", "why"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(row["as_of"], row["triggers"], row["outcome"], row["why"])
    return table


def _strategies(results: Sequence[dict[str, Any]]) -> Table:
    n_rows = results[0]["n_rows"] if results else 0
    metric = results[0]["metric"] if results else ""
    table = Table(title=f"Matured performance over the year ({n_rows:,} rows, the same for all)")
    table.add_column("strategy")
    for name in ("trainings", f"{metric}, all rows", f"{metric}, mean of weeks"):
        table.add_column(name, justify="right")
    for result in results:
        table.add_row(result["name"], str(result["trainings"]), f"{result['overall']:.4f}", f"{result['by_batch']:.4f}")
    return table
