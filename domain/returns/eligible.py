"""What of an order may still be returned, on which terms and until when, and why the rest may not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain import inventory, orders
from domain.errors import InvalidInput, ReturnNotEligible
from domain.network import Snapshot
from domain.orders import OrderLineRow, OrderRow
from domain.returns.policies import ReturnPolicyRow, all_policies, policy_for
from domain.transaction import Connection, Row
from domain.vocabulary import ReturnMethod, ReturnReason

MOST_LINES = 100


class _CameRow(Row):
    """How much of an order's line has come to the shopper, and is returned or announced; where it was sent from."""

    id: UUID
    arrived: int
    arrived_at: datetime | None
    location_id: UUID | None
    back: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How many units of an order's line come back, and why."""

    order_line_id: UUID
    quantity: int
    reason: ReturnReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Returnable:
    """How much of a line may be returned; `why_not` says why nothing may, and is None where something may."""

    line: OrderLineRow
    quantity: int = 0
    latest_by: datetime | None = None
    policy: ReturnPolicyRow | None = None
    why_not: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for lines that come back together: the dearest price of their policies, the earliest last moment."""

    carrier_price: int
    in_store_price: int
    auto_approve: bool
    latest_by: datetime

    def price(self, method: ReturnMethod) -> int:
        """Return what this way back costs the shopper, in minor units."""
        return self.carrier_price if method is ReturnMethod.CARRIER else self.in_store_price


async def returnable(
    connection: Connection, snapshot: Snapshot, order: OrderRow, *, now: datetime
) -> dict[UUID, Returnable]:
    """Return what may be returned of each line of an order, in their order, by the lines' ids."""
    lines = await orders.lines_of(connection, [order.id])
    came = {row.id: row for row in await connection.fetch(_CAME, order.id, order.method, now, record_class=_CameRow)}
    tags = {row.sku: row.tags for row in await inventory.items(connection, [line.sku for line in lines])}
    policies = await all_policies(connection)
    found = {}
    for line in lines:
        policy = policy_for(policies, channel=order.channel, tags=tags.get(line.sku, ()), currency=order.currency)
        found[line.id] = _returnable(snapshot, order, line, came[line.id], policy, now=now)
    return found


def _returnable(
    snapshot: Snapshot,
    order: OrderRow,
    line: OrderLineRow,
    came: _CameRow,
    policy: ReturnPolicyRow | None,
    *,
    now: datetime,
) -> Returnable:
    arrived = min(came.arrived, line.fulfilled)
    if not arrived:
        waiting = "It is still on its way." if line.fulfilled else "Nothing of it has left its location."
        return Returnable(line=line, why_not=waiting)
    if came.back >= arrived:
        return Returnable(line=line, why_not="All of it is returned already, or announced.")
    if policy is None or policy.days == 0:
        return Returnable(line=line, policy=policy, why_not="It is not taken back.")
    zone = snapshot.planner.sites[snapshot.site_by_id[came.location_id]].time_zone if came.location_id else now.tzinfo
    since = (came.arrived_at or line.fulfilled_at or order.updated_at).astimezone(zone)
    last_day = since.date() + timedelta(days=policy.days)
    latest_by = datetime.combine(last_day + timedelta(days=1), datetime.min.time(), tzinfo=zone)
    if latest_by <= now:
        return Returnable(line=line, latest_by=latest_by, policy=policy, why_not=f"It was taken back until {last_day}.")
    return Returnable(line=line, quantity=arrived - came.back, latest_by=latest_by, policy=policy)


def check_wanted(wanted: Sequence[Wanted], found: Mapping[UUID, Returnable]) -> None:
    """Raise InvalidInput where lines cannot be meant, ReturnNotEligible where more is wanted than may be returned."""
    if not 1 <= len(wanted) <= MOST_LINES:
        raise InvalidInput(message=f"Name 1 to {MOST_LINES} lines.", path=("lines",))
    for index, each in enumerate(wanted):
        path = ("lines", str(index))
        line = found.get(each.order_line_id)
        if line is None:
            raise InvalidInput(message="The order has no such line.", path=(*path, "orderLineId"))
        if each.order_line_id in {other.order_line_id for other in wanted[:index]}:
            raise InvalidInput(message="A line is named twice.", path=(*path, "orderLineId"))
        if each.quantity < 1:
            raise InvalidInput(message="This is a number of 1 or more.", path=(*path, "quantity"))
        if each.quantity > line.quantity:
            why = line.why_not or f"{line.quantity} can be returned."
            raise ReturnNotEligible(message=f"{line.line.sku}: {why}", path=(*path, "quantity"))


def terms(lines: Sequence[Returnable]) -> Terms:
    """Return what holds for lines, each of which may be returned, when they come back together."""
    policies = [line.policy for line in lines if line.policy]
    return Terms(
        carrier_price=max(policy.carrier_price for policy in policies),
        in_store_price=max(policy.in_store_price for policy in policies),
        auto_approve=all(policy.auto_approve for policy in policies),
        latest_by=min(line.latest_by for line in lines if line.latest_by),
    )


# A parcel of which its carrier tells nothing has arrived when it was promised to; none arrived before it was packed.
_CAME = """
WITH parcel AS (
    SELECT sl.order_line_id, sl.quantity, s.location_id,
           CASE WHEN s.status = 'DELIVERED'
                THEN greatest(s.created_at, (SELECT min(e.at) FROM tracking_event e
                                              WHERE e.shipment_id = s.id AND e.status = 'DELIVERED'))
                ELSE s.expected_latest END AS arrived_at
      FROM shipment s JOIN shipment_line sl ON sl.shipment_id = s.id
     WHERE s.order_id = $1
       AND (s.status = 'DELIVERED' OR (s.expected_latest <= $3 AND s.status IN
            ('HANDED_OVER', 'IN_TRANSIT', 'OUT_FOR_DELIVERY', 'DELIVERY_FAILED')))
), back AS (
    SELECT b.order_line_id, sum(b.quantity) AS quantity
      FROM customer_return r JOIN return_line b ON b.return_id = r.id
     WHERE r.order_id = $1 AND r.shipment_id IS NULL AND r.status NOT IN ('DECLINED', 'CANCELLED')
     GROUP BY b.order_line_id
)
SELECT l.id, coalesce(b.quantity, 0)::int AS back,
       CASE WHEN $2 = 'PICKUP' THEN l.fulfilled ELSE coalesce(sum(p.quantity), 0)::int END AS arrived,
       CASE WHEN $2 = 'PICKUP' THEN l.fulfilled_at ELSE max(p.arrived_at) END AS arrived_at,
       CASE WHEN $2 = 'PICKUP' THEN o.pickup_location_id ELSE (array_agg(p.location_id ORDER BY p.arrived_at DESC))[1]
       END AS location_id
  FROM order_line l JOIN customer_order o ON o.id = l.order_id
  LEFT JOIN parcel p ON p.order_line_id = l.id
  LEFT JOIN back b ON b.order_line_id = l.id
 WHERE l.order_id = $1
 GROUP BY l.id, b.quantity, o.pickup_location_id
"""
