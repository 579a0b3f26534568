"""Webhooks: who is told over HTTP, what may be reached, and what waits because it was not taken."""

from domain.webhooks.parked import (
    TIMER,
    Delivery,
    ParkedRow,
    advance,
    dead_letters,
    due,
    fail,
    forgetting,
    held,
    succeed,
)
from domain.webhooks.registry import (
    WebhookChange,
    WebhookRow,
    active_webhooks,
    all_webhooks,
    claim,
    delete_webhook,
    release,
    replay_webhook,
    save_webhook,
    skip,
    told_through,
    webhooks,
)
from domain.webhooks.signing import sign
from domain.webhooks.targets import Targets

__all__ = [
    "TIMER",
    "Delivery",
    "ParkedRow",
    "Targets",
    "WebhookChange",
    "WebhookRow",
    "active_webhooks",
    "advance",
    "all_webhooks",
    "claim",
    "dead_letters",
    "delete_webhook",
    "due",
    "fail",
    "forgetting",
    "held",
    "release",
    "replay_webhook",
    "save_webhook",
    "sign",
    "skip",
    "succeed",
    "told_through",
    "webhooks",
]
