"""Messages over real sockets: signed, tried again, sent once by many, and never in anybody's way."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ratoon.alerts import Answer, channels_of, deliver_due, look_after_alerts
from ratoon.alerts.channels import AppriseChannel, WebhookChannel
from ratoon.ledger import Ledger
from ratoon.ledger.records import AlertMessage, AlertRaised, AlertResolved
from ratoon.settings import Settings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OVER = AlertResolved(key="delays/drift", reason="over")

pytestmark = pytest.mark.integration


def webhook(receiver: Any, clock: Any, **options: Any) -> dict[str, WebhookChannel]:
    channel = WebhookChannel(receiver.url, [SECRET], clock=clock, **options)
    return {channel.name: channel}


def test_a_receiver_that_fails_first_gets_the_same_signed_message_later(
    open_ledger: Callable[[], Ledger], receiver: Any, clock: Any, raised: AlertRaised
) -> None:
    ledger, channels = open_ledger(), webhook(receiver, clock)
    ledger.apply_alerts("event-1", [raised], as_of=clock())
    receiver.statuses = [500, 503]
    for wait_s in (5, 300, 0):
        deliver_due(ledger, channels)
        clock.pass_by(wait_s)
    assert len(receiver.ids) == 3
    assert len(set(receiver.ids)) == 1
    attempts = [headers["webhook-timestamp"] for headers, _ in receiver.requests]
    assert len(set(attempts)) == 3
    assert len({body for _, body in receiver.requests}) == 1
    receiver.requests = receiver.requests[-1:]
    (payload,) = receiver.verified(clock())
    assert payload["type"] == "alert.raised"
    assert payload["data"]["alerts"][0]["key"] == "delays/drift"
    assert ledger.failing_deliveries(sorted(channels)) == []
    assert deliver_due(ledger, channels) == 0


def test_the_end_is_another_message(
    open_ledger: Callable[[], Ledger], receiver: Any, clock: Any, raised: AlertRaised
) -> None:
    ledger, channels = open_ledger(), webhook(receiver, clock)
    ledger.apply_alerts("event-1", [raised], as_of=clock())
    assert deliver_due(ledger, channels) == 1
    ledger.apply_alerts("event-2", [OVER], as_of=clock())
    assert deliver_due(ledger, channels) == 1
    assert [payload["type"] for payload in receiver.verified(clock())] == ["alert.raised", "alert.resolved"]
    assert len(set(receiver.ids)) == 2


def test_deliverers_that_race_send_each_message_once(
    open_ledger: Callable[[], Ledger], receiver: Any, clock: Any, raised: AlertRaised
) -> None:
    first = open_ledger()
    changes = [raised.model_copy(update={"key": f"m{n}/drift", "incident": f"i{n}"}) for n in range(8)]
    first.apply_alerts("event-1", changes, as_of=clock())
    receiver.delay_s = 0.02
    gate, sent = threading.Barrier(3), []

    def deliver() -> None:
        ledger = open_ledger()
        gate.wait()
        sent.append(deliver_due(ledger, webhook(receiver, clock)))

    threads = [threading.Thread(target=deliver) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(sent) == 8
    assert sorted(receiver.ids) == sorted(set(receiver.ids))
    assert len(receiver.verified(clock())) == 8


def test_after_a_crash_between_sending_and_noting_the_same_id_is_sent_again(
    open_ledger: Callable[[], Ledger], receiver: Any, clock: Any, raised: AlertRaised
) -> None:
    ledger, channels = open_ledger(), webhook(receiver, clock)
    (channel,) = channels.values()
    ledger.apply_alerts("event-1", [raised], as_of=clock())

    class PowerCut(BaseException):
        """Ends the process."""

    class Cut:
        name = channel.name

        def send(self, message: AlertMessage) -> Answer:
            channel.send(message)
            raise PowerCut

    with pytest.raises(PowerCut):
        deliver_due(ledger, {channel.name: Cut()})
    assert deliver_due(ledger, channels) == 0
    clock.pass_by(120)
    assert deliver_due(ledger, channels) == 1
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(
    status: int, open_ledger: Callable[[], Ledger], receiver: Any, clock: Any, raised: AlertRaised
) -> None:
    ledger, channels = open_ledger(), webhook(receiver, clock)
    ledger.apply_alerts("event-1", [raised], as_of=clock())
    receiver.statuses = [status]
    assert deliver_due(ledger, channels) == 0
    assert len(receiver.requests) == 1
    (failing,) = ledger.failing_deliveries(sorted(channels))
    assert failing.error == f"HTTP {status}; redirects are not followed"


def test_a_receiver_that_is_gone_is_given_up(
    open_ledger: Callable[[], Ledger], receiver: Any, clock: Any, raised: AlertRaised
) -> None:
    ledger, channels = open_ledger(), webhook(receiver, clock)
    ledger.apply_alerts("event-1", [raised], as_of=clock())
    receiver.statuses = [410]
    deliver_due(ledger, channels)
    clock.pass_by(10**7)
    deliver_due(ledger, channels)
    assert len(receiver.requests) == 1
    assert ledger.failing_deliveries(sorted(channels))[0].due_at is None


def test_a_receiver_that_answers_late_or_not_at_all_is_an_answer_with_its_reason(
    receiver: Any, clock: Any, open_ledger: Callable[[], Ledger], raised: AlertRaised
) -> None:
    ledger = open_ledger()
    ledger.apply_alerts("event-1", [raised], as_of=clock())
    receiver.delay_s = 5
    slow = webhook(receiver, clock, timeout_s=0.1)
    nobody = WebhookChannel("http://127.0.0.1:9/hook", [SECRET], clock=clock)
    channels = {**slow, nobody.name: nobody}
    assert deliver_due(ledger, channels) == 0
    errors = sorted(delivery.error or "" for delivery in ledger.failing_deliveries(sorted(channels)))
    assert len(errors) == 2
    assert any("refused" in error for error in errors)
    assert any("timed out" in error for error in errors)


def test_a_channel_that_fails_keeps_no_other_from_its_messages(
    open_ledger: Callable[[], Ledger], receiver: Any, clock: Any, raised: AlertRaised
) -> None:
    ledger = open_ledger()
    nobody = WebhookChannel("http://127.0.0.1:9/hook", [SECRET], clock=clock)
    channels = {nobody.name: nobody, **webhook(receiver, clock)}
    for n in range(3):
        change = raised.model_copy(update={"key": f"m{n}/drift", "incident": f"i{n}"})
        ledger.apply_alerts(f"event-{n}", [change], as_of=clock())
    assert deliver_due(ledger, channels) == 3
    assert len(receiver.requests) == 3
    assert len(ledger.failing_deliveries([nobody.name])) == 1, "one that hangs costs one time-out a round"
    assert deliver_due(ledger, channels) == 0
    assert len(ledger.failing_deliveries([nobody.name])) == 2


def test_nothing_goes_out_unsigned(
    open_ledger: Callable[[], Ledger], receiver: Any, clock: Any, raised: AlertRaised
) -> None:
    ledger, channel = open_ledger(), WebhookChannel(receiver.url, [], clock=clock)
    ledger.apply_alerts("event-1", [raised], as_of=clock())
    assert deliver_due(ledger, {channel.name: channel}) == 0
    assert receiver.requests == []
    assert "webhook_secrets" in (ledger.failing_deliveries([channel.name])[0].error or "")


def test_apprise_carries_title_and_text(receiver: Any, open_ledger: Callable[[], Ledger], clock: Any) -> None:
    ledger = open_ledger()
    channel = AppriseChannel(receiver.url.replace("http://", "json://"))
    raised = AlertRaised(
        key="a/drift", kind="drift", severity="critical", incident="i", title="a: 1 column drifted", text="- x moved"
    )
    ledger.apply_alerts("event-1", [raised], as_of=clock())
    assert deliver_due(ledger, {channel.name: channel}) == 1
    _, body = receiver.requests[0]
    sent = json.loads(body)
    assert sent["title"] == "Critical: a: 1 column drifted"
    assert "x moved" in sent["message"]
    assert sent["type"] == "failure"


def test_what_apprise_can_not_send_is_an_answer_without_the_url(
    receiver: Any, open_ledger: Callable[[], Ledger], clock: Any, raised: AlertRaised
) -> None:
    ledger = open_ledger()
    receiver.statuses = [500]
    urls = [receiver.url.replace("http://", "json://ada:hush@"), "nosuchthing://hush"]
    channels = {channel.name: channel for channel in map(AppriseChannel, urls)}
    ledger.apply_alerts("event-1", [raised], as_of=clock())
    assert deliver_due(ledger, channels) == 0
    errors = [delivery.error or "" for delivery in ledger.failing_deliveries(sorted(channels))]
    assert len(errors) == 2
    assert not any("hush" in error for error in errors)
    assert any("does not understand" in error for error in errors)
    assert any("500" in error for error in errors)


def test_a_worker_that_falls_silent_is_told_by_another_and_its_return_too(
    open_ledger: Callable[[], Ledger], receiver: Any, clock: Any, tmp_path: Path
) -> None:
    ledger = open_ledger()
    settings = Settings(
        project=tmp_path, webhook_urls=[receiver.url], webhook_secrets=[SECRET], alert_window_s=0, lease_s=10
    )
    channels = channels_of(settings, clock=clock)
    ledger.beat("worker@a")
    clock.pass_by(61)
    assert look_after_alerts(ledger, settings, channels, now=clock()) == 1
    clock.pass_by(10)
    assert look_after_alerts(ledger, settings, channels, now=clock()) == 0
    ledger.beat("worker@a")
    assert look_after_alerts(ledger, settings, channels, now=clock()) == 1
    types = [json.loads(body)["type"] for _, body in receiver.requests]
    assert types == ["alert.raised", "alert.resolved"]


def test_a_worker_that_stays_away_is_forgotten_after_a_day(
    open_ledger: Callable[[], Ledger], clock: Any, tmp_path: Path
) -> None:
    ledger, settings = open_ledger(), Settings(project=tmp_path)
    ledger.beat("worker@a")
    clock.pass_by(200)
    look_after_alerts(ledger, settings, {}, now=clock())
    assert [alert.key for alert in ledger.alerts()] == ["worker@a/worker_silent"]
    clock.pass_by(86_400)
    look_after_alerts(ledger, settings, {}, now=clock())
    assert ledger.workers() == []
    assert ledger.alerts() == []


def test_a_replay_tells_nobody(
    open_ledger: Callable[[], Ledger], receiver: Any, clock: Any, raised: AlertRaised, tmp_path: Path
) -> None:
    ledger = open_ledger()
    ledger.apply_alerts("event-1", [raised], as_of=clock())
    given: dict[str, Any] = {"webhook_urls": [receiver.url], "webhook_secrets": [SECRET], "alert_window_s": 0}
    settings = Settings(project=tmp_path, clock="event", **given)
    assert look_after_alerts(ledger, settings, channels_of(settings, clock=clock), now=clock()) == 0
    assert receiver.requests == []
    real = Settings(project=tmp_path, **given)
    assert look_after_alerts(ledger, real, channels_of(real, clock=clock), now=clock()) == 1
