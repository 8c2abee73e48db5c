"""Signatures of webhooks after the Standard Webhooks specification (https://www.standardwebhooks.com), scheme v1."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ratoon.errors import ConfigError
from ratoon.settings import WEBHOOK_SECRET_PREFIX

_TOLERANCE = timedelta(minutes=5)


def sign(body: bytes, *, message_id: str, timestamp: datetime, secrets: Sequence[str]) -> dict[str, str]:
    """Return the headers that prove who sent a body and when.

    Args:
        body: The bytes that are sent.
        message_id: The message's identity, the same at every attempt.
        timestamp: The attempt's time.
        secrets: ``whsec_`` and base64; one signature for each, so that receivers can change theirs one by one.

    Raises:
        ConfigError: A secret is not base64.
    """
    seconds = int(timestamp.timestamp())
    signed = f"{message_id}.{seconds}.".encode() + body
    signatures = [hmac.new(_key(secret), signed, hashlib.sha256).digest() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(signature).decode()}" for signature in signatures),
    }


def verify(body: bytes, headers: Mapping[str, str], *, secret: str, now: datetime) -> bool:
    """Return whether a body was signed with a secret less than five minutes before or after ``now``."""
    found = {name.lower(): value for name, value in headers.items()}
    message_id, seconds = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not message_id or not seconds.isdecimal():
        return False
    if abs(now.timestamp() - int(seconds)) > _TOLERANCE.total_seconds():
        return False
    expected = hmac.new(_key(secret), f"{message_id}.{seconds}.".encode() + body, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(expected).decode()}"
    return any(hmac.compare_digest(wanted, one) for one in found.get("webhook-signature", "").split(" "))


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(WEBHOOK_SECRET_PREFIX), validate=True)
    except binascii.Error as exc:
        raise ConfigError(
            "a webhook secret is not base64; expected whsec_ and the base64 of 24 to 64 random bytes"
        ) from exc
