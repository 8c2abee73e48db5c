"""The command that writes a model's report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ratoon.cli.failure import OK
from ratoon.cli.options import DEFAULTS, Options
from ratoon.cli.output import answer
from ratoon.cli.session import open_ratoon

if TYPE_CHECKING:
    from ratoon.settings import Settings


def report(
    model: str,
    *,
    out: Path | None = None,
    open_: Annotated[bool, Parameter(name="--open")] = False,
    options: Options = DEFAULTS,
) -> int:
    """Write a model's monitoring report: one HTML page that needs no server and no network.

    Its timeline with every decision, its drift column by column, its performance as far as labels are known, and
    what to make of it.

    Args:
        model: The model.
        out: Where to write it; otherwise reports/MODEL.html in the project's home.
        open_: Show it in the browser.
        options: How to answer, and about which project.
    """
    from ratoon.loop.modelreport import gather_report
    from ratoon.report import render
    from ratoon.report.verdict import summarize

    ratoon = open_ratoon(options)
    data = gather_report(ratoon, model)
    page = render(data).encode()
    file = out.resolve() if out is not None else _place(ratoon.settings, model)
    _write(file, page)
    summary = summarize(data)
    record = {
        "model": model,
        "file": file,
        "bytes": len(page),
        "as_of": data.as_of,
        "level": summary.level,
        "headline": summary.headline,
        "detail": summary.detail,
    }
    answer(
        record, [f"{model}: {summary.headline}", f"report: {file} ({len(page) / 1000:,.0f} kB)"], as_json=options.json
    )
    if open_:
        _show(file)
    return OK


def _place(settings: "Settings", model: str) -> Path:
    return settings.home / "reports" / f"{model}.html"


def _write(file: Path, page: bytes) -> None:
    """Write a page whole or not at all: a browser may have the earlier one open."""
    from ratoon.errors import ConfigError

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        made = file.with_name(f".{file.name}.tmp")
        made.write_bytes(page)
        made.replace(file)
    except OSError as exc:
        raise ConfigError(
            f"the report can't be written to {file}: {exc.strerror or exc}; name another place with --out"
        ) from exc


def _show(file: Path) -> None:
    import webbrowser

    webbrowser.open(file.as_uri())
