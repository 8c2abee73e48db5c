"""Alerts and their messages, on both databases: once per cause, one open per key, told once per transition."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from ratoon.alerts import look_after_alerts, raise_batch_alerts
from ratoon.alerts.messages import compose
from ratoon.errors import NotFoundError
from ratoon.ledger import Ledger, schema
from ratoon.ledger.records import AlertMessage, AlertRaised, AlertResolved, DeliveryClaim, EvaluationRecord, Severity
from ratoon.settings import Settings

CHANNELS = ("slack:1", "webhook:2")
WINDOW_S = 30.0


def raised(
    key: str = "delays/drift", severity: Severity = "warning", *, incident: str = "flights/day-1"
) -> AlertRaised:
    return AlertRaised(
        key=key,
        kind="drift",
        severity=severity,
        model="delays",
        incident=incident,
        title=f"{key} at {incident}",
        text="3 of 12 columns drifted.",
        evidence={"drifted": ["distance"]},
    )


OVER = AlertResolved(key="delays/drift", reason="the newest report shows no drift")


class Desk:
    """Raises on day 1, 2, 3 ... and tells what is due."""

    def __init__(self, ledger: Ledger, clock: Any) -> None:
        self.ledger, self.clock, self.day = ledger, clock, datetime.fromisoformat("2013-01-01T00:00:00+00:00")

    def see(self, cause: str, *changes: AlertRaised | AlertResolved) -> bool:
        self.day += timedelta(days=1)
        return self.ledger.apply_alerts(cause, changes, as_of=self.day)

    def write(self, *, at_least: Severity = "info") -> int:
        return self.ledger.write_messages(CHANNELS, compose, at_least=at_least, window_s=WINDOW_S)

    def tell(self) -> list[AlertMessage]:
        """Let the window pass, write and deliver; return each message once."""
        self.clock.pass_by(WINDOW_S)
        self.write()
        told = {}
        while (claim := self.ledger.claim_delivery(CHANNELS, lease_s=60)) is not None:
            self.ledger.report_delivered(claim)
            told[claim.message.message_id] = claim.message
        return list(told.values())


@pytest.fixture
def desk(ledger: Ledger, clock: Any) -> Any:
    yield Desk(ledger, clock)
    assert [found for found in ledger.check_invariants() if found.invariant == "audit"] == []


def test_an_open_key_that_is_raised_again_counts_and_is_told_once(desk: Desk) -> None:
    for day in range(3):
        desk.see(f"event-{day}", raised())
    (alert,) = desk.ledger.alerts()
    assert (alert.count, alert.first_seen.day, alert.last_seen.day) == (3, 2, 4)
    assert [message.transition for message in desk.tell()] == ["raised"]
    desk.see("event-9", raised())
    assert desk.tell() == []


def test_the_same_cause_raises_once(desk: Desk) -> None:
    assert desk.see("event-1", raised())
    assert not desk.see("event-1", raised(), OVER)
    (alert,) = desk.ledger.alerts()
    assert (alert.count, alert.state) == (1, "open")


def test_a_raised_alert_carries_its_newest_facts_and_its_highest_severity(desk: Desk) -> None:
    desk.see("event-1", raised(severity="critical"))
    desk.see("event-2", raised(severity="info", incident="flights/day-2"))
    (alert,) = desk.ledger.alerts()
    assert (alert.severity, alert.title) == ("critical", "delays/drift at flights/day-2")


def test_a_rising_severity_is_told_again_and_a_falling_one_is_not(desk: Desk) -> None:
    told = []
    for day, severity in enumerate(("warning", "critical", "warning", "critical")):
        desk.see(f"event-{day}", raised(severity=severity))  # type: ignore[arg-type]
        told += [message.severity for message in desk.tell()]
    assert told == ["warning", "critical"]


def test_its_end_is_told_once_and_only_where_its_beginning_was(desk: Desk) -> None:
    desk.see("event-1", raised())
    desk.see("event-2", OVER)
    assert desk.tell() == []
    desk.see("event-3", raised())
    assert [message.transition for message in desk.tell()] == ["raised"]
    desk.see("event-4", OVER)
    (message,) = desk.tell()
    assert (message.transition, message.alerts[0]["reason"]) == ("resolved", OVER.reason)
    assert desk.tell() == []


def test_resolving_what_is_not_open_changes_nothing(desk: Desk) -> None:
    assert desk.see("event-1", OVER)
    assert desk.ledger.alerts(with_resolved=True) == []


def test_a_key_may_open_again_after_its_end_as_another_alert(desk: Desk) -> None:
    desk.see("event-1", raised())
    desk.see("event-2", OVER)
    desk.see("event-3", raised())
    opened, ended = desk.ledger.alerts(with_resolved=True)
    assert (opened.state, ended.state) == ("open", "resolved")
    assert opened.alert_id != ended.alert_id
    assert opened.count == 1


def test_a_person_resolves_with_a_reason(desk: Desk) -> None:
    desk.see("event-1", raised())
    found = desk.ledger.resolve_alert("delays/drift", actor="person:ada", reason="expected")
    assert (found.resolved_by, found.reason) == ("person:ada", "expected")
    with pytest.raises(NotFoundError, match="ratoon alerts"):
        desk.ledger.resolve_alert("delays/drift", actor="person:ada", reason="again")


def test_alerts_of_one_incident_come_in_one_message(desk: Desk) -> None:
    desk.see("event-1", raised("delays/drift"))
    desk.clock.pass_by(WINDOW_S / 2)
    desk.see("event-2", raised("cancellations/drift", "critical"))
    desk.see("event-3", raised("other/drift", incident="orders/day-1"))
    desk.clock.pass_by(WINDOW_S / 2)
    assert desk.write() == 1
    (message,) = desk.tell()[:1]
    assert [alert["key"] for alert in message.alerts] in (
        ["delays/drift", "cancellations/drift"],
        ["cancellations/drift", "delays/drift"],
    )
    assert message.severity == "critical"
    assert message.title == "Critical: cancellations/drift at flights/day-1 and 1 more"


def test_an_incident_is_told_no_earlier_than_its_window(desk: Desk) -> None:
    desk.see("event-1", raised())
    desk.clock.pass_by(WINDOW_S - 1)
    assert desk.write() == 0
    desk.clock.pass_by(1)
    assert desk.write() == 1


def test_a_mute_holds_back_what_it_covers_and_what_is_still_open_is_told_at_its_end(desk: Desk) -> None:
    until = desk.clock() + timedelta(hours=1)
    desk.ledger.mute("delays/*", until=until, actor="person:ada", reason="holidays")
    desk.see("event-1", raised("delays/drift"), raised("other/drift", incident="orders/day-1"))
    assert [message.alerts[0]["key"] for message in desk.tell()] == ["other/drift"]
    desk.clock.pass_by(3_600)
    assert desk.ledger.mutes() == []
    assert [message.alerts[0]["key"] for message in desk.tell()] == ["delays/drift"]


def test_what_began_and_ended_under_a_mute_is_never_told(desk: Desk) -> None:
    until = desk.clock() + timedelta(hours=1)
    desk.ledger.mute("delays/drift", until=until, actor="person:ada", reason="holidays")
    desk.see("event-1", raised())
    desk.see("event-2", OVER)
    desk.clock.pass_by(7_200)
    assert desk.tell() == []


def test_a_mute_can_be_replaced_and_ended(desk: Desk) -> None:
    for hours in (1, 2):
        until = desk.clock() + timedelta(hours=hours)
        desk.ledger.mute("delays/*", until=until, actor="person:ada", reason=f"{hours} h")
    assert [mute.reason for mute in desk.ledger.mutes()] == ["2 h"]
    desk.ledger.unmute("delays/*", actor="person:bob")
    assert desk.ledger.mutes() == []
    with pytest.raises(NotFoundError):
        desk.ledger.unmute("delays/*", actor="person:bob")


def test_a_milder_alert_is_listed_but_not_told_until_it_grows_worse(desk: Desk) -> None:
    desk.see("event-1", raised(severity="info"))
    desk.clock.pass_by(WINDOW_S)
    assert desk.write(at_least="warning") == 0
    desk.see("event-2", raised(severity="warning"))
    assert desk.write(at_least="warning") == 1


def test_without_a_channel_nothing_is_told_and_the_first_channel_gets_what_is_open(desk: Desk) -> None:
    desk.see("event-1", raised())
    desk.clock.pass_by(WINDOW_S)
    assert desk.ledger.write_messages((), compose) == 0
    assert [message.transition for message in desk.tell()] == ["raised"]


def first_claim(desk: Desk) -> DeliveryClaim:
    desk.see("event-1", raised())
    desk.clock.pass_by(WINDOW_S)
    desk.write()
    claim = desk.ledger.claim_delivery(CHANNELS[:1], lease_s=60)
    assert claim is not None
    return claim


def test_a_claimed_delivery_is_nobody_elses_until_its_lease_ends(desk: Desk) -> None:
    first = first_claim(desk)
    assert desk.ledger.claim_delivery(CHANNELS[:1], lease_s=60) is None
    desk.clock.pass_by(60)
    second = desk.ledger.claim_delivery(CHANNELS[:1], lease_s=60)
    assert second is not None
    assert (second.message, second.attempt) == (first.message, 2)


def test_a_failed_delivery_says_why_and_waits(desk: Desk) -> None:
    claim = first_claim(desk)
    desk.ledger.report_undelivered(claim, error="HTTP 500", again_after_s=5)
    (failing,) = desk.ledger.failing_deliveries(CHANNELS)
    assert (failing.channel, failing.error, failing.attempts) == (CHANNELS[0], "HTTP 500", 1)
    assert desk.ledger.claim_delivery(CHANNELS[:1], lease_s=60) is None
    desk.clock.pass_by(5)
    again = desk.ledger.claim_delivery(CHANNELS[:1], lease_s=60)
    assert again is not None
    desk.ledger.report_delivered(again)
    assert desk.ledger.failing_deliveries(CHANNELS) == []


def test_a_delivery_that_was_given_up_is_tried_no_more_and_stays_visible(desk: Desk) -> None:
    desk.ledger.report_undelivered(first_claim(desk), error="HTTP 410", again_after_s=None)
    desk.clock.pass_by(10**7)
    assert desk.ledger.claim_delivery(CHANNELS[:1], lease_s=60) is None
    (failing,) = desk.ledger.failing_deliveries(CHANNELS)
    assert failing.due_at is None


def test_a_late_failure_of_an_earlier_attempt_does_not_undo_a_success(desk: Desk) -> None:
    first = first_claim(desk)
    desk.clock.pass_by(60)
    second = desk.ledger.claim_delivery(CHANNELS[:1], lease_s=60)
    assert second is not None
    desk.ledger.report_delivered(second)
    desk.ledger.report_undelivered(first, error="time-out", again_after_s=5)
    (delivery,) = [d for d in desk.ledger.deliveries([first.message.message_id]) if d.channel == CHANNELS[0]]
    assert delivery.delivered_at is not None
    assert delivery.error is None


def test_tellers_that_race_write_one_message_and_claim_each_delivery_once(
    desk: Desk, open_ledger: Callable[[], Ledger], race: Callable[[Sequence[Callable[[], object]]], list[object]]
) -> None:
    desk.see("event-1", raised("a/drift"), raised("b/drift"), raised("c/drift"))
    desk.clock.pass_by(WINDOW_S)
    ledgers = [open_ledger() for _ in range(4)]
    written = race([lambda it=it: it.write_messages(CHANNELS, compose, window_s=WINDOW_S) for it in ledgers])
    assert sorted(written) == [0, 0, 0, 1]  # type: ignore[type-var]
    claims = race([lambda it=it: it.claim_delivery(CHANNELS, lease_s=60) for it in ledgers])
    taken = [claim.channel for claim in claims if isinstance(claim, DeliveryClaim)]
    assert sorted(taken) == sorted(CHANNELS)
    assert len(claims) == 4


def test_raisers_that_race_open_one_alert(
    desk: Desk, open_ledger: Callable[[], Ledger], race: Callable[[Sequence[Callable[[], object]]], list[object]]
) -> None:
    ledgers = [open_ledger() for _ in range(4)]
    calls = [
        lambda it=it, n=n: it.apply_alerts(f"event-{n}", [raised()], as_of=desk.day) for n, it in enumerate(ledgers)
    ]
    assert race(calls) == [True] * 4
    (alert,) = desk.ledger.alerts()
    assert alert.count == 4


def test_every_change_is_in_the_audit(desk: Desk) -> None:
    desk.see("event-1", raised())
    desk.see("event-2", raised(severity="critical"))
    desk.ledger.mute("x", until=desk.clock() + timedelta(hours=1), actor="person:ada", reason="r")
    desk.ledger.unmute("x", actor="person:ada")
    desk.tell()
    desk.ledger.resolve_alert("delays/drift", actor="person:ada", reason="r")
    actions = [entry.action for entry in reversed(desk.ledger.audit_trail())]
    assert actions == [
        "alert.raised",
        "alert.escalated",
        "alert.muted",
        "alert.unmuted",
        "alert.told",
        "alert.delivered",
        "alert.delivered",
        "alert.resolved",
    ]


def test_the_end_of_each_retrain_is_handed_out_until_it_was_a_cause(story: Any) -> None:
    rejected = EvaluationRecord(verdict="reject", reasons=[], report_digest="e" * 64, metrics={}, n_rows=1)
    retrain_id = story.evaluated(evaluation=rejected)
    assert story.ledger.retrains_without_alerts() == []
    story.ledger.conclude(retrain_id)
    assert [found.retrain_id for found in story.ledger.retrains_without_alerts()] == [retrain_id]
    story.ledger.apply_alerts(retrain_id, [], as_of=rejected_at(story.ledger, retrain_id))
    assert story.ledger.retrains_without_alerts() == []


def rejected_at(ledger: Ledger, retrain_id: str) -> datetime:
    finished = ledger.retrain(retrain_id).finished_at
    assert finished is not None
    return finished


def test_a_worker_is_silent_once_its_sign_of_life_is_old(ledger: Ledger, clock: Any) -> None:
    ledger.beat("worker@a")
    clock.pass_by(30)
    ledger.beat("trainer@a")
    clock.pass_by(31)
    assert [worker.name for worker in ledger.silent_workers(after_s=60)] == ["worker@a"]
    ledger.beat("worker@a")
    assert ledger.silent_workers(after_s=60) == []
    ledger.retire_worker("worker@a")
    assert [worker.name for worker in ledger.workers()] == ["trainer@a"]


def test_the_figures_count_what_the_ledger_holds(story: Any, clock: Any) -> None:
    ledger: Ledger = story.ledger
    story.promoted()
    story.decide(story.arrive(), rows=0)
    for cohort, value, n in (("a", 0.6, 100), ("b", 0.8, 300), ("c", None, 0)):
        about: dict[str, Any] = {"as_of": clock(), "metric": "auc", "version": 1, "details": {}}
        ledger.record_performance("delays", cohort, value=value, n_rows=400, n_matured=n, **about)
    report = {"judged": True, "drifted": ["x"], "columns": [{"score": 0.4}, {"score": None}, {"score": 0.1}]}
    ledger.record_drift("delays", "event-old", as_of=clock(), report={"judged": True, "drifted": [], "columns": []})
    ledger.record_drift("delays", "event-new", as_of=clock() + timedelta(days=1), report=report)
    ledger.apply_alerts("c", [raised(), raised("x/drift", "critical")], as_of=clock())
    ledger.beat("worker@a")
    found = ledger.figures()
    (champion,) = found.champions
    assert (champion.version, champion.has_active_retrain) == (1, False)
    assert champion.data_until == datetime.fromisoformat("2013-01-31T00:00:00+00:00")
    assert found.retrains == {("delays", "PROMOTED"): 1}
    assert found.decisions == {("delays", "retrain"): 1, ("delays", "wait"): 1}
    (performance,) = found.performance
    assert performance.value == pytest.approx((0.6 * 100 + 0.8 * 300) / 400)
    assert performance.maturity == pytest.approx(400 / 1200)
    (drift,) = found.drift
    assert (drift.n_drifted, drift.worst_score) == (1, 0.4)
    (dataset,) = found.datasets
    assert (dataset.rows_kept, dataset.rows_quarantined, dataset.n_batches) == (18, 2, 2)
    assert found.alerts == {"warning": 1, "critical": 1}
    assert [worker.name for worker in found.workers] == ["worker@a"]


def test_a_failed_retrain_raises_and_the_next_promotion_resolves(story: Any, clock: Any, tmp_path: Path) -> None:
    ledger: Ledger = story.ledger
    settings = Settings(project=tmp_path)
    claim = story.claim(story.dispatched())
    error = {"code": "RT-TRAIN", "retryable": False, "message": "the features failed"}
    ledger.release(claim.retrain.retrain_id, claim.fence, error=error, retryable=False)
    for _ in range(2):
        look_after_alerts(ledger, settings, {}, now=clock())
    (alert,) = ledger.alerts("delays")
    assert (alert.key, alert.severity, alert.count) == ("delays/retrain_failed", "critical", 1)
    assert alert.first_seen == ledger.retrain(claim.retrain.retrain_id).finished_at
    story.promoted()
    look_after_alerts(ledger, settings, {}, now=clock())
    assert ledger.alerts("delays") == []


def test_a_broken_batch_is_one_alert_seen_once_until_a_later_one_is_clean(desk: Desk) -> None:
    finding = {"cause": "unit_change", "sentence": "distance is in km now."}
    broken = {"verdict": "broken", "advice": "hold", "sentence": "The batch is broken.", "findings": [finding]}
    for _ in range(2):
        raise_batch_alerts(
            desk.ledger, "flights", batch_id="batch-1", as_of=desk.day, diagnosis=broken, incident="incident-1"
        )
    (alert,) = desk.ledger.alerts()
    assert (alert.key, alert.count, alert.incident) == ("flights/data_broken", 1, "incident-1")
    clean = {"verdict": "clean", "advice": "none", "sentence": "", "findings": []}
    raise_batch_alerts(desk.ledger, "flights", batch_id="batch-2", as_of=desk.day, diagnosis=clean, incident=None)
    assert desk.ledger.alerts() == []


def test_a_ledger_of_the_first_form_gains_the_tables_and_keeps_its_rows(empty_url: str) -> None:
    ledger = Ledger(empty_url)
    with ledger.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(schema.__file__).with_name("migrations")))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    ledger.ensure_model("delays", "flights")
    ledger.migrate()
    assert [model.name for model in ledger.models()] == ["delays"]
    assert ledger.alerts() == []
    with ledger.engine.connect() as connection:
        assert schema.schema_differences(connection) == []
    ledger.close()
