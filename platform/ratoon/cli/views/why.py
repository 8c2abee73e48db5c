"""How decisions are explained."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ratoon.cli.output import Block, Heading, Table
from ratoon.cli.views.words import instant, number, pairs, short, yes

if TYPE_CHECKING:
    from ratoon.ledger.answers import WhyEntry
    from ratoon.policy.values import Decision, GuardResult, TriggerResult


def why_blocks(model: str, entries: Sequence["WhyEntry"]) -> Iterator[Block]:
    """Yield the newest decisions of a model: what was measured, what held it back, and what came of it."""
    if not entries:
        yield f"{model}: nothing has been decided yet; batches, label files and `ratoon trigger` lead to decisions"
    for entry in entries:
        yield from _entry(entry)


def decision_tables(decision: "Decision") -> Iterator[Block]:
    """Yield every trigger with what was measured, and every guard with when it lifts."""
    yield Table(
        columns=["trigger", "value", "threshold", "in a row", "fired", "note"],
        rows=[_trigger(item) for item in decision.triggers],
    )
    yield Table(columns=["guard", "passed", "lifts at", "note"], rows=[_guard(item) for item in decision.guards])


def _entry(entry: "WhyEntry") -> Iterator[Block]:
    row = entry.decision
    yield Heading(text=f"{instant(row.as_of)}  {row.outcome}: {row.reason}")
    cause = f"{entry.event.kind} of {entry.event.subject} ({entry.event.event_id})"
    yield f"decision {row.number} ({row.decision_id}), caused by {cause}"
    yield from decision_tables(row.decision)
    digests = {
        key: value
        for key, value in {**row.signals.evidence, **row.evidence}.items()
        if isinstance(value, str | int | float)
    }
    if digests:
        yield f"evidence: {pairs(digests)}"
    yield from _outcome(entry)


def _outcome(entry: "WhyEntry") -> Iterator[Block]:
    retrain, evaluation, promotion = entry.retrain, entry.evaluation, entry.promotion
    if retrain is not None:
        yield f"retrain {retrain.retrain_id}: {retrain.state}, attempt {retrain.attempt} of {retrain.max_attempts}"
        if retrain.error:
            yield f"  error: {retrain.error.get('code', '')} {retrain.error.get('message', '')}"
    if evaluation is not None:
        report = short(evaluation.report_digest)
        yield f"gate: {evaluation.verdict}, on {number(evaluation.n_rows)} rows, report {report}"
        yield from (f"  {reason}" for reason in evaluation.reasons)
    if promotion is not None:
        before = promotion.previous_version or "none"
        yield f"champion: version {promotion.version} since {instant(promotion.at)}, before it {before}"


def _trigger(item: "TriggerResult") -> list[str]:
    threshold = f"{number(item.threshold)} {item.unit}".strip()
    return [
        item.key,
        number(item.value),
        threshold,
        f"{item.streak} of {item.confirm}" if item.confirm > 1 else "-",
        yes(item.fired),
        item.note,
    ]


def _guard(item: "GuardResult") -> list[str]:
    return [item.kind, yes(item.passed), instant(item.lifts_at), item.note]
