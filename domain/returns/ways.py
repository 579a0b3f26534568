"""Which ways back there are: stores that take returns, and the carrier that brings a parcel back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import numpy as np

from domain import inventory
from domain.network import LocationRow, Snapshot
from domain.orders import OrderRow
from domain.places import Address, check_position
from domain.planning.calendar import moment, work_day
from domain.planning.network import distances_km
from domain.planning.plan import plan_deliveries
from domain.planning.policy import DEFAULT, Fence
from domain.planning.problem import Line, Point, Problem
from domain.returns.eligible import Returnable, Terms, Wanted, check_wanted, returnable, terms
from domain.transaction import Connection
from domain.vocabulary import FenceKind, LocationKind, LocationService, LocationStatus, ReturnMethod

MOST_STORES = 10
COUNTERS = frozenset({LocationKind.STORE, LocationKind.MICRO_HUB})
ONE_PARCEL = replace(DEFAULT, fences=(Fence(kind=FenceKind.MAX_PARCELS, limit=Decimal(1)),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way back: to a store, or with a carrier to a location; `price` is what it costs the shopper, minor units."""

    method: ReturnMethod
    location: LocationRow
    price: int
    latest_by: datetime
    distance_km: float | None = None
    service_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnOptions:
    """The ways back, nearest store first, and what may be returned of each line."""

    ways: Sequence[Way]
    lines: Sequence[Returnable]


async def return_options(
    connection: Connection,
    snapshot: Snapshot,
    order: OrderRow,
    *,
    wanted: Sequence[Wanted] | None,
    near: Point | None,
    now: datetime,
) -> ReturnOptions:
    """Return how lines of an order, or all that may be, can come back. Raise InvalidInput for lines it does not have.

    Stores are looked for near a point, else near where the order went; more than may be returned has no way back.
    """
    found = await returnable(connection, snapshot, order, now=now)
    if wanted is not None:
        check_wanted([replace(each, quantity=min(each.quantity, 1)) for each in wanted], _all_of(found))
    asked = {each.order_line_id: each.quantity for each in wanted or ()}
    lines = [line for key, line in found.items() if wanted is None or key in asked]
    chosen = [line for line in lines if line.quantity]
    if not chosen or any(asked.get(line.line.id, 0) > line.quantity for line in lines):
        return ReturnOptions(ways=(), lines=lines)
    agreed = terms(chosen)
    point = check_position(near, path=("near",)) if near else _home(snapshot, order)
    ways = _to_stores(snapshot, point, agreed, now=now)
    goods = [(line.line.sku, asked.get(line.line.id, line.quantity)) for line in chosen]
    carried = await carrier_way(connection, snapshot, order, goods, now=now)
    if carried:
        place, service_code = carried
        carrier = ReturnMethod.CARRIER
        ways.append(
            Way(
                method=carrier,
                location=place,
                service_code=service_code,
                price=agreed.price(carrier),
                latest_by=agreed.latest_by,
            )
        )
    return ReturnOptions(ways=ways, lines=lines)


def _all_of(found: dict[UUID, Returnable]) -> dict[UUID, Returnable]:
    """Return lines as if one unit of each could be returned: why it cannot is told line by line."""
    return {key: replace(line, quantity=max(line.quantity, 1)) for key, line in found.items()}


def _home(snapshot: Snapshot, order: OrderRow) -> Point | None:
    if order.ship_to:
        return Address.from_json(order.ship_to).position
    place = snapshot.locations.get(order.pickup_location_id) if order.pickup_location_id else None
    return Point(latitude=place.latitude, longitude=place.longitude) if place else None


def takes_returns(place: LocationRow) -> bool:
    """Say whether goods may be sent or brought back to a location."""
    return LocationService.RETURN in place.services and place.status != LocationStatus.CLOSED


def _to_stores(snapshot: Snapshot, near: Point | None, agreed: Terms, *, now: datetime) -> list[Way]:
    """Return the stores that take returns and open in time, nearest first; without a point, by code."""
    network = snapshot.planner
    far = distances_km(network, near) if near else None
    ways = []
    for place in snapshot.locations.values():
        number = snapshot.site_by_id[place.id]
        site = network.sites[number]
        if not takes_returns(place) or site.status is not LocationStatus.ACTIVE or site.kind not in COUNTERS:
            continue
        day = work_day(site, now)
        if day is not None and moment(site.time_zone, day, 0) < agreed.latest_by:
            km = None if far is None else round(float(far[number]), 1)
            price = agreed.price(ReturnMethod.IN_STORE)
            way = Way(
                method=ReturnMethod.IN_STORE, location=place, distance_km=km, price=price, latest_by=agreed.latest_by
            )
            ways.append(way)
    return sorted(ways, key=lambda way: (way.distance_km or 0.0, way.location.code))[:MOST_STORES]


async def carrier_way(
    connection: Connection,
    snapshot: Snapshot,
    order: OrderRow,
    goods: Sequence[tuple[str, int]],
    *,
    to: UUID | None = None,
    now: datetime,
) -> tuple[LocationRow, str] | None:
    """Return where goods, units by SKU, go in one parcel, and with which carrier service, at the least cost.

    That is the way on which the location would send them; None where there is none, or no address to begin at.
    """
    home = Address.from_json(order.ship_to) if order.ship_to else None
    if home is None or home.position is None:
        return None
    items = {row.sku: row for row in await inventory.items(connection, [sku for sku, _ in goods])}
    lines = [Line(sku=sku, quantity=units, grams=items[sku].weight_grams) for sku, units in goods]
    takes = np.array([takes_returns(place) and to in {None, place.id} for place in snapshot.locations.values()])
    problem = Problem(
        network=snapshot.planner,
        lines=lines,
        available=takes[:, np.newaxis] * np.array([line.quantity for line in lines], dtype=np.int64),
        now=now,
        currency=order.currency,
        country=home.country,
        destination=home.position,
        policy=ONE_PARCEL,
    )
    plans = [plan for plan in plan_deliveries(problem).plans if not plan.missing and len(plan.parcels) == 1]
    if not plans:
        return None
    (parcel,) = min(plans, key=lambda plan: plan.cost).parcels
    return snapshot.location(parcel.location_code), parcel.service_code or ""
