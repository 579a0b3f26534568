"""Goods that are shown at a counter by whoever brings them: the buyer, the one who got a gift, or anybody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain import inventory, orders
from domain.errors import InvalidInput, NotFound, ReturnNotEligible
from domain.idempotency import answered, forget
from domain.ids import new_id
from domain.inventory import MOST
from domain.money import check_currency
from domain.orders import OrderRow
from domain.returns.desk import Announced, Desk, Goods, goods_of
from domain.returns.eligible import MOST_LINES, Returnable, Wanted, returnable, terms
from domain.returns.reading import ReturnRow, returns
from domain.text import LONGEST_CODE, UNUSABLE, check_code, plain
from domain.vocabulary import ReturnMethod, ReturnReason

GUESSES = 5
LOCKED_FOR = timedelta(minutes=15)
"""After so many wrong postal codes an order's number is looked up no more, for so long; then they are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How many units of an item are shown at the counter, and why they come back."""

    sku: str
    quantity: int
    reason: ReturnReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Goods shown at a counter: of the order of that number and postal code, or, without a number, of any."""

    location_id: UUID
    order_number: str | None
    postal_code: str | None
    lines: Sequence[Shown]
    currency: str
    idempotency_key: str


class Counter(Desk):
    """Who takes the goods in, when, and on which transaction."""

    __slots__ = ()

    async def register(self, shown: Registration) -> ReturnRow | NotFound:
        """Take in goods that are shown at a counter, by whoever brings them.

        Raise NotFound, InvalidInput, ReturnNotEligible or IdempotencyConflict. That number and postal code are not of
        one order is returned and not raised, for the caller has to commit that it was counted.
        """
        self.viewer.must_work_at(shown.location_id)
        currency = check_currency(shown.currency, path=("currency",))
        _check_shown(shown.lines)
        new = new_id(self.now)
        said = [
            shown.location_id,
            shown.order_number,
            shown.postal_code,
            [[each.sku, each.quantity, each.reason] for each in shown.lines],
            currency,
        ]
        made = await answered(self.connection, "registerReturn", shown.idempotency_key, said, new, now=self.now)
        if made != str(new):
            return (await returns(self.connection, [UUID(made)]))[0]
        order = await self._order_of(shown)
        if isinstance(order, NotFound):
            await forget(self.connection, "registerReturn", shown.idempotency_key)
            return order
        place = await self.place(shown.location_id)
        goods, price = await self._shown(shown, order)
        announced = Announced(
            method=ReturnMethod.IN_STORE,
            currency=order.currency if order else currency,
            price=price,
            location_id=place.id,
        )
        return await self.take_in(await self.make(new, order, announced, goods), order, place.id)

    async def _order_of(self, shown: Registration) -> OrderRow | NotFound | None:
        """Lock and return the order that goods are of, or NotFound where number and postal code are not of one order.

        Every try is counted as wrong, under the number that was said, until it is right: what is answered, and how
        long that takes, does not tell whether an order has the number.
        """
        number, postal_code = shown.order_number, shown.postal_code
        if number is None:
            if postal_code is not None:
                raise InvalidInput(message="A postal code goes with an order's number.", path=("postalCode",))
            return None
        if postal_code is None:
            raise InvalidInput(message="An order's number goes with its postal code.", path=("postalCode",))
        wrong = NotFound(message="There is no order of this number and postal code.", path=("orderNumber",))
        if UNUSABLE.search(number) or len(number) > LONGEST_CODE:
            raise wrong
        if await self.connection.fetchval(_COUNT, number, self.now, self.now + LOCKED_FOR) > GUESSES:
            message = "Too many wrong postal codes were said for this number: wait a while."
            raise ReturnNotEligible(message=message, path=("postalCode",))
        found = next(iter(await orders.orders_by_number(self.connection, [number])), None)
        if found is None or plain(postal_code) != plain(await self._postal_code(found)):
            await self.connection.execute(_FORGET, self.now)
            return wrong
        await self.connection.execute("DELETE FROM postal_code_guess WHERE order_number = $1", number)
        return await orders.taken(self.connection, found.id)

    async def _postal_code(self, order: OrderRow) -> str:
        """Return that of the address, or of the store where the order was collected."""
        if order.ship_to:
            return order.ship_to["postalCode"]
        place = order.pickup_location_id
        return (await self.networks.current(self.connection)).locations[place].postal_code if place else ""

    async def _shown(self, shown: Registration, order: OrderRow | None) -> tuple[list[Goods], int]:
        """Return the lines of a return, and what it costs the shopper."""
        if order is None:
            known = {row.sku for row in await inventory.items(self.connection, [each.sku for each in shown.lines])}
            for index, each in enumerate(shown.lines):
                if each.sku not in known:
                    message = f"There is no item {each.sku!r}."
                    raise InvalidInput(message=message, path=("lines", str(index), "sku"))
            return [
                Goods(order_line_id=None, sku=each.sku, quantity=each.quantity, reason=each.reason, deductions={})
                for each in shown.lines
            ], 0
        snapshot = await self.networks.current(self.connection)
        found = await returnable(self.connection, snapshot, order, now=self.now)
        wanted = [part for index, each in enumerate(shown.lines) for part in _matched(index, each, found)]
        agreed = terms([found[each.order_line_id] for each in wanted])
        return goods_of(wanted, found), agreed.in_store_price


def _matched(index: int, shown: Shown, found: Mapping[UUID, Returnable]) -> list[Wanted]:
    """Return of which lines of an order goods are, as far as these may be returned; raise where they are of none."""
    lines = [each for each in found.values() if each.line.sku == shown.sku]
    if not lines:
        raise InvalidInput(message=f"The order has no {shown.sku}.", path=("lines", str(index), "sku"))
    matched, left = [], shown.quantity
    for line in lines:
        if units := min(left, line.quantity):
            matched.append(Wanted(order_line_id=line.line.id, quantity=units, reason=shown.reason))
            left -= units
    if left:
        most = shown.quantity - left
        why = f"{most} can be returned." if most else next(each.why_not for each in lines if each.why_not)
        raise ReturnNotEligible(message=f"{shown.sku}: {why}", path=("lines", str(index), "quantity"))
    return matched


def _check_shown(lines: Sequence[Shown]) -> None:
    if not 1 <= len(lines) <= MOST_LINES:
        raise InvalidInput(message=f"Name 1 to {MOST_LINES} items.", path=("lines",))
    for index, each in enumerate(lines):
        path = ("lines", str(index))
        check_code(each.sku, path=(*path, "sku"))
        if not 1 <= each.quantity <= MOST:
            raise InvalidInput(message=f"This is a number from 1 to {MOST}.", path=(*path, "quantity"))
        if each.sku in {other.sku for other in lines[:index]}:
            raise InvalidInput(message="An item is named twice.", path=(*path, "sku"))


_COUNT = """
INSERT INTO postal_code_guess AS g (order_number, guesses, forgotten_at) VALUES ($1, 1, $3)
ON CONFLICT (order_number) DO UPDATE
   SET guesses = CASE WHEN g.forgotten_at <= $2 THEN 1 ELSE g.guesses + 1 END, forgotten_at = $3
RETURNING guesses
"""
# A wrong guess leaves one row and takes two old ones away: there are never more than of late.
_FORGET = """
DELETE FROM postal_code_guess WHERE order_number IN (
    SELECT order_number FROM postal_code_guess WHERE forgotten_at <= $1 LIMIT 2 FOR UPDATE SKIP LOCKED)
"""
