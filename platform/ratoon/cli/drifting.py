"""Commands about drift: what the newest report says, and what its settings would do on their own reference."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ratoon.cli.failure import OK
from ratoon.cli.options import DEFAULTS, Options
from ratoon.cli.output import Block, Table, answer
from ratoon.cli.session import open_ratoon

if TYPE_CHECKING:
    from ratoon.drift import ColumnDrift, DomainTest, DriftReport, SelfTest


def selftest(
    model: str,
    *,
    rows: int | None = None,
    repeats: int = 200,
    seed: int = 0,
    out: Path | None = None,
    options: Options = DEFAULTS,
) -> int:
    """Say how often a model's drift settings would cry wolf on its own reference, and which shifts they would see.

    Both sides of every report are drawn at random from the rows that the champion learned from: first without a
    change, then with changes of known size on one column at a time. The picture goes to a file of its own.

    Args:
        model: The model.
        rows: Rows of each side of a report; otherwise 5,000, or half of the reference.
        repeats: Reports without a change; a fifth as many per shift.
        seed: Of all draws.
        out: Where to write the picture (SVG); otherwise reports/MODEL-selftest.svg in the project's home.
        options: How to answer, and about which project.
    """
    from ratoon.loop.trials import self_test_model
    from ratoon.report import standalone
    from ratoon.report.trials import self_test_picture

    ratoon = open_ratoon(options)
    shown = None if options.json or not sys.stderr.isatty() else _counter()
    found = self_test_model(ratoon, model, n_rows=rows, repeats=repeats, seed=seed, progress=shown)
    file = out.resolve() if out is not None else ratoon.settings.home / "reports" / f"{model}-selftest.svg"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(standalone(self_test_picture(found)), encoding="utf-8")
    record = {"model": model, "sentence": found.sentence, **found.model_dump(mode="json"), "picture": file}
    answer(record, _blocks(model, found, file), as_json=options.json)
    return OK


def drift(model: str, *, domain: bool = False, seed: int = 0, options: Options = DEFAULTS) -> int:
    """Say how a model's newest batches differ from what its champion learned from.

    Args:
        model: The model.
        domain: Also let a classifier try to tell the windows' raw rows apart: it sees what no single column shows.
        seed: Of that classifier's draws.
        options: How to answer, and about which project.
    """
    from ratoon.drift import DriftReport

    ratoon = open_ratoon(options)
    ratoon.model(model)
    stored = ratoon.ledger.drift(model, limit=1)
    told = None
    if domain:
        from ratoon.loop.comparing import tell_apart

        told = tell_apart(ratoon, model, seed=seed)
    report = DriftReport.model_validate(stored[0].report) if stored else None
    record = {"model": model, "as_of": stored[0].as_of if stored else None, "report": report, "domain": told}
    answer(record, _drift_blocks(model, report, told), as_json=options.json)
    return OK


def _drift_blocks(model: str, report: "DriftReport | None", told: "DomainTest | None") -> Iterator[Block]:
    if report is None:
        yield f"{model}: no drift report yet; it needs a champion, and a batch that the champion has not learned from"
    else:
        yield f"{model}: {report.sentence}"
        yield f"{report.n_rows_current:,} rows against {report.n_rows_reference:,}"
        yield Table(
            columns=["column", "drifted", "score", "p", "severity", "importance", "what was seen"],
            rows=[_drift_row(column) for column in report.columns],
        )
    if told is not None:
        yield told.sentence


def _drift_row(column: "ColumnDrift") -> list[str]:
    score = "" if column.score is None else f"{column.score:.3f}"
    importance = "" if column.importance is None else f"{column.importance:.0%}"
    return [
        column.column,
        "yes" if column.flagged else "",
        score,
        f"{column.p_value:.2g}",
        f"{column.severity:.2f}",
        importance,
        column.sentence,
    ]


def _counter() -> Callable[[int, int], None]:
    def count(done: int, total: int) -> None:
        sys.stderr.write(f"\r{done:,} of {total:,} reports" + ("\n" if done == total else ""))
        sys.stderr.flush()

    return count


def _blocks(model: str, test: "SelfTest", file: Path) -> Iterator[Block]:
    yield f"{model}: {test.sentence}"
    yield Table(
        title="Shifts of one column",
        columns=["shift", "size", "seen", "reports"],
        rows=[[shift.kind, f"{shift.size:g}", f"{shift.power:.0%}", str(shift.n_reports)] for shift in test.shifts],
    )
    if test.blamed:
        yield Table(
            title="Columns of the false alarms",
            columns=["column", "reports"],
            rows=[[name, str(n)] for name, n in test.blamed.items()],
        )
    yield f"picture: {file}"
