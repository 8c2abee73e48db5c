"""The commands about alerts and metrics, on a real ledger in a project that init wrote."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ratoon.alerts.messages import compose
from ratoon.cli import main
from ratoon.ledger import Ledger
from ratoon.ledger.records import AlertRaised, Severity
from ratoon.templates import write_project

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RATOON_HOME", "RATOON_PROJECT", "RATOON_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "shop"
    write_project(root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def ledger(project: Path) -> Ledger:
    (project / ".ratoon").mkdir()
    ledger = Ledger(f"sqlite:///{project / '.ratoon' / 'ledger.db'}")
    ledger.migrate()
    ledger.ensure_model("late", "deliveries")
    return ledger


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    server.server_close()


def see(ledger: Ledger, key: str = "late/drift", severity: Severity = "warning", *, cause: str = "event-1") -> None:
    model = key.partition("/")[0]
    raised = AlertRaised(
        key=key, kind="drift", severity=severity, model=model, incident="i", title=f"{model} drifted", text="x moved"
    )
    ledger.apply_alerts(cause, [raised], as_of=NOW)


def ask(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out or captured.err)


def read(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main([*words]) == code
    return capsys.readouterr().out


def test_without_alerts_it_says_so(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(capsys, "alerts") == "nothing is open\n"


def test_alerts_shows_the_worst_first_and_what_became_of_its_message(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    see(ledger)
    see(ledger, cause="event-2")
    see(ledger, "other/drift", "critical", cause="event-3")
    see(ledger, "mild/drift", "info", cause="event-4")
    ledger.write_messages(["slack:1", "webhook:2"], compose, at_least="critical")
    for error in (None, "HTTP 500"):
        claim = ledger.claim_delivery(["slack:1", "webhook:2"], lease_s=60)
        assert claim is not None
        if error is None:
            ledger.report_delivered(claim)
        else:
            ledger.report_undelivered(claim, error=error, again_after_s=300)
    text = read(capsys, "alerts")
    lines = text.splitlines()
    assert lines[1].startswith("critical  other/drift")
    assert lines[1].endswith("1 of 2 channels")
    assert "2 times since 2026-01-05T12:00:00Z" in lines[2]
    assert lines[2].endswith("not yet")
    assert lines[3].endswith("listed only")
    assert "HTTP 500" in text
    record = ask(capsys, "alerts", "--model", "late")
    assert [alert["key"] for alert in record["alerts"]] == ["late/drift"]


def test_a_mute_is_shown_and_ends(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    see(ledger)
    muted = ask(capsys, "mute", "late/*", "--for", "2d", "--reason", "holidays")
    assert muted["actor"].startswith("person:")
    left = datetime.fromisoformat(muted["until"]) - datetime.now(UTC)
    assert timedelta(days=1, hours=23) < left < timedelta(days=2, hours=1)
    text = read(capsys, "alerts")
    assert "muted until" in text
    assert "holidays" in text
    assert read(capsys, "unmute", "late/*") == "late/* is no longer muted\n"
    assert ask(capsys, "unmute", "late/*", code=1)["error"]["code"] == "RT-NOTFOUND"
    assert ask(capsys, "mute", "late/*", "--for", "soon", "--reason", "x", code=1)["error"]["code"] == "RT-CONFIG"


def test_a_person_resolves_an_alert_and_all_shows_it_still(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    see(ledger)
    found = ask(capsys, "resolve", "late/drift", "--reason", "the season changed")
    assert (found["state"], found["reason"]) == ("resolved", "the season changed")
    assert read(capsys, "alerts") == "nothing is open\n"
    assert "the season changed" in read(capsys, "alerts", "--all")
    assert ask(capsys, "resolve", "late/drift", "--reason", "x", code=1)["error"]["code"] == "RT-NOTFOUND"


def test_a_test_tries_every_channel_and_fails_where_one_does(
    ledger: Ledger,
    receiver: tuple[str, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, got = receiver
    assert "no channel is set" in read(capsys, "alerts", "--test", code=1)
    monkeypatch.setenv("RATOON_WEBHOOK_SECRETS", SECRET)
    monkeypatch.setenv("RATOON_WEBHOOK_URLS", url)
    assert "HTTP 204" in read(capsys, "alerts", "--test")
    assert json.loads(got[0])["data"]["title"] == "Ratoon's alerts arrive here"
    monkeypatch.setenv("RATOON_WEBHOOK_URLS", f"{url} http://127.0.0.1:9/hush")
    record = ask(capsys, "alerts", "--test", code=1)
    assert sorted(found["is_delivered"] for found in record["answers"].values()) == [False, True]
    assert "hush" not in json.dumps(record)
    assert ledger.alerts() == []


def test_doctor_warns_about_messages_that_did_not_arrive(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found() -> dict[str, Any]:
        return next(test for test in ask(capsys, "doctor")["tests"] if test["name"] == "alerts")

    assert found()["status"] == "ok"
    monkeypatch.setenv("RATOON_WEBHOOK_URLS", "http://127.0.0.1:9/hook")
    unsigned = next(test for test in ask(capsys, "doctor", code=1)["tests"] if test["name"] == "alerts")
    assert unsigned["fix"] == "set RATOON_WEBHOOK_SECRETS"
    monkeypatch.setenv("RATOON_WEBHOOK_SECRETS", SECRET)
    see(ledger)
    from ratoon.alerts import channels_of, deliver_due
    from ratoon.settings import load_settings

    deliver_due(ledger, channels_of(load_settings(), clock=lambda: datetime.now(UTC)))
    warned = found()
    assert (warned["status"], warned["fix"]) == ("warn", "ratoon alerts --test")
    assert "webhook:127.0.0.1:" in warned["cause"]


def test_metrics_are_what_prometheus_parses(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    see(ledger, severity="critical")
    ledger.beat("worker@a")
    families = {family.name: family for family in text_string_to_metric_families(read(capsys, "metrics"))}
    assert all(family.documentation for family in families.values())
    assert {family.type for family in families.values()} == {"counter", "gauge"}
    assert all(name.startswith("ratoon_") for name in families)
    alerts = {sample.labels["severity"]: sample.value for sample in families["ratoon_alerts_open"].samples}
    assert alerts == {"info": 0, "warning": 0, "critical": 1}
    (champion,) = families["ratoon_champion_version"].samples
    assert (champion.labels, champion.value) == ({"model": "late"}, 0)
    (worker,) = families["ratoon_worker_heartbeat_age_seconds"].samples
    assert 0 <= worker.value < 60
    assert ask(capsys, "metrics")["content"].startswith("# HELP ratoon_")
