"""How orders move: one table of what people may do with an order when, and one of where its work brings it.

Every refusal, every list of actions, every status that is written and the diagrams of the README are read from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.errors import ActionNotAllowed
from domain.machine import Edge, Stock, followers
from domain.vocabulary import FulfillmentMethod, OrderAction, OrderStatus, Role

if TYPE_CHECKING:
    from domain.orders import OrderRow
    from domain.viewer import Viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """In which statuses an action may be taken, by which roles, and for which method (None: both).

    In `astray` it may be taken as long as a parcel will not arrive, which is to be sent again or cancelled. It leads to
    `target`, or (None) to what the order's work amounts to after it.
    """

    sources: frozenset[OrderStatus] = frozenset()
    roles: frozenset[Role]
    target: OrderStatus | None = None
    method: FulfillmentMethod | None = None
    astray: frozenset[OrderStatus] = frozenset()
    stock: Stock = Stock.STAYS


_S, _A, _R = OrderStatus, OrderAction, Role
_UNFINISHED = frozenset(_S) - {_S.FULFILLED, _S.COMPLETED, _S.CANCELLED}
_LEFT = frozenset({_S.PARTIALLY_FULFILLED, _S.FULFILLED, _S.COMPLETED})
_OFFICE = frozenset({_R.OPERATIONS, _R.ADMIN})
_SHOP = _OFFICE | {_R.STOREFRONT}
_SENT = frozenset({_S.PARTIALLY_FULFILLED, _S.FULFILLED})
RULES: Mapping[OrderAction, Rule] = {
    _A.CANCEL: Rule(sources=_UNFINISHED, roles=_SHOP, target=_S.CANCELLED, astray=_SENT, stock=Stock.RELEASED),
    _A.CANCEL_LINES: Rule(sources=_UNFINISHED, roles=_SHOP, astray=_SENT, stock=Stock.RELEASED),
    _A.CHANGE_ADDRESS: Rule(
        sources=_UNFINISHED, roles=_SHOP, method=FulfillmentMethod.DELIVERY, stock=Stock.RESERVED_ANEW
    ),
    _A.HOLD: Rule(sources=frozenset({_S.RECEIVED, _S.ROUTED}), roles=_SHOP, target=_S.ON_HOLD),
    _A.RELEASE: Rule(sources=frozenset({_S.ON_HOLD}), roles=_SHOP, target=_S.RECEIVED),
    _A.REROUTE: Rule(sources=_UNFINISHED, roles=_OFFICE, stock=Stock.RESERVED_ANEW),
    _A.REPLACE: Rule(roles=_OFFICE, astray=_SENT, stock=Stock.RESERVED_ANEW),
    _A.REQUEST_RETURN: Rule(sources=_LEFT, roles=_SHOP),
}

_NO_PLAN = frozenset({_S.BACKORDERED, _S.UNROUTABLE})
BY_WORK: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    _S.RECEIVED: frozenset({_S.ROUTED, _S.CANCELLED}) | _NO_PLAN,
    _S.ON_HOLD: frozenset({_S.CANCELLED}),
    _S.BACKORDERED: frozenset({_S.ROUTED, _S.CANCELLED}),
    _S.UNROUTABLE: frozenset({_S.ROUTED, _S.CANCELLED}),
    _S.ROUTED: frozenset({_S.IN_FULFILLMENT, _S.CANCELLED}) | _NO_PLAN,
    _S.IN_FULFILLMENT: frozenset({_S.ROUTED, _S.FULFILLED, _S.COMPLETED, _S.CANCELLED, _S.PARTIALLY_FULFILLED})
    | _NO_PLAN,
    _S.PARTIALLY_FULFILLED: frozenset({_S.ROUTED, _S.IN_FULFILLMENT, _S.FULFILLED, _S.COMPLETED, _S.CANCELLED})
    | _NO_PLAN,
    _S.FULFILLED: frozenset({_S.ROUTED, _S.PARTIALLY_FULFILLED, _S.COMPLETED, _S.CANCELLED, _S.BACKORDERED}),
    _S.COMPLETED: frozenset(),
    _S.CANCELLED: frozenset(),
}
"""Where what is picked, shipped, cancelled, routed anew and replaced may bring an order. It goes back where a part that
had left is sent again."""

_ARRIVED = frozenset({_S.PARTIALLY_FULFILLED, _S.COMPLETED})
FOUND: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    _S.RECEIVED: frozenset({_S.PARTIALLY_FULFILLED}),
    _S.ON_HOLD: frozenset({_S.COMPLETED}),
    _S.BACKORDERED: _ARRIVED,
    _S.UNROUTABLE: _ARRIVED,
    _S.ROUTED: _ARRIVED,
    _S.CANCELLED: frozenset({_S.COMPLETED}),
}
"""Where a parcel brings it, besides, that was given up and arrives after all."""


def edges() -> list[Edge]:
    """Return every step of an order, those that an action leads to by its name."""
    named = [
        Edge(source, rule.target, action.lower())
        for action, rule in RULES.items()
        if rule.target
        for source in OrderStatus
        if source in rule.sources | rule.astray
    ]
    named += [Edge(source, target, "found") for source, targets in FOUND.items() for target in targets]
    known = {(edge.source, edge.target) for edge in named}
    by_work = [Edge(source, target) for source, targets in BY_WORK.items() for target in targets]
    return named + [edge for edge in by_work if (edge.source, edge.target) not in known]


NEXT = followers(OrderStatus, edges())


SENTENCES: Mapping[OrderStatus, str] = {
    _S.UNROUTABLE: "No location can fulfil the order now.",
    _S.BACKORDERED: "The order waits for stock.",
    _S.IN_FULFILLMENT: "Picking has begun.",
    _S.PARTIALLY_FULFILLED: "A part has left its location.",
    _S.FULFILLED: "Everything has left its location.",
    _S.COMPLETED: "The shopper has everything.",
    _S.CANCELLED: "Nothing is left to fulfil.",
}
"""That it was routed is told where it is, with its locations."""


def allowed_actions(order: OrderRow, viewer: Viewer, *, astray: bool) -> list[OrderAction]:
    """Return what the viewer may do with an order as it stands; `astray` says that a parcel of it will not arrive."""
    return [
        action
        for action, rule in RULES.items()
        if (order.status in rule.sources or (astray and order.status in rule.astray))
        and viewer.role in rule.roles
        and rule.method in {None, order.method}
    ]


def require(action: OrderAction, order: OrderRow, viewer: Viewer, *, astray: bool) -> None:
    """Raise ActionNotAllowed, with what is, where a viewer may not do this with an order as it stands."""
    allowed = allowed_actions(order, viewer, astray=astray)
    if action not in allowed:
        message = f"{action} cannot be done: the order is {order.status}."
        raise ActionNotAllowed(message=message, path=("id",), status=order.status, allowed_actions=allowed)
