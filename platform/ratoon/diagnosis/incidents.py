"""One incident for one upstream cause, however many columns and models it reaches."""

from collections.abc import Iterable
from typing import Final

from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.diagnosis.values import FAULTS_OF_DELIVERY, Advice, Cause, Diagnosis, Finding, Verdict, most_careful
from ratoon.identity import derive_id
from ratoon.instants import Instant

_ONCE: Final[frozenset[Cause]] = FAULTS_OF_DELIVERY - {"schema_change"}
"""Faults of one delivery: the next one is another incident. Other causes last until they are gone."""


class Watched(Strict):
    """A diagnosis with the dataset that it is of, and the models that read it."""

    dataset: str
    as_of: Instant
    models: list[str] = []
    diagnosis: Diagnosis


class Incident(Strict):
    """One cause at one dataset."""

    key: str = Field(description="The same for as long as the cause lasts: alerts with one key are one.")
    dataset: str
    cause: Cause
    columns: list[str]
    partitions: list[str]
    models: list[str]
    batches: list[str] = Field(description="Batches that show it, oldest first.")
    first_seen: Instant
    last_seen: Instant
    verdict: Verdict
    advice: Advice
    sentence: str


def group_incidents(observed: Iterable[Watched], *, verdicts: Iterable[Verdict] = ("broken",)) -> list[Incident]:
    """Group the findings of many batches, columns and models into incidents.

    Findings of one dataset with one cause are one incident: its columns and its models are put together. A fault of
    one delivery (late, half, doubled) is an incident of its batch; any other lasts over batches, under the same key.
    The same diagnosis may be given once per model that reads the dataset.

    Args:
        observed: Diagnoses, in any order.
        verdicts: Which verdicts make an incident.

    Returns:
        The incidents by time, dataset and key.
    """
    wanted, groups = frozenset(verdicts), dict[str, list[tuple[Watched, Finding]]]()
    for one in observed:
        if one.diagnosis.verdict not in wanted:
            continue
        for finding in one.diagnosis.findings:
            if one.diagnosis.verdict != "broken" or finding.cause not in ("real_shift", "unclear"):
                groups.setdefault(_key(one, finding), []).append((one, finding))
    incidents = [_incident(key, members) for key, members in groups.items()]
    return sorted(incidents, key=lambda one: (one.first_seen, one.dataset, one.key))


def _key(one: Watched, finding: Finding) -> str:
    batch = [one.diagnosis.batch_id] if finding.cause in _ONCE else []
    return derive_id("incident", one.dataset, finding.cause, *batch)


def _incident(key: str, members: list[tuple[Watched, Finding]]) -> Incident:
    members = sorted(members, key=lambda pair: (pair[0].as_of, pair[0].diagnosis.batch_id, pair[1].columns))
    first, last = members[0], members[-1]
    columns = sorted({name for _, finding in members for name in finding.columns})
    models = sorted({model for one, _ in members for model in one.models})
    batches = list(dict.fromkeys(one.diagnosis.batch_id for one, _ in members))
    return Incident(
        key=key,
        dataset=first[0].dataset,
        cause=last[1].cause,
        columns=columns,
        partitions=sorted({finding.partition for _, finding in members if finding.partition is not None}),
        models=models,
        batches=batches,
        first_seen=first[0].as_of,
        last_seen=last[0].as_of,
        verdict=last[0].diagnosis.verdict,
        advice=most_careful([finding for _, finding in members]),
        sentence=_sentence(first[0].dataset, last[1], columns, models, len(batches)),
    )


def _sentence(dataset: str, finding: Finding, columns: list[str], models: list[str], n_batches: int) -> str:
    reach = [
        f"{n} {what}{'s' if n != 1 else ''}" for n, what in ((len(columns), "column"), (len(models), "model")) if n
    ]
    where = f" ({', '.join(reach)})" if reach else ""
    since = f" For {n_batches} batches." if n_batches > 1 else ""
    return f"{dataset}{where}: {finding.sentence}{since}"
