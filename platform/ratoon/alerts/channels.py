"""Where messages go: a signed webhook per URL, and whatever apprise speaks."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from ratoon.alerts.messages import webhook_payload
from ratoon.alerts.signing import sign
from ratoon.identity import canonical_json, digest_bytes
from ratoon.ledger.records import AlertMessage
from ratoon.settings import Settings

_TIMEOUT_S = 10.0
_LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one attempt to send.

    Attributes:
        is_delivered: Whether the channel took the message.
        detail: What it answered, or what went wrong; never a URL or a secret.
        is_final: Whether trying again is pointless.
    """

    is_delivered: bool
    detail: str
    is_final: bool = False


class Channel(Protocol):
    """Somewhere that messages go. ``name`` is stable, and gives nothing secret away."""

    name: str

    def send(self, message: AlertMessage) -> Answer:
        """Try once; what goes wrong is an answer, never an error."""


class WebhookChannel:
    """Posts signed JSON (Standard Webhooks). Redirects are not followed: they could lead anywhere.

    Args:
        url: http or https.
        secrets: Each signs.
        clock: What time it is.
        timeout_s: Time that the receiver has for each step of its answer.
    """

    def __init__(
        self, url: str, secrets: Sequence[str], *, clock: Callable[[], datetime], timeout_s: float = _TIMEOUT_S
    ) -> None:
        self.name = f"webhook:{urlsplit(url).hostname}:{_fingerprint(url)}"
        self._url = url
        self._secrets = tuple(secrets)
        self._clock = clock
        self._timeout_s = timeout_s
        self._opener = urllib.request.build_opener(_NoRedirects)

    def send(self, message: AlertMessage) -> Answer:
        """Post a message once; any 2xx takes it, 410 means that this receiver is gone. Nothing goes out unsigned."""
        if not self._secrets:
            return Answer(is_delivered=False, detail="webhook_secrets is empty, and every webhook is signed; set it")
        body = canonical_json(webhook_payload(message)).encode()
        headers = sign(body, message_id=message.message_id, timestamp=self._clock(), secrets=self._secrets)
        headers |= {"content-type": "application/json", "user-agent": "ratoon"}
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310 - settings refuse other schemes
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                return Answer(is_delivered=True, detail=f"HTTP {response.status}")
        except urllib.error.HTTPError as exc:
            exc.close()
            hint = "; redirects are not followed" if 300 <= exc.code < 400 else ""
            return Answer(is_delivered=False, detail=f"HTTP {exc.code}{hint}", is_final=exc.code == http.client.GONE)
        except urllib.error.URLError as exc:
            return Answer(is_delivered=False, detail=_short(exc.reason))
        except (OSError, http.client.HTTPException) as exc:
            return Answer(is_delivered=False, detail=_short(exc))


class AppriseChannel:
    """Sends through one apprise URL. Apprise is imported at the first message: it costs a second.

    Args:
        url: As apprise writes them: ``slack://...``, ``mailto://...``.
    """

    def __init__(self, url: str) -> None:
        self.name = f"{url.partition('://')[0].lower()}:{_fingerprint(url)}"
        self._url = url
        self._made: Any = None

    def send(self, message: AlertMessage) -> Answer:
        """Notify once; what apprise logs about a failure is its answer."""
        import apprise

        if self._made is None:
            asset = apprise.AppriseAsset(app_id="Ratoon", app_desc="Ratoon's alerts", http_redirects=False)
            self._made = apprise.Apprise(asset=asset)
            if not self._made.add(self._url):
                self._made = None
                return Answer(is_delivered=False, detail="apprise does not understand this URL; correct alert_urls")
        capture: Any = apprise.LogCapture
        with capture(level=apprise.logging.WARNING, fmt="%(message)s") as log:
            try:
                taken = self._made.notify(
                    title=message.title,
                    body=message.text,
                    notify_type=_notify_type(message),
                    body_format=apprise.NotifyFormat.MARKDOWN,
                )
            except Exception as exc:  # noqa: BLE001 - a hundred plug-ins of others; none may end the sending
                return Answer(is_delivered=False, detail=_short(type(exc).__name__))
            said = log.getvalue()
        if taken:
            return Answer(is_delivered=True, detail="accepted")
        return Answer(is_delivered=False, detail=_short(said.replace(self._url, self.name)) or "not accepted")


def channels_of(settings: Settings, *, clock: Callable[[], datetime]) -> dict[str, Channel]:
    """Return the channels of the settings by name; nothing connects before it is used."""
    webhooks = [WebhookChannel(url, settings.webhook_secrets, clock=clock) for url in settings.webhook_urls]
    found: list[Channel] = [*webhooks, *(AppriseChannel(url) for url in settings.alert_urls)]
    return {channel.name: channel for channel in found}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: the redirect itself becomes the error."""


def _notify_type(message: AlertMessage) -> Any:
    import apprise

    if message.transition == "resolved":
        return apprise.NotifyType.SUCCESS
    types = {"info": apprise.NotifyType.INFO, "warning": apprise.NotifyType.WARNING}
    return types.get(message.severity, apprise.NotifyType.FAILURE)


def _fingerprint(url: str) -> str:
    return digest_bytes(url.encode())[:8]


def _short(value: object) -> str:
    text = " ".join(str(value).split()) or type(value).__name__
    return text if len(text) <= _LONGEST_DETAIL else text[: _LONGEST_DETAIL - 1] + "…"
