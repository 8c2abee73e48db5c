"""What answers say: built from the ledger's own records, read as text."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import polars as pl

from ratoon.cli.output import plain
from ratoon.cli.views.lineage import lineage_blocks
from ratoon.cli.views.quarantine import masked, quarantine_blocks, quarantined_rows
from ratoon.cli.views.status import status_blocks
from ratoon.cli.views.why import why_blocks
from ratoon.cli.views.words import age
from ratoon.ledger.answers import DatasetStatus, Lineage, LineageBatch, LineageScoring, ModelStatus, Status, WhyEntry
from ratoon.ledger.records import DecisionRow, EvaluationRecord, Event, Performance, Promotion, Retrain
from ratoon.ledger.states import RetrainState
from ratoon.policy.values import Decision, GuardResult, PolicyState, Signals, TriggerResult

NOW = datetime(2013, 3, 1, 6, tzinfo=UTC)

EVENT = Event(
    event_id="event-1", seq=1, kind="batch.ingested", subject="flights", as_of=NOW, data={}, cause=None, recorded_at=NOW
)

DECISION = DecisionRow(
    decision_id="decision-1",
    seq=2,
    model="late",
    event_id="event-1",
    number=7,
    outcome="retrain",
    reason="12,034 new labelled rows",
    as_of=NOW,
    policy_digest="p" * 64,
    state_before=PolicyState(),
    state_after=PolicyState(),
    signals=Signals(evidence={"drift": "d" * 64}),
    evidence={"lake": 41},
    decision=Decision(
        outcome="retrain",
        reason="12,034 new labelled rows",
        triggers=[
            TriggerResult(
                key="new_rows",
                kind="new_rows",
                value=12034,
                threshold=10000,
                unit="rows",
                streak=2,
                confirm=2,
                fired=True,
                note="enough new rows",
            )
        ],
        guards=[
            GuardResult(kind="cooldown", passed=False, lifts_at=NOW + timedelta(days=1), note="last retrain 6 days ago")
        ],
        decided_at=NOW,
    ),
)

RETRAIN = Retrain(
    retrain_id="retrain-1",
    seq=3,
    decision_id="decision-1",
    model="late",
    dataset="flights",
    state=RetrainState.RUNNING,
    as_of=NOW,
    queue="cpu",
    spec_digest="s" * 64,
    order={},
    deadline_s=60,
    max_attempts=3,
    attempt=2,
    fence=2,
    owner="w",
    lease_until=NOW,
    deadline_at=NOW,
    base_revision=None,
    verdict=None,
    progress={"phase": "fit", "round": 120, "metric": 0.70712},
    error={"code": "RT-TRAIN", "message": "lost the trainer"},
    dagster_run_id=None,
    reported_at=None,
    requested_at=NOW,
    started_at=NOW,
    updated_at=NOW,
    finished_at=None,
)

EVALUATION = EvaluationRecord(
    verdict="promote",
    reasons=["auc 0.71 against 0.69: gain 0.02, at least 0.01 with 95 %"],
    report_digest="e" * 64,
    metrics={"auc": 0.71},
    n_rows=4321,
)

PROMOTION = Promotion(
    model="late",
    revision=3,
    version=3,
    previous_version=2,
    kind="promotion",
    actor="ratoon",
    reason="gate passed",
    retrain_id="retrain-1",
    at=NOW,
    recorded_at=NOW,
)


def text_of(blocks: object) -> str:
    return "\n".join(line for block in blocks for line in plain(block))  # type: ignore[attr-defined]


def test_why_shows_every_measurement_guard_digest_and_the_outcome() -> None:
    entry = WhyEntry(decision=DECISION, event=EVENT, retrain=RETRAIN, evaluation=EVALUATION, promotion=PROMOTION)
    text = text_of(why_blocks("late", [entry]))
    for part in (
        "2013-03-01T06:00:00Z  retrain: 12,034 new labelled rows",
        "caused by batch.ingested of flights (event-1)",
        "new_rows  12,034  10,000 rows  2 of 2    yes    enough new rows",
        "cooldown  no      2013-03-02T06:00:00Z  last retrain 6 days ago",
        "evidence: drift dddddddddddd, lake 41",
        "retrain retrain-1: RUNNING, attempt 2 of 3",
        "error: RT-TRAIN lost the trainer",
        "gate: promote, on 4,321 rows, report eeeeeeeeeeee",
        "  auc 0.71 against 0.69",
        "champion: version 3 since 2013-03-01T06:00:00Z, before it 2",
    ):
        assert part in text


def test_why_of_a_model_without_decisions_says_what_makes_one() -> None:
    assert "nothing has been decided yet" in text_of(why_blocks("late", []))


def test_lineage_goes_from_files_to_predictions() -> None:
    found = Lineage(
        model="late",
        version=3,
        dataset="flights",
        is_champion=True,
        retrain_id="retrain-1",
        artifact_digest="a" * 64,
        event=EVENT.model_dump(mode="json"),
        decision={**DECISION.model_dump(mode="json"), "outcome": None},
        data={"rows_version": 41, "labels_version": 40, "window": "all"},
        code={"features": "f" * 64},
        params={"max_depth": 6},
        evaluation=EVALUATION.model_dump(),
        promotions=[PROMOTION],
        batches=[
            LineageBatch(
                batch_id=f"batch-{n}",
                role="rows",
                digest=f"{n:02}" * 32,
                source_uri=f"flights-{n}.parquet",
                rows_kept=100,
                lake_version=n,
                as_of=NOW,
            )
            for n in range(25)
        ],
        scorings=[LineageScoring(batch_id="batch-24", n_rows=100, lake_version=3, as_of=NOW)],
    )
    text = text_of(lineage_blocks(found))
    chain = [
        "late version 3, the champion",
        "25 files, 2,500 rows",
        "242424242424  rows  100   24            2013-03-01T06:00:00Z  flights-24.parquet",
        "the newest 20 of 25; --json lists all",
        "rows_version 41, labels_version 40, window all",
        "features ffffffffffff",
        "max_depth 6",
        "event-1  batch.ingested of flights as of 2013-03-01T06:00:00Z",
        "decision-1  retrain: 12,034 new labelled rows",
        "retrain   retrain-1",
        "a" * 64,
        "promote on 4,321 rows: auc 0.71; report eeeeeeeeeeee",
        "revision 3: promotion of version 3",
        "Predictions (100 rows of 1 file)",
    ]
    places = [text.find(part) for part in chain]
    assert -1 not in places
    assert places == sorted(places)


def test_status_shows_champion_age_progress_performance_and_rows() -> None:
    model = ModelStatus(
        model="late",
        dataset="flights",
        revision=3,
        champion_version=3,
        promoted_at=NOW,
        data_until=NOW,
        pending_events=2,
        active_retrain=RETRAIN,
        last_decision=DECISION,
    )
    cohorts = [
        Performance(
            model="late",
            cohort=f"batch-{n}",
            metric="auc",
            as_of=NOW + timedelta(days=n),
            value=value,
            n_rows=10,
            n_matured=matured,
            version=3,
            details={},
        )
        for n, (value, matured) in enumerate([(0.6, 10), (0.7071, 9), (None, 0)])
    ]
    status = Status(
        models=[model],
        datasets=[DatasetStatus(dataset="flights", n_batches=12, n_refused=1, rows_kept=26999, rows_quarantined=5)],
        unsent=0,
    )
    text = text_of(status_blocks(status, {"late": cohorts}, "down", NOW + timedelta(days=5)))
    for part in (
        "stack: down",
        "version 3  5 days ago  2013-03-01T06:00:00Z  auc 0.7071 on 9 rows  2",
        "late: decided retrain as of 2013-03-01T06:00:00Z: 12,034 new labelled rows",
        "late: retrain-1 is RUNNING, attempt 2 of 3, phase fit, round 120, metric 0.7071",
        "flights  12       1        26,999     5",
    ):
        assert part in text


def test_status_of_an_empty_ledger_says_so() -> None:
    open_alerts = [
        SimpleNamespace(title="flights: the newest batch looks broken"),
        SimpleNamespace(title="late: drift"),
    ]
    nothing = Status(models=[], datasets=[], unsent=3)
    text = text_of(status_blocks(nothing, {}, "down", NOW, alerts=open_alerts))
    assert "2 alerts open: flights: the newest batch looks broken and 1 more" in text
    assert "stack: down; 3 messages for the broker" in text
    assert text.count("none in the ledger yet") == 2


def test_quarantine_counts_every_reason_and_shows_the_newest_rows() -> None:
    frame = pl.LazyFrame(
        {
            "_batch": ["b1", "b1", "b2"],
            "_as_of": [NOW, NOW, NOW + timedelta(days=1)],
            "_row": pl.Series([0, 1, 5], dtype=pl.UInt32),
            "row": ['{"x": 1}', '{"x": 2}', '{"x": 3}'],
            "reasons": [["min:x"], ["min:x", "null:y"], ["min:x"]],
        }
    )
    counts, newest = quarantined_rows(frame, 2)
    assert counts == {"min:x": 3, "null:y": 1}
    assert [(row["_batch"], row["_row"]) for row in newest] == [("b2", 5), ("b1", 0)]
    text = text_of(quarantine_blocks("flights", counts, [{**row, "row": {"x": 1}} for row in newest]))
    assert "min:x   3" in text and '{"x": 1}' in text


def test_personal_data_never_leaves_quarantine() -> None:
    assert masked({"name": "Ada", "born": None, "x": 1}, {"name", "born"}) == {"name": "***", "born": None, "x": 1}


def test_ages_are_told_in_a_unit_that_fits() -> None:
    spans = [timedelta(minutes=5), timedelta(hours=3), timedelta(hours=40), timedelta(days=9)]
    assert [age(NOW - span, NOW) for span in spans] == ["5 min", "3 h", "40 h", "9 days"]
