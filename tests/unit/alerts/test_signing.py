"""Signatures after the Standard Webhooks specification."""

from datetime import UTC, datetime, timedelta

import pytest

from ratoon.alerts import sign, verify
from ratoon.errors import ConfigError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

VECTORS = [
    # The first is the specification's own (standard-webhooks/standard-webhooks, libraries/python/tests); the second
    # is what the reference library standardwebhooks 1.1.0 signs, run beside ours.
    (
        SECRET,
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        '{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        OTHER,
        "message-0123456789abcdef01234567",
        1_767_225_600,
        '{"type":"alert.raised","text":"é ü 漢"}',
        "v1,gZv1aFBasPJYyBv+0ZNW4CJScjAIx/b6qbUB3OEoLxk=",
    ),
]


@pytest.mark.parametrize(("secret", "message_id", "seconds", "body", "signature"), VECTORS)
def test_a_signature_is_the_reference_librarys(
    secret: str, message_id: str, seconds: int, body: str, signature: str
) -> None:
    timestamp = datetime.fromtimestamp(seconds, tz=UTC)
    headers = sign(body.encode(), message_id=message_id, timestamp=timestamp, secrets=[secret])
    expected = {"webhook-id": message_id, "webhook-timestamp": str(seconds), "webhook-signature": signature}
    assert headers == expected
    assert verify(body.encode(), headers, secret=secret, now=timestamp)


def test_each_secret_signs_so_that_receivers_change_theirs_one_by_one() -> None:
    headers = sign(b"{}", message_id="m", timestamp=NOW, secrets=[SECRET, OTHER])
    assert headers["webhook-signature"].count("v1,") == 2
    assert verify(b"{}", headers, secret=SECRET, now=NOW)
    assert verify(b"{}", headers, secret=OTHER, now=NOW)


def test_header_names_are_read_in_any_case() -> None:
    headers = sign(b"{}", message_id="m", timestamp=NOW, secrets=[SECRET])
    assert verify(b"{}", {name.title(): value for name, value in headers.items()}, secret=SECRET, now=NOW)


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        (b"{ }", {}),
        (b"{}", {"webhook-id": "n"}),
        (b"{}", {"webhook-timestamp": str(int(NOW.timestamp()) + 1)}),
        (b"{}", {"webhook-timestamp": "soon"}),
        (b"{}", {"webhook-signature": "v1,AAAA"}),
        (b"{}", {"webhook-signature": ""}),
    ],
    ids=["body", "id", "timestamp", "no timestamp", "signature", "no signature"],
)
def test_whatever_was_changed_on_the_way_does_not_verify(body: bytes, changed: dict[str, str]) -> None:
    headers = sign(b"{}", message_id="m", timestamp=NOW, secrets=[SECRET]) | changed
    assert not verify(body, headers, secret=SECRET, now=NOW)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_or_a_future_message_does_not_verify(minutes: int) -> None:
    headers = sign(b"{}", message_id="m", timestamp=NOW, secrets=[SECRET])
    assert not verify(b"{}", headers, secret=SECRET, now=NOW + timedelta(minutes=minutes))


def test_a_secret_that_is_not_base64_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError) as caught:
        sign(b"{}", message_id="m", timestamp=NOW, secrets=["whsec_not base64!"])
    assert "not base64!" not in caught.value.message
