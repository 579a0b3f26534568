"""Looking at what came back: in which condition it is, what becomes of it, and what the shopper gets for it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

from domain import inventory, orders, transfers
from domain.errors import ActionNotAllowed, InvalidInput
from domain.inventory import Movement
from domain.money import to_decimal, to_minor
from domain.orders import OrderRow
from domain.returns.fate import Fate, Fates, given
from domain.returns.moves import allowed_actions, require
from domain.returns.reading import ReturnLineRow, ReturnRow, lines_of
from domain.returns.record import Record
from domain.transfers import NewTransfer
from domain.vocabulary import Disposition, ItemCondition, MovementReason, ReturnAction, ReturnStatus

LEAVES: Mapping[Disposition, MovementReason] = {
    Disposition.REFURBISH: MovementReason.DAMAGED,
    Disposition.DISPOSE: MovementReason.ADJUSTED,
    Disposition.SEND_BACK: MovementReason.ADJUSTED,
}
"""How what came back, and may not be sold, leaves the shelf in the ledger at once."""

SAID: Mapping[Disposition, str] = {
    Disposition.RESTOCK: "restocked",
    Disposition.TRANSFER: "sent",
    Disposition.REFURBISH: "to be refurbished",
    Disposition.DISPOSE: "disposed of",
    Disposition.SEND_BACK: "sent back to its maker",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """In which condition a line is; `disposition` and `refund` are given where the inspector knows better."""

    line_id: UUID
    condition: ItemCondition
    disposition: Disposition | None = None
    refund: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """In which condition a line is, what becomes of it, and what the shopper gets for it, in minor units."""

    condition: ItemCondition
    fate: Fate
    refund: int


class Inspection(Record):
    """Who inspects, when, and on which transaction."""

    __slots__ = ()

    async def inspect(self, return_id: UUID, inspected: Sequence[Inspected]) -> ReturnRow:
        """Say in which condition lines are, each once; what may be sold again may be from now on.

        Raise NotFound, InvalidInput or ActionNotAllowed.
        """
        row, order = await self.take(return_id)
        known = {line.id: line for line in await lines_of(self.connection, [row.id])}
        if inspected and all(_already(known.get(each.line_id), each) for each in inspected):
            return row
        require(ReturnAction.INSPECT, row, self.viewer)
        self._check(row, inspected, known)
        prices = await self._prices(row, [known[each.line_id] for each in inspected])
        refunds = [
            _refund(row, known[each.line_id], each, prices.get(each.line_id), ("lines", str(index), "refund"))
            for index, each in enumerate(inspected)
        ]
        chosen = {each.line_id: given(each.condition, each.disposition) for each in inspected}
        await self._book(row, [(known[key], fate) for key, fate in chosen.items()])
        fates = Fates(
            connection=self.connection,
            snapshot=await self.networks.current(self.connection),
            row=row,
            order=order,
            now=self.now,
        )
        for each, refund in zip(inspected, refunds, strict=True):
            line = known[each.line_id]
            price = prices.get(line.id, refund // line.quantity)  # of a blind return, what it is worth to the inspector
            fate = chosen[line.id] or await fates.decide(line, each.disposition, price)
            await self._end(row, order, line, _Outcome(condition=each.condition, fate=fate, refund=refund))
        left = any(line.condition is None for line in await lines_of(self.connection, [row.id]))
        return await self.write(row, order, ReturnStatus.RECEIVED if left else ReturnStatus.INSPECTED)

    def _check(self, row: ReturnRow, inspected: Sequence[Inspected], known: Mapping[UUID, ReturnLineRow]) -> None:
        if not inspected:
            raise InvalidInput(message="Name the lines that were inspected.", path=("lines",))
        for index, each in enumerate(inspected):
            path, line = ("lines", str(index), "lineId"), known.get(each.line_id)
            if line is None:
                raise InvalidInput(message="The return has no such line.", path=path)
            if each.line_id in {other.line_id for other in inspected[:index]}:
                raise InvalidInput(message="A line is named twice.", path=path)
            if line.condition is not None:
                raise ActionNotAllowed(
                    message=f"{line.sku} was inspected already: it is {line.condition}.",
                    path=path,
                    status=row.status,
                    allowed_actions=allowed_actions(row, self.viewer),
                )

    async def _prices(self, row: ReturnRow, lines: Collection[ReturnLineRow]) -> dict[UUID, int]:
        """Return what a unit of each line was sold for, minor units; nothing of a return without an order."""
        if row.order_id is None:
            return {}
        rows = await orders.lines(self.connection, [line.order_line_id for line in lines if line.order_line_id])
        price_of = {each.id: each.unit_price for each in rows}
        return {line.id: price_of[line.order_line_id] for line in lines if line.order_line_id}

    async def _book(self, row: ReturnRow, lines: Collection[tuple[ReturnLineRow, Fate | None]]) -> None:
        """Put the goods on hand where they are, but for those that may not be sold: they leave in the same movement."""
        moved = [self._movement(row, line, MovementReason.RETURNED, line.quantity) for line, _ in lines]
        moved += [
            self._movement(row, line, LEAVES[fate.disposition], -line.quantity)
            for line, fate in lines
            if fate and fate.disposition in LEAVES
        ]
        await inventory.create(self.connection, [(each.sku, each.location_id) for each in moved], now=self.now)
        await inventory.move(self.connection, moved, now=self.now)

    async def _end(self, row: ReturnRow, order: OrderRow | None, line: ReturnLineRow, outcome: "_Outcome") -> None:
        """Let what was decided for a line happen, and write it."""
        fate, condition = outcome.fate, outcome.condition
        transfer = await self._send(row, line, fate.target) if fate.target else None
        await self.connection.execute(
            """
            UPDATE return_line SET condition = $2, disposition = $3, explanation = $4, transfer_id = $5, refund = $6
             WHERE id = $1
            """,
            line.id,
            condition,
            fate.disposition,
            fate.why,
            transfer.id if transfer else None,
            outcome.refund,
        )
        places = (await self.networks.current(self.connection)).locations
        to = f" to {places[transfer.to_location_id].name} by transfer {transfer.number}" if transfer else ""
        refund = f"{to_decimal(outcome.refund, row.currency)} {row.currency}"
        what = f"{line.quantity} x {line.sku}, {condition.lower()}: {SAID[fate.disposition]}{to}, {refund} to refund."
        await self.say(row, order, "{place}: {what}", what=what)

    async def _send(self, row: ReturnRow, line: ReturnLineRow, target: UUID) -> transfers.TransferRow:
        assert row.received_location_id is not None  # noqa: S101 - what is inspected was received
        wanted = NewTransfer(
            from_location_id=row.received_location_id,
            to_location_id=target,
            lines=[transfers.Line(sku=line.sku, quantity=line.quantity)],
            expected_at=None,
            idempotency_key=f"return line {line.id}",
        )
        return await transfers.create_transfer(self.connection, wanted, viewer=self.viewer, now=self.now)

    def _movement(self, row: ReturnRow, line: ReturnLineRow, reason: MovementReason, units: int) -> Movement:
        assert row.received_location_id is not None  # noqa: S101 - what is inspected was received
        return Movement(
            sku=line.sku,
            location_id=row.received_location_id,
            reason=reason,
            on_hand_delta=units,
            order_id=row.order_id,
            note=f"Return {row.number}.",
        )


def _already(line: ReturnLineRow | None, said: Inspected) -> bool:
    """Say whether an inspection tells nothing new."""
    return (
        line is not None
        and line.condition == said.condition
        and said.disposition in {None, line.disposition}
        and (said.refund is None or said.refund == to_decimal(line.refund, line.currency))
    )


def _refund(row: ReturnRow, line: ReturnLineRow, said: Inspected, price: int | None, path: Sequence[str]) -> int:
    """Return what the shopper gets for a line, in minor units: never more than was paid for it.

    What could not be delivered is the order's to replace or to cancel: nothing is refunded here.
    """
    given = None if said.refund is None else to_minor(said.refund, row.currency, path=path)
    if price is None:
        return given or 0
    paid = 0 if row.shipment_id else price * line.quantity
    if given is not None:
        if given > paid:
            most = f"{to_decimal(paid, row.currency)} {row.currency}"
            raise InvalidInput(message=f"At most {most} can be refunded of {line.sku}.", path=path)
        return given
    share = Decimal(line.deductions.get(said.condition, "0"))
    return paid - int((paid * share).to_integral_value(ROUND_HALF_UP))
