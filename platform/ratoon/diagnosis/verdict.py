"""Broken data or a real shift: one batch's findings, best explanation first."""

from collections.abc import Mapping, Sequence
from typing import Final, get_args

import polars as pl

from ratoon.diagnosis.counted import Column, columns_of
from ratoon.diagnosis.delivery import Delivery, delivery_findings, finding, listed, percent, with_hours
from ratoon.diagnosis.measures import (
    Suspect,
    clipped,
    constant_columns,
    constant_finding,
    suspects,
    swapped_finding,
    swapped_measures,
    unit_findings,
)
from ratoon.diagnosis.missing import BURST, default_fill, fill_finding, missing_rise, null_burst, null_finding
from ratoon.diagnosis.rows import PARTIAL, Rows, partition_finding
from ratoon.diagnosis.texts import garbled, garbled_finding, swapped_texts
from ratoon.diagnosis.values import BatchFacts, Cause, Diagnosis, Finding, Verdict, most_careful
from ratoon.drift import DriftReport
from ratoon.profiles import Binning

_ORDER: Final[tuple[Cause, ...]] = get_args(Cause)


def diagnose(
    reference: pl.DataFrame | None,
    current: pl.DataFrame | None,
    *,
    binning: Binning,
    facts: BatchFacts,
    history: Sequence[BatchFacts] = (),
    past: Sequence[pl.DataFrame] = (),
    report: DriftReport | None = None,
    batch: pl.DataFrame | pl.LazyFrame | None = None,
    event_time: str | None = None,
) -> Diagnosis:
    """Judge whether the newest batch is broken, shifted or as usual.

    What is unusual is measured against the batches before, and against how much they vary from one to the next: a
    missing share that jumps around every week is no burst. A fault is named only where it explains what is seen much
    better than "the world changed" does.

    Args:
        reference: Profile that the batch is compared with; None where there is none yet.
        current: Profile of the rows that arrived. Merge the profile of the kept rows with that of the quarantined
            ones (:func:`ratoon.diagnosis.restore_rows`), or a mistake that breaks a range leaves nothing to look at.
            None where the batch was refused as a whole.
        binning: The bins of all profiles here.
        facts: What is known of the batch beside its profile.
        history: Facts of the batches before, oldest first; about 30 are enough. Leave out those that were held.
        past: Profiles of the batches before, oldest first; of one binning.
        report: The drift report of the batch, if there is one.
        batch: The rows that arrived, typed, quarantined ones and all. A lazy frame is read only where counts leave a
            question; without rows, faults of one part of them stay unnamed.
        event_time: The column with the event time.

    Returns:
        The diagnosis; the same input gives the same one.
    """
    if current is None or reference is None:
        return _concluded(facts, list(delivery_findings(Delivery(facts=facts, history=history, times=None))))
    columns = columns_of(binning.columns, current, past, reference)
    times = with_hours(columns, event_time)
    found = list(delivery_findings(Delivery(facts=facts, history=history, times=times)))
    if any(one.cause == "duplicated_batch" for one in found):
        return _concluded(facts, [one for one in found if one.cause == "duplicated_batch"])
    unreadable = {name for one in found if one.cause == "schema_change" for name in one.columns}
    judged = {name: one for name, one in columns.items() if one.binning.kind != "key" and name not in unreadable}
    found += _column_findings(judged, facts, Rows(batch), report)
    if not found:
        found += _unexplained(facts, history, judged)
    return _concluded(facts, found)


def _column_findings(
    columns: Mapping[str, Column], facts: BatchFacts, rows: Rows, report: DriftReport | None
) -> list[Finding]:
    """Return the findings of single columns; a column that one finding explains is not looked at again."""
    found: list[Finding] = []

    def left() -> dict[str, Column]:
        explained = {name for one in found for name in one.columns}
        return {name: column for name, column in columns.items() if name not in explained}

    suspected, constant = suspects(left(), rows.values), constant_columns(left())
    fills = [default_fill(column, facts, rows.top_text, rows.pile) for column in left().values()]
    filled = [fill for fill in fills if fill is not None]
    clear = {*(one.name for one in constant), *(fill.column.name for fill in filled)}
    clear |= {one.column.name for one in suspected if one.is_sure}
    if swapped := _swapped({name: one for name, one in columns.items() if name not in clear}, suspected, rows):
        found.append(swapped)
    if replaced := [fill for fill in filled if fill.replaces_nulls]:
        found.append(fill_finding(replaced))
    found += _parts(left(), rows)
    if frozen := [column for column in constant if column.name in left()]:
        found.append(constant_finding(frozen))
    # Before defaults: 999 is one, and where a number of three digits is cut.
    found += [one for column in left().values() if (one := clipped(column, rows.values)) is not None]
    if others := [fill for fill in filled if fill.column.name in left()]:
        found.append(fill_finding(others))
    if empty := null_burst(left()):
        found.append(null_finding(empty))
    found += unit_findings([one for one in suspected if one.column.name in left()])
    if changed := garbled(left()):
        found.append(garbled_finding(changed))
    moved = {one.column.name for one in suspected} if report is None else set(report.drifted)
    return found + _shift(sorted(moved & set(left())))


def _swapped(columns: Mapping[str, Column], suspected: Sequence[Suspect], rows: Rows) -> Finding | None:
    suspected = [one for one in suspected if one.column.name in columns]
    swapped = swapped_measures(columns, suspected, rows.above)
    swapped = swapped or swapped_texts(garbled(columns), rows.membership)
    return None if swapped is None else swapped_finding(*swapped)


def _parts(columns: Mapping[str, Column], rows: Rows) -> list[Finding]:
    """Return faults of one part of the rows, among the columns whose values went missing or out of range."""
    suspected = [column for column in columns.values() if missing_rise(column) >= PARTIAL or _overflows(column)]
    return partition_finding(rows, columns, suspected) if suspected else []


def _overflows(column: Column) -> bool:
    if column.binning.kind != "numeric" or len(column.now.counts) < 2:
        return False
    past = column.past_shares("counts")[:, [0, -1]].sum(axis=1)
    return float(column.now.shares[[0, -1]].sum()) - float(past.max()) >= PARTIAL


def _shift(moved: Sequence[str]) -> list[Finding]:
    if not moved:
        return []
    return [
        finding(
            "real_shift",
            f"{listed(moved)} moved, and nothing looks broken: every value is plausible; let the policy decide, and watch "
            "the performance as labels arrive.",
            {"columns": len(moved)},
            columns=moved,
            confidence=0.7,
        )
    ]


def _unexplained(facts: BatchFacts, history: Sequence[BatchFacts], columns: Mapping[str, Column]) -> list[Finding]:
    before = max((one.quarantined_share for one in history), default=0.0)
    rise = facts.quarantined_share - before
    if rise < PARTIAL:
        return []
    reason = max(sorted(facts.reasons), key=lambda name: facts.reasons[name], default="")
    is_burst = rise >= BURST
    return [
        finding(
            "quarantine_burst" if is_burst else "unclear",
            f"{percent(facts.quarantined_share)} of the rows broke the contract ({reason or 'no reason kept'}), at most "
            f"{percent(before)} before; look at the quarantined rows, then correct the source or the contract.",
            {"quarantined": facts.quarantined_share, "before": before, "reason": reason},
            columns=[name for name in (reason.partition(":")[2],) if name in columns],
            confidence=0.8 if is_burst else 0.4,
        )
    ]


def _concluded(facts: BatchFacts, found: list[Finding]) -> Diagnosis:
    ordered = sorted(found, key=lambda one: (_ORDER.index(one.cause), one.columns))
    return Diagnosis(
        batch_id=facts.batch_id,
        verdict=_verdict(ordered),
        advice=most_careful(ordered),
        findings=ordered,
        sentence=ordered[0].sentence if ordered else "Nothing about the batch is unusual.",
    )


def _verdict(found: Sequence[Finding]) -> Verdict:
    causes = {one.cause for one in found if one.cause != "schema_change" or one.advice == "hold"}
    if causes - {"real_shift", "unclear"}:
        return "broken"
    if "real_shift" in causes:
        return "shift"
    return "unclear" if causes else "clean"
