"""A cart: what a shopper wants, and how much of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from domain.errors import InvalidInput
from domain.inventory import ItemRow
from domain.money import MOST_MINOR_UNITS
from domain.planning.plan import MOST_LINES
from domain.planning.problem import Line
from domain.policies import LineFacts

MOST_UNITS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CartLine:
    """A wanted quantity of one item; `unit_price` in minor units, None where the shop did not say."""

    sku: str
    quantity: int
    unit_price: int | None = None


def merged(lines: Sequence[CartLine]) -> tuple[CartLine, ...]:
    """Return the cart with one line a SKU, in the order of first mention, or raise InvalidInput.

    Two lines of one SKU at different prices are not one line: they are refused.
    """
    if not lines:
        raise InvalidInput(message="The cart is empty.", path=("lines",))
    cart: dict[str, CartLine] = {}
    for index, line in enumerate(lines):
        path = ("lines", str(index))
        if not 1 <= line.quantity <= MOST_UNITS:
            raise InvalidInput(message=f"A quantity is 1 to {MOST_UNITS:,}.", path=(*path, "quantity"))
        known = cart.get(line.sku)
        if known and known.unit_price != line.unit_price:
            raise InvalidInput(message=f"{line.sku} stands in the cart at two prices.", path=(*path, "unitPrice"))
        quantity = line.quantity + (known.quantity if known else 0)
        if quantity > MOST_UNITS:
            raise InvalidInput(message=f"Together, that is more than {MOST_UNITS:,}.", path=(*path, "quantity"))
        cart[line.sku] = replace(line, quantity=quantity) if known else line
    if len(cart) > MOST_LINES:
        raise InvalidInput(message=f"A cart holds at most {MOST_LINES} different items.", path=("lines",))
    whole = tuple(cart.values())
    if (cart_value(whole) or 0) > MOST_MINOR_UNITS:
        raise InvalidInput(message="The cart is worth too much.", path=("lines",))
    return whole


def wanted_lines(lines: Sequence[CartLine], items: Mapping[str, ItemRow]) -> list[Line]:
    """Return what the planner is asked for: the lines with what is known of their items, by SKU."""
    return [
        Line(
            sku=line.sku,
            quantity=line.quantity,
            grams=items[line.sku].weight_grams,
            tags=frozenset(items[line.sku].tags),
        )
        for line in lines
    ]


def line_facts(lines: Sequence[CartLine], items: Mapping[str, ItemRow]) -> tuple[LineFacts, ...]:
    """Return what the conditions of policies see of the lines, with the tags of those items that are known."""
    return tuple(
        LineFacts(
            sku=line.sku,
            quantity=line.quantity,
            unit_price=line.unit_price,
            tags=items[line.sku].tags if line.sku in items else (),
        )
        for line in lines
    )


def cart_value(lines: Sequence[CartLine]) -> int | None:
    """Return what the cart is worth, in minor units; None where a price is not known."""
    if any(line.unit_price is None for line in lines):
        return None
    return sum(line.quantity * (line.unit_price or 0) for line in lines)
