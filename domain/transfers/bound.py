"""Transfers that an order waits for: what comes is handed on to its store, what does not is sought elsewhere.

Whoever changes one locks its order first, so that what befalls an order comes one after the other.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from domain import feed, inventory, orders, routing
from domain.inventory import Movement
from domain.network import Networks
from domain.orders import OrderRow
from domain.transaction import Connection
from domain.transfers.reading import TransferLineRow, TransferRow, lines_of, transfers
from domain.vocabulary import MovementReason, OrderStatus, RoutingTrigger, TransferStatus, UpdateKind


def movement(
    row: TransferRow,
    sku: str,
    reason: MovementReason,
    location_id: UUID,
    *,
    on_hand: int = 0,
    reserved: int = 0,
    incoming: int = 0,
) -> Movement:
    """Return what a transfer does to the stock at one of its ends."""
    return Movement(
        sku=sku,
        location_id=location_id,
        reason=reason,
        on_hand_delta=on_hand,
        reserved_delta=reserved,
        incoming_delta=incoming,
        order_id=row.order_id,
        note=f"Transfer {row.number}.",
    )


async def taken(connection: Connection, transfer_id: UUID) -> tuple[TransferRow, OrderRow | None] | None:
    """Lock the order that waits for a transfer, and the transfer; return both. None where there is no such transfer."""
    await connection.execute(
        "SELECT FROM customer_order WHERE id = (SELECT order_id FROM transfer WHERE id = $1) FOR NO KEY UPDATE",
        transfer_id,
    )
    await connection.execute("SELECT FROM transfer WHERE id = $1 FOR NO KEY UPDATE", transfer_id)
    rows = await transfers(connection, [transfer_id])
    if not rows:
        return None
    return rows[0], await orders.order(connection, rows[0].order_id) if rows[0].order_id else None


async def say(connection: Connection, order: OrderRow, message: str, *, actor: str, now: datetime) -> None:
    """Tell an order's timeline, and who listens, what befell a transfer that it waits for."""
    told = orders.Told(order_id=order.id, channel=order.channel, location_ids=())
    step = orders.Step(kind=UpdateKind.ORDER_CHANGED, status=OrderStatus(order.status), message=message)
    await orders.note(connection, [orders.entry(told, step, actor=actor, now=now)])
    await feed.record(connection, [orders.fact(told, step, now=now)])


async def hand_on(
    connection: Connection, networks: Networks, order: OrderRow, arrived: Mapping[str, int], *, now: datetime
) -> None:
    """Offer to an order's store what has arrived there for it, and is reserved."""
    snapshot = await networks.current(connection)
    await routing.offer_arrived(connection, snapshot, order, arrived, now=now)
    await orders.settle(connection, order, actor=None, now=now)


async def seek_elsewhere(
    connection: Connection,
    networks: Networks,
    order: OrderRow,
    lost: Mapping[str, int],
    *,
    trigger: RoutingTrigger,
    now: datetime,
) -> None:
    """Seek elsewhere what will not come after all. Each level of these items is locked, by `inventory.lock_items`."""
    snapshot = await networks.current(connection)
    await routing.reroute(connection, snapshot, order, lost, trigger=trigger, now=now)
    await orders.settle(connection, order, actor=None, now=now)


def waited_for(lines: Sequence[TransferLineRow]) -> dict[str, int]:
    """Return how many units of each SKU an order waits for."""
    return {line.sku: line.bound for line in lines if line.bound}


async def coming(connection: Connection, order_id: UUID, *, asked: Sequence[UUID] | None = None) -> Counter[str]:
    """Return how many units of each SKU are still to come to an order's store by transfer.

    Where locations are `asked`, only what these have been asked for and have not dispatched yet.
    """
    rows = await connection.fetch(_COMING, order_id, asked)
    return Counter({row["sku"]: row["units"] for row in rows})


async def take_back(
    connection: Connection, order_id: UUID, units: Mapping[str, int], *, asked: Sequence[UUID] | None = None
) -> list[Movement]:
    """Let units no longer wait for an order, which is locked; return what that releases, for the caller to move.

    What nobody has dispatched yet stays at its source; what is on its way will be anybody's. Where locations are
    `asked`, only what `coming` tells of these is taken back.
    """
    left = Counter(units)
    released: list[Movement] = []
    rows: list[TransferRow] = await connection.fetch(_OPEN, order_id, asked, record_class=TransferRow)
    for row in rows:
        lines = await lines_of(connection, [row.id])
        freed = {line.sku: min(line.bound, left[line.sku]) for line in lines}
        left -= Counter(freed)
        if not any(freed.values()):
            continue
        keys = [(row.id, *each) for each in freed.items() if each[1]]
        status = row.status
        if row.status == TransferStatus.IN_TRANSIT:
            await connection.executemany(_UNBIND, keys)
        else:
            released += [
                movement(row, sku, MovementReason.RELEASED, row.from_location_id, reserved=-count)
                for _, sku, count in keys
            ]
            if all(line.bound == freed[line.sku] for line in lines):
                status = TransferStatus.CANCELLED
            else:
                await connection.executemany(_LEAVE_OUT, keys)
                await connection.executemany(_SHRINK, keys)
        await connection.execute("UPDATE transfer SET status = $2, version = version + 1 WHERE id = $1", row.id, status)
    return released


async def shut(connection: Connection, networks: Networks, transfer_id: UUID, *, now: datetime) -> None:
    """Let what is on its way to a store that has closed be anybody's, and see what else can be done for its order."""
    found = await taken(connection, transfer_id)
    row, order = found or (None, None)
    if row is None or order is None or row.status != TransferStatus.IN_TRANSIT:
        return
    lost = waited_for(await lines_of(connection, [row.id]))
    await connection.execute("UPDATE transfer_line SET bound = 0 WHERE transfer_id = $1", row.id)
    if lost:
        await inventory.lock_items(connection, list(lost))
        trigger = RoutingTrigger.LOCATION_CLOSED
        await seek_elsewhere(connection, networks, order, lost, trigger=trigger, now=now)


_COMING = """
SELECT l.sku, sum(l.bound)::int AS units
  FROM transfer t JOIN transfer_line l ON l.transfer_id = t.id
 WHERE t.order_id = $1 AND t.status IN ('REQUESTED', 'IN_TRANSIT') AND l.bound > 0
   AND ($2::uuid[] IS NULL OR t.status = 'REQUESTED' AND t.from_location_id = ANY ($2::uuid[]))
 GROUP BY l.sku
"""
_UNBIND = "UPDATE transfer_line SET bound = bound - $3 WHERE transfer_id = $1 AND sku = $2"
_LEAVE_OUT = "DELETE FROM transfer_line WHERE transfer_id = $1 AND sku = $2 AND quantity = $3"
_SHRINK = """
UPDATE transfer_line SET quantity = quantity - $3, bound = bound - $3 WHERE transfer_id = $1 AND sku = $2
"""
_OPEN = """
SELECT * FROM transfer
 WHERE order_id = $1 AND status IN ('REQUESTED', 'IN_TRANSIT')
   AND ($2::uuid[] IS NULL OR status = 'REQUESTED' AND from_location_id = ANY ($2::uuid[]))
 ORDER BY status DESC, id FOR NO KEY UPDATE
"""
