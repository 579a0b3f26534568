"""Who sees to what falls due: the handlers of timers, and the errands, that every process has."""

from collections.abc import Mapping
from datetime import timedelta

from app.carriers import Carriers
from app.settings import Settings
from domain import (
    backorders,
    closing,
    collection,
    deadlines,
    decisions,
    feed,
    idempotency,
    lateness,
    reservations,
    shortage,
    webhooks,
)
from domain.assignments import COLLECTION
from domain.errands import Errand
from domain.inventory import waiting
from domain.network import CLOSING, OPENING, Networks
from domain.returns import Postage, expiry, undelivered
from domain.shipments import RETURNED, Bookings
from domain.timers import Handler

EVER = (
    idempotency.TIMER,
    reservations.FORGETTING,
    decisions.TIMER,
    feed.TIMER,
    webhooks.TIMER,
    lateness.TIMER,
    deadlines.LOOK,
    expiry.LOOK,
)
"""The kinds of the timers that never end."""


def handlers(networks: Networks, settings: Settings) -> dict[str, Handler]:
    """Return who sees to the timers of each kind."""
    return {
        waiting.TIMER: backorders.handler(networks),
        waiting.AGAIN: waiting.wake_again,
        shortage.TIMER: shortage.handler(networks),
        CLOSING: closing.handler(networks),
        OPENING: closing.opened,
        deadlines.LOOK: deadlines.look,
        deadlines.EXPIRY: deadlines.handler(networks),
        COLLECTION: collection.handler(networks),
        RETURNED: undelivered.handler(networks),
        expiry.LOOK: expiry.look,
        expiry.EXPIRY: expiry.handler(networks),
        idempotency.TIMER: idempotency.forgetting(timedelta(hours=settings.idempotency_hours)),
        decisions.TIMER: decisions.forgetting(timedelta(days=settings.decision_days)),
        webhooks.TIMER: webhooks.forgetting(timedelta(days=settings.webhook_dead_days)),
        feed.TIMER: feed.forgetting(
            settings.feed_retention,
            unread=webhooks.told_through,
            longest=timedelta(days=settings.webhook_dead_days),
        ),
        lateness.TIMER: lateness.look,
        reservations.TIMER: reservations.expire,
        reservations.FORGETTING: reservations.forgetting(timedelta(hours=settings.idempotency_hours)),
    }


def errands(networks: Networks, found: Carriers) -> Mapping[str, Errand]:
    """Return who sees to the timers of each kind that is about asking others."""
    parcels = Bookings(networks=networks, carrier=found.find).errands()
    return {**parcels, **Postage(networks=networks, carrier=found.find).errands()}
