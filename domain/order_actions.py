"""What may be done with an order when, and by whom: one table, read by every refusal and every list of actions."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.errors import ActionNotAllowed
from domain.orders import OrderRow
from domain.viewer import Viewer
from domain.vocabulary import OrderAction, OrderStatus, Role


@dataclass(frozen=True, slots=True)
class Rule:
    """In which statuses an action may be taken, and by which roles."""

    sources: frozenset[OrderStatus]
    roles: frozenset[Role]


_S, _R = OrderStatus, Role
_UNFINISHED = frozenset(_S) - {_S.FULFILLED, _S.COMPLETED, _S.CANCELLED}
_SHOP = frozenset({_R.STOREFRONT, _R.OPERATIONS, _R.ADMIN})
RULES: Mapping[OrderAction, Rule] = {
    OrderAction.CANCEL: Rule(_UNFINISHED, _SHOP),
    OrderAction.CANCEL_LINES: Rule(_UNFINISHED, _SHOP),
}


def allowed_actions(order: OrderRow, viewer: Viewer) -> list[OrderAction]:
    """Return what the viewer may do with an order as it stands."""
    return [action for action, rule in RULES.items() if order.status in rule.sources and viewer.role in rule.roles]


def require(action: OrderAction, order: OrderRow, viewer: Viewer) -> None:
    """Raise ActionNotAllowed, with what is, where a viewer may not do this with an order as it stands."""
    allowed = allowed_actions(order, viewer)
    if action not in allowed:
        message = f"{action} cannot be done: the order is {order.status}."
        raise ActionNotAllowed(message=message, path=("id",), status=order.status, allowed_actions=allowed)
