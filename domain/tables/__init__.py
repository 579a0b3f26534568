"""Tables as SQLModel: metadata for the migrations and for cold reads."""

import sqlalchemy as sa
from sqlmodel import SQLModel

from domain.tables import (
    access,
    assignments,
    feed,
    inventory,
    network,
    orders,
    replenishment,
    reservations,
    returns,
    routing,
    shipments,
    timers,
    webhooks,
)

sa.Sequence("feed_id", start=32, increment=32, metadata=SQLModel.metadata)
sa.Sequence("order_number", start=100001, metadata=SQLModel.metadata)
sa.Sequence("return_number", start=100001, metadata=SQLModel.metadata)
sa.Sequence("shipment_number", metadata=SQLModel.metadata)
sa.Sequence("timeline_id_seq", metadata=SQLModel.metadata)
sa.Sequence("transfer_number", start=100001, metadata=SQLModel.metadata)

metadata = SQLModel.metadata

__all__ = [
    "access",
    "assignments",
    "feed",
    "inventory",
    "metadata",
    "network",
    "orders",
    "replenishment",
    "reservations",
    "returns",
    "routing",
    "shipments",
    "timers",
    "webhooks",
]
