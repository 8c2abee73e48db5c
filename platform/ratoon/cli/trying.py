"""The command that tries a drift configuration on its own reference."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ratoon.cli.failure import OK
from ratoon.cli.options import DEFAULTS, Options
from ratoon.cli.output import Block, Table, answer
from ratoon.cli.session import open_ratoon

if TYPE_CHECKING:
    from ratoon.drift import SelfTest


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
