"""How alerts read, how long failed deliveries wait, and what channels are called."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ratoon.alerts import channels_of, compose, webhook_payload
from ratoon.alerts.messages import trial_message, wait_after
from ratoon.ledger.records import Alert, Mute
from ratoon.settings import Settings

NOW = datetime(2026, 1, 5, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def alert(key: str = "delays/drift", severity: str = "warning", **values: Any) -> Alert:
    known: dict[str, Any] = dict.fromkeys(Alert.model_fields)
    known |= {"alert_id": key, "key": key, "kind": "drift", "severity": severity, "incident": "i", "title": key}
    known |= {"text": f"About {key}.", "evidence": {}, "state": "open", "count": 1, "first_seen": NOW}
    return Alert.model_validate(known | {"last_seen": NOW, "opened_at": NOW} | values)


def test_one_alert_is_the_whole_message() -> None:
    title, text = compose([alert()], "raised")
    assert title == "Warning: delays/drift"
    assert "About delays/drift." in text
    assert "ratoon mute delays/drift --for 1d" in text


def test_of_several_alerts_the_worst_leads() -> None:
    title, text = compose([alert("a/drift"), alert("b/drift", "critical"), alert("c/drift", "info")], "raised")
    assert title == "Critical: b/drift and 2 more"
    assert text.index("About b") < text.index("About a") < text.index("About c")


def test_a_resolved_message_says_why_and_by_whom() -> None:
    title, text = compose([alert(state="resolved", resolved_by="person:ada", reason="expected")], "resolved")
    assert title == "Resolved: delays/drift"
    assert text == "**delays/drift** is resolved by person:ada: expected"
    assert "by ratoon" not in compose([alert(state="resolved", resolved_by="ratoon", reason="r")], "resolved")[1]


def test_a_long_title_is_cut() -> None:
    assert len(compose([alert(title="x" * 500)], "raised")[0]) == 200


def test_a_webhook_carries_type_timestamp_and_data() -> None:
    payload = webhook_payload(trial_message(NOW))
    assert list(payload) == ["type", "timestamp", "data"]
    assert (payload["type"], payload["timestamp"]) == ("alert.raised", "2026-01-05T00:00:00Z")


def test_a_failed_delivery_waits_longer_each_time_and_is_given_up_after_three_days() -> None:
    waits = [wait_after(attempt) for attempt in range(1, 11)]
    assert waits[-1] is None
    known = [wait for wait in waits if wait is not None]
    assert known == sorted(known)
    assert sum(known) / 86_400 == pytest.approx(3.15, abs=0.05)


def test_wildcards_of_a_mute_mean_parts_of_a_key() -> None:
    def covers(pattern: str, key: str) -> bool:
        return Mute(pattern=pattern, until=NOW, actor="a", reason="r", created_at=NOW).covers(key)

    assert covers("delays/drift", "delays/drift")
    assert covers("*/drift", "delays/drift")
    assert covers("delays/*", "delays/retrain_failed")
    assert not covers("delays", "delays/drift")
    assert not covers("Delays/*", "delays/drift")


def test_a_channels_name_gives_nothing_secret_away_and_stays(tmp_path: Path) -> None:
    def names(*hooks: str) -> list[str]:
        settings = Settings(
            project=tmp_path,
            webhook_urls=list(hooks),
            webhook_secrets=[SECRET],
            alert_urls=["slack://tokenA/tokenB/tokenC", "mailto://ada:password@example.com"],
        )
        return list(channels_of(settings, clock=lambda: NOW))

    found = names("https://hooks.example.com/t0ps3cret", "https://hooks.example.com/other")
    assert [name.rpartition(":")[0] for name in found] == [
        "webhook:hooks.example.com",
        "webhook:hooks.example.com",
        "slack",
        "mailto",
    ]
    assert len(set(found)) == 4
    assert not any(word in name for name in found for word in ("t0ps3cret", "token", "password", "ada"))
    assert names("https://hooks.example.com/t0ps3cret", "https://hooks.example.com/other") == found
