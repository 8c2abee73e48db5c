"""Alerts: what follows from what the loop saw, what people are told about it, and how it reaches them."""

from ratoon.alerts.channels import Answer, Channel, channels_of
from ratoon.alerts.decide import Decay, alerts_of_batch, alerts_of_model, alerts_of_retrain
from ratoon.alerts.delivery import deliver_due, look_after_alerts, raise_alerts, raise_batch_alerts
from ratoon.alerts.messages import compose, webhook_payload
from ratoon.alerts.signing import sign, verify

__all__ = [
    "Answer",
    "Channel",
    "Decay",
    "alerts_of_batch",
    "alerts_of_model",
    "alerts_of_retrain",
    "channels_of",
    "compose",
    "deliver_due",
    "look_after_alerts",
    "raise_alerts",
    "raise_batch_alerts",
    "sign",
    "verify",
    "webhook_payload",
]
