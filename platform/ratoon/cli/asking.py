"""Commands that only ask: status, why, lineage, quarantine."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ratoon.cli.failure import OK
from ratoon.cli.options import DEFAULTS, Options
from ratoon.cli.output import answer
from ratoon.cli.session import open_ratoon

if TYPE_CHECKING:
    from ratoon.bootstrap import Ratoon
    from ratoon.declarations import DatasetSpec
    from ratoon.ledger.records import Performance

_NEWEST = 100
"""Cohorts that a status looks at; a report shows all."""


def status(*, options: Options = DEFAULTS) -> int:
    """Show models, datasets and the stack."""
    from ratoon.cli.stack_state import stack_state
    from ratoon.cli.views.status import status_blocks

    ratoon = open_ratoon(options)
    state = stack_state(ratoon.settings.home, ratoon.settings.webserver_port)
    found = ratoon.ledger.status()
    performance = {item.model: _performance(ratoon, item.model) for item in found.models}
    alerts = ratoon.ledger.alerts()
    record = {
        "stack": state,
        "unsent": found.unsent,
        "problems": [problem.to_record() for problem in ratoon.problems],
        "models": found.models,
        "datasets": found.datasets,
        "performance": performance,
        "alerts": alerts,
    }
    blocks = status_blocks(
        found,
        performance,
        state.words,
        datetime.now(UTC),
        n_problems=len(ratoon.problems),
        alerts=alerts,
    )
    answer(record, blocks, as_json=options.json)
    return OK


def why(model: str, *, limit: int = 3, options: Options = DEFAULTS) -> int:
    """Say why a model was retrained, or why not.

    Every trigger with what was measured against its threshold, every guard with when it lifts, the digests of
    the evidence, and what came of the retrain.

    Args:
        model: The model.
        limit: Number of decisions, the newest first.
        options: How to answer, and about which project.
    """
    from ratoon.cli.views.why import why_blocks

    ledger = open_ratoon(options).ledger
    ledger.model(model)
    entries = ledger.why(model, limit)
    answer({"model": model, "decisions": entries}, why_blocks(model, entries), as_json=options.json)
    return OK


def lineage(model: str, *, version: int | None = None, options: Options = DEFAULTS) -> int:
    """Show what stands behind a model's version, from files to predictions.

    Args:
        model: The model.
        version: The version; otherwise the champion.
        options: How to answer, and about which project.
    """
    from ratoon.cli.views.lineage import lineage_blocks

    found = open_ratoon(options).ledger.lineage(model, version)
    answer(found, lineage_blocks(found), as_json=options.json)
    return OK


def quarantine(dataset: str, *, limit: int = 20, replay: bool = False, options: Options = DEFAULTS) -> int:
    """Show the rows that broke a dataset's contract, and why. Personal data is masked.

    Args:
        dataset: The dataset.
        limit: Number of rows, the newest first; the counts are always of all rows.
        replay: Validate the rows again under the present contract, and take those that now hold.
        options: How to answer, and about which project.
    """
    ratoon = open_ratoon(options)
    spec = ratoon.dataset(dataset)
    return _replay(ratoon, dataset, options) if replay else _show(ratoon, spec, limit, options)


def _performance(ratoon: "Ratoon", model: str) -> list["Performance"]:
    """Return a model's cohorts in the metric of its gate; in every metric where the model is no longer declared."""
    spec = ratoon.project.models.get(model)
    return [
        cohort
        for cohort in ratoon.ledger.performance(model, limit=_NEWEST)
        if spec is None or cohort.metric == spec.gate.metric
    ]


def _replay(ratoon: "Ratoon", dataset: str, options: Options) -> int:
    from ratoon.loop import replay_quarantine

    report = replay_quarantine(ratoon, dataset)
    line = (
        f"{report.rows_kept:,} rows hold now; they are batch {report.batch_id}"
        if report
        else "no row of the quarantine holds under the present contract"
    )
    answer({"dataset": dataset, "batch": report}, [f"{dataset}: {line}"], as_json=options.json)
    return OK


def _show(ratoon: "Ratoon", spec: "DatasetSpec", limit: int, options: Options) -> int:
    from ratoon.cli.views.quarantine import masked, quarantine_blocks, quarantined_rows

    counts, newest = quarantined_rows(ratoon.lake.scan_quarantine(spec.name), limit)
    hidden = {name for name, column in spec.contract.columns.items() if column.pii}
    rows: list[dict[str, Any]] = [{**row, "row": masked(json.loads(row["row"]), hidden)} for row in newest]
    answer(
        {"dataset": spec.name, "reasons": counts, "rows": rows},
        quarantine_blocks(spec.name, counts, rows),
        as_json=options.json,
    )
    return OK
