"""A receiver of webhooks on loopback, and a ledger whose clock a test moves."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ratoon.alerts import verify
from ratoon.ledger import Ledger
from ratoon.ledger.records import AlertRaised

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Receiver:
    """Answers with the statuses it is given, then with 200; keeps what it got."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    delay_s: float = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.requests]

    def verified(self, now: datetime, secret: str = SECRET) -> list[dict[str, Any]]:
        """Return the payloads, each of which must be signed."""
        for headers, body in self.requests:
            assert verify(body, headers, secret=secret, now=now)
        return [json.loads(body) for _, body in self.requests]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with found.lock:
                found.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status = found.statuses.pop(0) if found.statuses else 200
            threading.Event().wait(found.delay_s)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", f"{found.url}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()


class HandClock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def open_ledger(tmp_path: Path, clock: HandClock) -> Iterator[Callable[[], Ledger]]:
    """Opens ledgers on one database."""
    opened: list[Ledger] = []

    def open_one() -> Ledger:
        opened.append(Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", clock=clock))
        return opened[-1]

    open_one().migrate()
    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def raised() -> AlertRaised:
    return AlertRaised(
        key="delays/drift",
        kind="drift",
        severity="warning",
        model="delays",
        incident="flights/day-1",
        title="delays: 3 of 12 columns drifted",
        text="- distance moved",
    )
