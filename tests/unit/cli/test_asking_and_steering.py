"""The commands that ask and steer, on a real ledger in a project that init wrote."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ratoon.cli import main
from ratoon.lake import Lake
from ratoon.ledger import Ledger
from ratoon.ledger.records import ArtifactRecord, Claim, EvaluationRecord, RetrainSpec
from ratoon.policy.spec import NewRows, Policy
from ratoon.policy.values import ChampionSignal, Signals
from ratoon.templates import write_project

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
POLICY = Policy(triggers=[NewRows(kind="new_rows", rows=10)])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh project that is the working directory."""
    for name in ("RATOON_HOME", "RATOON_PROJECT", "RATOON_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "shop"
    write_project(root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def ledger(project: Path) -> Ledger:
    """The project's ledger, with one batch and a retrain that waits for a worker."""
    (project / ".ratoon").mkdir()
    ledger = Ledger(f"sqlite:///{project / '.ratoon' / 'ledger.db'}")
    ledger.migrate()
    ledger.ensure_model("late", "deliveries")
    claim = ledger.claim_batch(
        batch_id="batch-1",
        dataset="deliveries",
        role="rows",
        digest="d" * 64,
        source_uri="deliveries-1.parquet",
        as_of=NOW,
        owner="test",
        lease_s=60,
    )
    event = ledger.finish_batch(
        "batch-1",
        claim.fence,
        as_of=NOW,
        rows_in=12,
        rows_kept=11,
        rows_quarantined=1,
        lake_version=0,
        quarantine_version=0,
        event_time_min=NOW,
        event_time_max=NOW,
        bytes=100,
        contract_digest="c" * 64,
    )
    decide(ledger, event.event_id)
    return ledger


def decide(ledger: Ledger, event_id: str) -> str:
    now = ledger.champion("late")
    champion = now and ChampionSignal(version=now.version, data_until=NOW, promoted_at=NOW)
    signals = Signals(labelled_rows=5000, new_labelled_rows=5000, champion=champion)
    spec = RetrainSpec(spec_digest="s" * 64, order={})
    row = ledger.decide("late", event_id, policy=POLICY, signals=signals, now=NOW, evidence={}, retrain=spec)
    assert row.retrain_id is not None
    return row.retrain_id


def conclude(ledger: Ledger, retrain_id: str, verdict: Any = "promote") -> None:
    """Take a retrain to its end as a worker would."""
    train = ledger.claim(retrain_id, "train", owner="w", lease_s=60)
    assert isinstance(train, Claim)
    artifact = ArtifactRecord(
        digest=retrain_id[-8:] * 8,
        size=10,
        metrics={"auc": 0.7},
        data={"rows_version": 0, "labels_version": 0, "data_until": NOW.isoformat()},
        code={"features": "f" * 64},
        params={"max_depth": 6},
        refs={},
    )
    ledger.report_trained(retrain_id, train.fence, artifact=artifact)
    judge = ledger.claim(retrain_id, "evaluate", owner="w", lease_s=60)
    assert isinstance(judge, Claim)
    found = EvaluationRecord(
        verdict=verdict, reasons=["auc 0.7: no champion yet"], report_digest="r" * 64, metrics={"auc": 0.7}, n_rows=400
    )
    ledger.report_evaluated(retrain_id, judge.fence, evaluation=found)
    ledger.conclude(retrain_id)


def again(ledger: Ledger, number: int) -> None:
    """Promote one more version."""
    event = ledger.record_event(event_id=f"event-{number}", kind="clock.passed", subject="late", as_of=NOW, data={})
    conclude(ledger, decide(ledger, event.event_id))


def ask(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """Run a command with --json and return its answer."""
    capsys.readouterr()
    assert main([*words, "--json"]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out or captured.err)


def test_before_the_first_start_every_question_names_the_command_that_starts(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["status"], ["why", "late"], ["lineage", "late"], ["rollback", "late", "--reason", "x"]):
        record = ask(capsys, *words, code=1)
        assert "`ratoon up`" in record["error"]["message"]
    assert not (project / ".ratoon").exists()


def test_status_answers_about_models_datasets_and_the_stack(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    record = ask(capsys, "status")
    assert record["stack"]["is_up"] is False
    assert [(m["model"], m["champion_version"]) for m in record["models"]] == [("late", None)]
    assert record["models"][0]["active_retrain"]["state"] in ("REQUESTED", "DISPATCHED")
    assert [(d["rows_kept"], d["rows_quarantined"]) for d in record["datasets"]] == [(11, 1)]
    assert main(["status"]) == 0
    assert "late: decided retrain as of 2026-01-05T12:00:00Z" in capsys.readouterr().out


def test_why_answers_with_triggers_guards_and_the_retrain(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    entry = ask(capsys, "why", "late")["decisions"][0]
    assert entry["decision"]["decision"]["triggers"][0]["value"] == 5000
    assert {guard["kind"] for guard in entry["decision"]["decision"]["guards"]} >= {"cooldown", "single_flight"}
    assert entry["retrain"]["model"] == "late"


@pytest.mark.parametrize("words", [["why", "lat"], ["lineage", "late", "--version", "9"], ["cancel", "lat"]])
def test_a_name_that_is_not_there_fails(ledger: Ledger, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, *words, code=1)["error"]["code"] == "RT-NOTFOUND"


def test_lineage_answers_from_file_digest_to_promotion(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    active = ledger.active_retrain("late")
    assert active is not None
    conclude(ledger, active.retrain_id)
    record = ask(capsys, "lineage", "late")
    assert (record["version"], record["is_champion"]) == (1, True)
    assert [batch["digest"] for batch in record["batches"]] == ["d" * 64]
    assert main(["lineage", "late", "--version", "1"]) == 0
    text = capsys.readouterr().out
    assert "deliveries-1.parquet" in text
    assert f"{record['decision']['decision_id']}  retrain: new_rows fired" in text


def test_a_rollback_is_a_promotion_of_the_version_before(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    active = ledger.active_retrain("late")
    assert active is not None
    conclude(ledger, active.retrain_id)
    again(ledger, 2)
    back = ask(capsys, "rollback", "late", "--reason", "complaints")
    assert (back["kind"], back["version"], back["previous_version"], back["revision"]) == ("rollback", 1, 2, 3)
    assert back["actor"].startswith("person:")
    forward = ask(capsys, "promote", "late", "2", "--reason", "all well")
    assert (forward["kind"], forward["version"], forward["revision"]) == ("manual", 2, 4)
    assert [promotion.version for promotion in ledger.promotions("late")] in ([1, 2, 1, 2], [2, 1, 2, 1])


def test_cancel_finds_the_active_retrain_of_a_model(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, "cancel", "late")["state"] == "CANCELLED"
    assert ledger.active_retrain("late") is None
    assert ask(capsys, "cancel", "late", code=1)["error"]["code"] == "RT-NOTFOUND"


def test_cancelling_what_has_ended_is_refused_with_3(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    active = ledger.active_retrain("late")
    assert active is not None
    conclude(ledger, active.retrain_id)
    assert ask(capsys, "cancel", active.retrain_id, code=3)["error"]["code"] == "RT-REFUSED"


def test_a_replay_acts_as_of_its_newest_batch(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    active = ledger.active_retrain("late")
    assert active is not None
    conclude(ledger, active.retrain_id)
    again(ledger, 2)
    monkeypatch.setenv("RATOON_CLOCK", "event")
    assert ask(capsys, "rollback", "late", "--reason", "x")["at"] == "2026-01-05T12:00:00Z"


def test_doctor_ends_well_on_a_sound_project_that_does_not_run(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    record = ask(capsys, "doctor")
    found = {test["name"]: test["status"] for test in record["tests"]}
    assert found["project"] == found["ledger"] == found["settings"] == "ok"
    assert found["broker"] == found["Dagster"] == "warn"
    assert all(test["fix"] for test in record["tests"] if test["status"] != "ok")


def test_doctor_fails_where_a_declaration_is_wrong(
    project: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project / "shop" / "defs" / "late" / "defs.yaml"
    file.write_text(file.read_text().replace("metric: auc", "metric: acu"))
    record = ask(capsys, "doctor", code=1)
    assert [(test["name"], test["fix"]) for test in record["tests"] if test["status"] == "fail"] == [
        ("project", "ratoon check")
    ]


def test_doctor_fails_on_a_ledger_without_its_tables(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".ratoon").mkdir()
    (project / ".ratoon" / "ledger.db").touch()
    record = ask(capsys, "doctor", code=1)
    assert [test["name"] for test in record["tests"] if test["status"] == "fail"] == ["ledger"]


def test_a_request_without_anything_to_learn_from_is_refused_with_3(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    record = ask(capsys, "trigger", "late", "--reason", "new depot", code=3)
    assert record["error"]["code"] == "RT-REFUSED"


def test_quarantine_of_a_dataset_without_bad_rows_says_so(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, "quarantine", "deliveries") == {"dataset": "deliveries", "reasons": {}, "rows": []}
    assert ask(capsys, "quarantine", "deliveries", "--replay")["batch"] is None
    assert ask(capsys, "quarantine", "deliverys", code=1)["error"]["code"] == "RT-NOTFOUND"


def test_a_request_that_a_guard_holds_back_is_recorded_and_ends_with_3(
    project: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(str(project / ".ratoon" / "lake"))
    day = datetime(2026, 1, 1, tzinfo=UTC)
    rows = pl.DataFrame({"delivery_id": ["a"], "ordered_at": [day]})
    labels = pl.DataFrame({"delivery_id": ["a"], "late": [True], "known_at": [day]})
    lake.append_rows("deliveries", "batch-1", rows, as_of=NOW)
    lake.append_labels("deliveries", "batch-2", labels, as_of=NOW)
    answered = ask(capsys, "trigger", "late", "--reason", "new depot", "--event-id", "mine", code=3)
    assert answered["outcome"] == "wait"
    assert [entry.event.event_id for entry in ledger.why("late", 1)] == ["mine"]
