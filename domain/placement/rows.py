"""The rows that placing a plan writes."""

import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from domain import feed, orders, routing
from domain.cart import cart_value
from domain.ids import new_id
from domain.network import Snapshot
from domain.placement.batcher import Rows
from domain.placement.wanted import Wanted
from domain.planning.problem import Plan
from domain.vocabulary import OrderStatus, UpdateKind


def rows(snapshot: Snapshot, wanted: Wanted, plan: Plan, *, actor: str, now: datetime) -> Rows:
    """Return the rows that placing this plan writes."""
    order, order_id = wanted.order, new_id(now)
    line_ids = {line.sku: new_id(now) for line in wanted.lines}
    offered = routing.Offered(order_id=order_id, method=plan.method, channel=order.channel)
    work = routing.offers(snapshot, plan.parcels, offered, line_ids, now=now)
    waiting = Counter({missing.sku: missing.quantity for missing in plan.missing if order.allow_backorder})
    steps = list(_steps(plan, waiting, actor))
    told = orders.Told(order_id=order_id, channel=order.channel, location_ids=work.location_ids)
    facts = [*(orders.fact(told, step, now=now) for step in steps), *work.facts]
    lines = [
        {
            "id": line_ids[line.sku],
            "order_id": order_id,
            "position": position,
            "sku": line.sku,
            "quantity": line.quantity,
            "unit_price": line.unit_price or 0,
            "backordered": waiting[line.sku],
        }
        for position, line in enumerate(wanted.lines)
    ]
    tables: dict[str, list[dict[str, Any]]] = {
        "keys": [{"key": order.idempotency_key, "hash": order.digest().hex(), "order_id": order_id}],
        "reservations": [{"order_id": order_id, "reservation_id": taken}] if (taken := order.reservation_id) else [],
        "orders": [_order_row(snapshot, wanted, plan, order_id, now=now)],
        "lines": lines,
        "assignments": work.assignments,
        "assignmentLines": work.lines,
        "entries": [*(orders.entry(told, step, actor=actor, now=now) for step in steps), *work.entries],
        "facts": [feed.as_row(fact) for fact in facts],
    }
    return Rows(order_id=order_id, key=order.idempotency_key, at=now, tables=tables)


def _steps(plan: Plan, waiting: Counter[str], actor: str) -> Iterator[orders.Step]:
    yield orders.Step(kind=UpdateKind.ORDER_PLACED, status=OrderStatus.RECEIVED, message=f"Placed by {actor}.")
    if plan.parcels:
        message = "Routed to its locations."
        yield orders.Step(kind=UpdateKind.ORDER_ROUTED, status=OrderStatus.ROUTED, message=message)
    if waiting:
        kind = UpdateKind.ORDER_CHANGED if plan.parcels else UpdateKind.ORDER_STATUS_CHANGED
        message = f"Waiting for {', '.join(f'{quantity} x {sku}' for sku, quantity in waiting.items())}."
        yield orders.Step(kind=kind, status=_status(plan), message=message)


def _status(plan: Plan) -> OrderStatus:
    return OrderStatus.ROUTED if plan.parcels else OrderStatus.BACKORDERED


def _order_row(snapshot: Snapshot, wanted: Wanted, plan: Plan, order_id: UUID, *, now: datetime) -> dict[str, Any]:
    order, pickup = wanted.order, plan.pickup_code
    return {
        "id": order_id,
        "number": order.number,
        "status": _status(plan),
        "channel": order.channel,
        "method": plan.method,
        "level": plan.level,
        "tags": order.tags,
        "placed_at": now,
        "updated_at": now,
        "promised_earliest": plan.earliest if plan.parcels else None,
        "promised_latest": plan.latest if plan.parcels else None,
        "customer_name": order.customer_name,
        "customer_email": order.customer_email,
        "customer_phone": order.customer_phone,
        "ship_to": replace(order.ship_to, position=wanted.target).as_json() if order.ship_to else None,
        "pickup_location_id": snapshot.id_by_code[pickup] if pickup else None,
        "pickup_code": f"{secrets.randbelow(10**6):06d}" if pickup else None,
        "currency": order.currency,
        "shipping_price": plan.price,
        "total": plan.price + (cart_value(wanted.lines) or 0),
        "version": 1,
        "allow_backorder": order.allow_backorder,
    }
