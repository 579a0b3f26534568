"""A parcel that nobody collects in time."""

from datetime import datetime
from functools import partial
from uuid import UUID

from domain.assignments import Desk
from domain.network import Networks
from domain.shortage import SYSTEM
from domain.timers import Handler
from domain.transaction import Connection


def handler(networks: Networks) -> Handler:
    """Return what sees to the timers that a parcel which is ready for its shopper sets."""
    return partial(_handle, networks)


async def _handle(networks: Networks, connection: Connection, key: str, now: datetime) -> None:
    await Desk(connection=connection, networks=networks, viewer=SYSTEM, now=now).give_up(UUID(key))
