"""How the state of models, datasets and the stack reads."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ratoon.cli.output import Block, Heading, Table
from ratoon.cli.views.words import age, count, instant, number, pairs

if TYPE_CHECKING:
    from ratoon.ledger.answers import DatasetStatus, ModelStatus, Status
    from ratoon.ledger.records import Alert, Performance


def status_blocks(
    status: "Status",
    performance: Mapping[str, Sequence["Performance"]],
    stack: str,
    now: datetime,
    *,
    n_problems: int = 0,
    alerts: Sequence["Alert"] = (),
) -> Iterator[Block]:
    """Yield one line per model and dataset, and what is under way.

    Args:
        status: What the ledger says.
        performance: Cohorts of each model, oldest first.
        stack: The stack's state in words.
        now: The time that ages count up to.
        n_problems: Declarations that could not be loaded.
        alerts: The open ones, the worst first.
    """
    yield f"stack: {stack}" + (f"; {count(status.unsent, 'message')} for the broker" if status.unsent else "")
    if n_problems:
        yield f"declarations: {count(n_problems, 'problem')}; `ratoon check` shows each"
    if alerts:
        more = f" and {len(alerts) - 1} more" if len(alerts) > 1 else ""
        yield f"alerts: {count(len(alerts), 'alert')} open: {alerts[0].title}{more}; `ratoon alerts` shows each"
    yield Heading(text="Models")
    yield from _models(status.models, performance, now)
    yield Heading(text="Datasets")
    yield from _datasets(status.datasets)


def _models(
    models: Sequence["ModelStatus"], performance: Mapping[str, Sequence["Performance"]], now: datetime
) -> Iterator[Block]:
    if not models:
        yield "none in the ledger yet; a model appears with its first event"
        return
    columns = ["model", "champion", "promoted", "data until", "matured performance", "waiting events"]
    rows = [
        [
            item.model,
            f"version {item.champion_version}" if item.champion_version else "none",
            f"{age(item.promoted_at, now)} ago" if item.promoted_at else "-",
            instant(item.data_until),
            matured(performance.get(item.model, ())),
            number(item.pending_events),
        ]
        for item in models
    ]
    yield Table(columns=columns, rows=rows)
    for item in models:
        yield from _activity(item)


def _activity(item: "ModelStatus") -> Iterator[Block]:
    if item.last_decision is not None:
        last = item.last_decision
        yield f"{item.model}: decided {last.outcome} as of {instant(last.as_of)}: {last.reason}"
    if item.active_retrain is not None:
        retrain = item.active_retrain
        progress = f", {pairs(retrain.progress)}" if retrain.progress else ""
        attempt = f"attempt {retrain.attempt} of {retrain.max_attempts}"
        yield f"{item.model}: {retrain.retrain_id} is {retrain.state}, {attempt}{progress}"


def _datasets(datasets: Sequence["DatasetStatus"]) -> Iterator[Block]:
    if not datasets:
        yield "none in the ledger yet; a dataset appears with its first batch"
        return
    columns = ["dataset", "batches", "refused", "rows kept", "rows quarantined"]
    rows = [
        [d.dataset, number(d.n_batches), number(d.n_refused), number(d.rows_kept), number(d.rows_quarantined)]
        for d in datasets
    ]
    yield Table(columns=columns, rows=rows)


def matured(cohorts: Sequence["Performance"]) -> str:
    """Return the newest cohort's metric whose labels are known, with the rows that stand behind it."""
    known = [cohort for cohort in cohorts if cohort.value is not None]
    if not known:
        return "no labels yet"
    newest = max(known, key=lambda cohort: cohort.as_of)
    return f"{newest.metric} {number(newest.value)} on {number(newest.n_matured)} rows"
