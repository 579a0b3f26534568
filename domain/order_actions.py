"""What may be done with an order when, and by whom: one table, read by every refusal and every list of actions."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.errors import ActionNotAllowed
from domain.orders import OrderRow
from domain.viewer import Viewer
from domain.vocabulary import FulfillmentMethod, OrderAction, OrderStatus, Role


@dataclass(frozen=True, slots=True)
class Rule:
    """In which statuses an action may be taken, by which roles, and for which method (None: both).

    In `astray` it may be taken as long as a parcel will not arrive, which is to be sent again or cancelled.
    """

    sources: frozenset[OrderStatus]
    roles: frozenset[Role]
    method: FulfillmentMethod | None = None
    astray: frozenset[OrderStatus] = frozenset()


_S, _R = OrderStatus, Role
_UNFINISHED = frozenset(_S) - {_S.FULFILLED, _S.COMPLETED, _S.CANCELLED}
_SHOP = frozenset({_R.STOREFRONT, _R.OPERATIONS, _R.ADMIN})
_OFFICE = frozenset({_R.OPERATIONS, _R.ADMIN})
_SENT = frozenset({_S.PARTIALLY_FULFILLED, _S.FULFILLED})
RULES: Mapping[OrderAction, Rule] = {
    OrderAction.CANCEL: Rule(_UNFINISHED, _SHOP, astray=_SENT),
    OrderAction.CANCEL_LINES: Rule(_UNFINISHED, _SHOP),
    OrderAction.CHANGE_ADDRESS: Rule(_UNFINISHED, _SHOP, method=FulfillmentMethod.DELIVERY),
    OrderAction.HOLD: Rule(frozenset({_S.RECEIVED, _S.ROUTED}), _SHOP),
    OrderAction.RELEASE: Rule(frozenset({_S.ON_HOLD}), _SHOP),
    OrderAction.REROUTE: Rule(_UNFINISHED, _OFFICE),
    OrderAction.REPLACE: Rule(frozenset(), _OFFICE, astray=_SENT),
}


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
