"""Less on the shelf than orders hold: the work that was promised latest gives way, and is routed anew."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from domain import inventory
from domain.assignments import Desk
from domain.inventory.waiting import SEPARATOR
from domain.network import Networks
from domain.timers import Handler
from domain.transaction import Connection
from domain.viewer import Viewer
from domain.vocabulary import Role

TIMER = "shortage"
SYSTEM = Viewer(role=Role.ADMIN, name="Crossdock", expires_at=datetime.max.replace(tzinfo=UTC))


def handler(networks: Networks) -> Handler:
    """Return what sees to the timers that placing from a reservation sets where it held more than is on hand."""

    async def handle(connection: Connection, key: str, now: datetime) -> None:
        sku, location_id, *_ = key.split(SEPARATOR)
        level = sku, UUID(location_id)
        await inventory.foresee(connection, [level])
        await settle(connection, networks, [level], viewer=SYSTEM, now=now)

    return handle


async def settle(
    connection: Connection, networks: Networks, keys: Sequence[tuple[str, UUID]], *, viewer: Viewer, now: datetime
) -> None:
    """Mark work at these levels (SKU, location) short until what is reserved is on hand, in the caller's transaction.

    What is picked is in somebody's hands, and stays. What carts and transfers hold stays, too: they may let go.
    """
    desk = Desk(connection=connection, networks=networks, viewer=viewer, now=now)
    for sku, location_id in keys:
        over: int = await connection.fetchval(
            "SELECT reserved - on_hand FROM stock WHERE sku = $1 AND location_id = $2", sku, location_id
        )
        for row in await connection.fetch(_LATEST_PROMISED_FIRST, sku, location_id):
            if over <= 0:
                break
            over -= await desk.lose(row["id"], sku, over)


_LATEST_PROMISED_FIRST = """
SELECT a.id
  FROM assignment a JOIN assignment_line l ON l.assignment_id = a.id
 WHERE l.sku = $1 AND a.location_id = $2 AND a.status IN ('HELD', 'OFFERED', 'ACCEPTED', 'PICKING')
   AND l.quantity - l.short - l.picked > 0
 ORDER BY a.arrives_latest DESC, a.id DESC
"""
