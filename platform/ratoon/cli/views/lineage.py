"""How the chain behind a version reads, from its files to its predictions."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ratoon.cli.output import Block, Heading, Table
from ratoon.cli.views.words import count, instant, newest, number, pairs, short
from ratoon.instants import parse_instant

if TYPE_CHECKING:
    from ratoon.ledger.answers import Lineage
    from ratoon.ledger.records import Promotion

_MOST_ROWS = 20


def lineage_blocks(lineage: "Lineage") -> Iterator[Block]:
    """Yield files, data versions, code, event, decision, retrain, artifact, evaluation, promotions, predictions."""
    champion = ", the champion" if lineage.is_champion else ""
    yield f"{lineage.model} version {lineage.version}{champion}, trained on dataset {lineage.dataset}"
    yield from _files(lineage)
    for title, values in (("Data", lineage.data), ("Code", lineage.code), ("Parameters", lineage.params)):
        yield Heading(text=title)
        yield pairs(values)
    yield Heading(text="Why")
    yield f"event     {_event(lineage.event)}"
    yield f"decision  {_decision(lineage.decision)}"
    yield f"retrain   {lineage.retrain_id}"
    yield Heading(text="What came of it")
    yield f"artifact    {lineage.artifact_digest}"
    yield f"evaluation  {_evaluation(lineage.evaluation)}"
    yield from (f"promotion   {_promotion(promotion)}" for promotion in lineage.promotions)
    yield from _predictions(lineage)


def _files(lineage: "Lineage") -> Iterator[Block]:
    total = sum(batch.rows_kept for batch in lineage.batches)
    yield Heading(text=f"{count(len(lineage.batches), 'file')}, {count(total, 'row')}")
    if lineage.batches:
        rows = [
            [
                short(b.digest),
                b.role,
                number(b.rows_kept),
                str(b.lake_version),
                instant(b.as_of),
                PurePosixPath(b.source_uri).name,
            ]
            for b in lineage.batches[-_MOST_ROWS:]
        ]
        yield Table(columns=["sha256", "role", "rows", "lake version", "as of", "file"], rows=rows)
    yield from newest(_MOST_ROWS, len(lineage.batches))


def _predictions(lineage: "Lineage") -> Iterator[Block]:
    total = sum(scoring.n_rows for scoring in lineage.scorings)
    yield Heading(text=f"Predictions ({count(total, 'row')} of {count(len(lineage.scorings), 'file')})")
    if lineage.scorings:
        rows = [
            [s.batch_id, number(s.n_rows), str(s.lake_version), instant(s.as_of)]
            for s in lineage.scorings[-_MOST_ROWS:]
        ]
        yield Table(columns=["batch", "rows", "lake version", "as of"], rows=rows)
    yield from newest(_MOST_ROWS, len(lineage.scorings))


def _event(event: Mapping[str, Any]) -> str:
    fact = f"{event.get('kind', '-')} of {event.get('subject', '-')} as of {_moment(event.get('as_of'))}"
    return f"{event.get('event_id', '-')}  {fact}"


def _decision(decision: Mapping[str, Any]) -> str:
    outcome = (decision.get("decision") or {}).get("outcome", "-")
    return f"{decision.get('decision_id', '-')}  {outcome}: {decision.get('reason', '-')}"


def _evaluation(evaluation: Mapping[str, Any]) -> str:
    metrics = pairs(evaluation.get("metrics") or {})
    verdict = f"{evaluation.get('verdict', '-')} on {number(evaluation.get('n_rows'))} rows"
    return f"{verdict}: {metrics}; report {short(evaluation.get('report_digest'))}"


def _promotion(made: "Promotion") -> str:
    moment = f"revision {made.revision}: {made.kind} of version {made.version} at {instant(made.at)}"
    return f"{moment} by {made.actor}: {made.reason}"


def _moment(value: Any) -> str:
    return instant(parse_instant(value)) if isinstance(value, str) else instant(value)
