"""Commands about alerts and metrics: alerts, mute, unmute, resolve, metrics."""

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ratoon.cli.failure import FAILED, OK
from ratoon.cli.options import DEFAULTS, Options
from ratoon.cli.output import answer
from ratoon.cli.session import actor, open_ratoon, settings_of

if TYPE_CHECKING:
    from ratoon.ledger import Ledger
    from ratoon.ledger.records import Alert, Delivery


def alerts(
    *,
    model: str | None = None,
    all_alerts: Annotated[bool, Parameter(name="--all")] = False,
    test: bool = False,
    options: Options = DEFAULTS,
) -> int:
    """Show what needs a person, and whether it was told.

    With --test a test message goes to every channel, and the answers are shown; exit code 1 where one fails.

    Args:
        model: Only alerts about this model.
        all_alerts: Also those that are over.
        test: Try the channels instead.
        options: How to answer, and about which project.
    """
    from ratoon.cli.views.alerts import alert_blocks

    if test:
        return _test(options)
    ratoon = open_ratoon(options)
    found = ratoon.ledger.alerts(model, with_resolved=all_alerts)
    mutes, deliveries = ratoon.ledger.mutes(), _deliveries(ratoon.ledger, found)
    record = {"alerts": found, "mutes": mutes, "deliveries": deliveries}
    blocks = alert_blocks(found, mutes, deliveries, ratoon.clock(), at_least=ratoon.settings.alert_severity)
    answer(record, blocks, as_json=options.json)
    return OK


def mute(
    pattern: str,
    *,
    duration: Annotated[str, Parameter(name="--for")],
    reason: str,
    options: Options = DEFAULTS,
) -> int:
    """Send nothing about some alerts for a while.

    What is still open when the mute ends is sent then; what began and ended under it never is.

    Args:
        pattern: An alert's key, as `ratoon alerts` shows it; *, ? and [...] are wildcards.
        duration: How long, for example 8h, 2d or 1w.
        reason: Why; the audit keeps it.
        options: How to answer, and about which project.
    """
    ratoon = open_ratoon(options)
    until = ratoon.clock() + _duration(duration)
    found = ratoon.ledger.mute(pattern, until=until, actor=actor(), reason=reason)
    covered = sum(found.covers(alert.key) for alert in ratoon.ledger.alerts())
    line = f"{pattern} is muted until {found.until:%Y-%m-%d %H:%M} UTC; {covered} open alerts are covered"
    answer(found, [line], as_json=options.json)
    return OK


def unmute(pattern: str, *, options: Options = DEFAULTS) -> int:
    """End a mute.

    Args:
        pattern: As it was muted.
        options: How to answer, and about which project.
    """
    found = open_ratoon(options).ledger.unmute(pattern, actor=actor())
    answer(found, [f"{pattern} is no longer muted"], as_json=options.json)
    return OK


def resolve(key: str, *, reason: str, options: Options = DEFAULTS) -> int:
    """Say that an alert is over.

    The channels that were told of it are told of its end. Should its cause be seen again, a new alert opens.

    Args:
        key: The alert's key, as `ratoon alerts` shows it.
        reason: Why; the audit and the message carry it.
        options: How to answer, and about which project.
    """
    found = open_ratoon(options).ledger.resolve_alert(key, actor=actor(), reason=reason)
    answer(found, [f"{key} is resolved"], as_json=options.json)
    return OK


def metrics(*, options: Options = DEFAULTS) -> int:
    """Print the ledger's figures as Prometheus reads them.

    With metrics_port set, `ratoon up` serves the same text on 127.0.0.1 under /metrics.

    Args:
        options: How to answer, and about which project.
    """
    from ratoon.stack.exposition import exposition

    text = exposition(open_ratoon(options).ledger)
    if options.json:
        answer({"content": text}, [], as_json=True)
    else:
        sys.stdout.write(text)
    return OK


def _test(options: Options) -> int:
    from ratoon.alerts import channels_of
    from ratoon.alerts.messages import trial_message
    from ratoon.cli.views.alerts import answer_blocks
    from ratoon.ledger.engine import utc_now

    settings = settings_of(options)
    message = trial_message(datetime.now(UTC))
    answers = {name: channel.send(message) for name, channel in channels_of(settings, clock=utc_now).items()}
    answer({"answers": answers}, answer_blocks(answers), as_json=options.json)
    return OK if answers and all(found.is_delivered for found in answers.values()) else FAILED


def _deliveries(ledger: "Ledger", alerts: "list[Alert]") -> "list[Delivery]":
    return ledger.deliveries(sorted({alert.message_id for alert in alerts if alert.message_id is not None}))


def _duration(text: str) -> timedelta:
    from ratoon.errors import ConfigError
    from ratoon.instants import parse_duration

    try:
        return parse_duration(text)
    except ValueError as exc:
        raise ConfigError(f"--for: {exc}") from exc
