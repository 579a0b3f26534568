"""Anything by its global id."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import strawberry

from domain import assignments, returns, shipments, transfers
from domain.errors import InvalidInput
from domain.paging import LARGEST_SIZE
from schema.api_keys import ApiKey
from schema.assignments import Assignment, AssignmentLine
from schema.context import Info
from schema.inventory import Item, StockLevel, StockMovement
from schema.network import CarrierService, Location
from schema.orders import Order, OrderLine
from schema.paging import Node, parse_id
from schema.permission import OFFICE, SETTINGS, SHOP
from schema.replenishment import Receipt, Transfer
from schema.reservations import Reservation
from schema.returns import Return, ReturnLine, ReturnPolicy
from schema.routing import RoutingDecision, RoutingPolicy
from schema.shipments import Shipment
from schema.webhooks import Webhook

VERSION_DIGITS = 9
"""More than any version has, and fewer than Postgres takes."""


async def node(info: Info, id: strawberry.ID) -> Node | None:
    parsed = parse_id(id)
    find = FINDERS.get(parsed[0]) if parsed else None
    if parsed is None or find is None:
        return None
    try:
        return await find(info, *parsed[1])
    except (TypeError, ValueError):  # the key is none of that kind's
        return None


async def nodes(info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
    if len(ids) > LARGEST_SIZE:
        raise InvalidInput(message=f"At most {LARGEST_SIZE} ids are allowed.", path=("ids",))
    return await asyncio.gather(*(node(info, id) for id in ids))


async def _location(info: Info, key: str) -> Location | None:
    row = (await info.context.network()).locations.get(UUID(key))
    return Location.of(row) if row else None


async def _carrier_service(info: Info, code: str) -> CarrierService | None:
    row = (await info.context.network()).services.get(code)
    return CarrierService.of(row) if row and (row.active or info.context.viewer.role in OFFICE) else None


async def _item(info: Info, sku: str) -> Item | None:
    row = await info.context.loaders.item.load(sku)
    return Item.of(row) if row else None


async def _stock_level(info: Info, sku: str, location: str) -> StockLevel | None:
    row = await info.context.loaders.level.load((sku, UUID(location)))
    return StockLevel.of(row) if row and info.context.viewer.works_at(row.location_id) else None


async def _stock_movement(info: Info, key: str) -> StockMovement | None:
    row = await info.context.loaders.movement.load(UUID(key))
    return StockMovement.of(row) if row and info.context.viewer.works_at(row.location_id) else None


async def _transfer(info: Info, key: str) -> Transfer | None:
    row = await info.context.loaders.transfer.load(UUID(key))
    return Transfer.of(row) if row and transfers.visible(row, info.context.viewer) else None


async def _receipt(info: Info, key: str) -> Receipt | None:
    row = await info.context.loaders.receipt.load(UUID(key))
    return Receipt.of(row) if row and info.context.viewer.works_at(row.location_id) else None


async def _order(info: Info, key: str) -> Order | None:
    row = await info.context.loaders.order.load(UUID(key))
    return Order.of(row) if row and await info.context.may_see_order(row.id) else None


async def _order_line(info: Info, key: str) -> OrderLine | None:
    row = await info.context.loaders.order_line.load(UUID(key))
    order = await info.context.loaders.order.load(row.order_id) if row else None
    if row is None or order is None or not await info.context.may_see_order(order.id):
        return None
    return OrderLine.of(row, order.currency)


async def _assignment(info: Info, key: str) -> Assignment | None:
    row = await info.context.loaders.assignment.load(UUID(key))
    return Assignment.of(row) if row and assignments.visible(row, info.context.viewer) else None


async def _assignment_line(info: Info, key: str) -> AssignmentLine | None:
    row = await info.context.loaders.assignment_line.load(UUID(key))
    work = await info.context.loaders.assignment.load(row.assignment_id) if row else None
    return AssignmentLine.of(row) if row and work and assignments.visible(work, info.context.viewer) else None


async def _shipment(info: Info, key: str) -> Shipment | None:
    row = await info.context.loaders.shipment.load(UUID(key))
    return Shipment.of(row) if row and shipments.visible(row, info.context.viewer) else None


async def _return(info: Info, key: str) -> Return | None:
    row = await info.context.loaders.customer_return.load(UUID(key))
    return Return.of(row) if row and returns.visible(row, info.context.viewer) else None


async def _return_line(info: Info, key: str) -> ReturnLine | None:
    row = await info.context.loaders.return_line.load(UUID(key))
    whole = await info.context.loaders.customer_return.load(row.return_id) if row else None
    return ReturnLine.of(row) if row and whole and returns.visible(whole, info.context.viewer) else None


async def _return_policy(info: Info, key: str) -> ReturnPolicy | None:
    row = await info.context.loaders.return_policy.load(UUID(key)) if info.context.viewer.role in OFFICE else None
    return ReturnPolicy.of(row) if row else None


async def _reservation(info: Info, key: str) -> Reservation | None:
    row = await info.context.loaders.reservation.load(UUID(key))
    return Reservation.of(row) if row and info.context.viewer.role in SHOP else None


async def _routing_policy(info: Info, name: str, version: str) -> RoutingPolicy | None:
    if info.context.viewer.role not in OFFICE or len(version) > VERSION_DIGITS:
        return None
    found = await info.context.loaders.policy.load((name, int(version)))
    return RoutingPolicy.of(found) if found else None


async def _routing_decision(info: Info, order: str, key: str) -> RoutingDecision | None:
    if info.context.viewer.role not in OFFICE:
        return None
    row = await info.context.loaders.decision.load((UUID(order), UUID(key)))
    return RoutingDecision.of(row) if row else None


async def _webhook(info: Info, key: str) -> Webhook | None:
    row = await info.context.loaders.webhook.load(UUID(key)) if info.context.viewer.role in OFFICE else None
    return Webhook.of(row) if row else None


async def _api_key(info: Info, key: str) -> ApiKey | None:
    row = await info.context.loaders.api_key.load(UUID(key)) if info.context.viewer.role in SETTINGS else None
    return ApiKey.of(row) if row else None


FINDERS: Mapping[str, Callable[..., Awaitable[Node | None]]] = {
    "Location": _location,
    "CarrierService": _carrier_service,
    "Item": _item,
    "StockLevel": _stock_level,
    "StockMovement": _stock_movement,
    "Transfer": _transfer,
    "Receipt": _receipt,
    "Order": _order,
    "OrderLine": _order_line,
    "Assignment": _assignment,
    "AssignmentLine": _assignment_line,
    "Shipment": _shipment,
    "Return": _return,
    "ReturnLine": _return_line,
    "ReturnPolicy": _return_policy,
    "Reservation": _reservation,
    "RoutingPolicy": _routing_policy,
    "RoutingDecision": _routing_decision,
    "Webhook": _webhook,
    "ApiKey": _api_key,
}
