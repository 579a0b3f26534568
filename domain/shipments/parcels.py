"""How the units of an assignment are shared out to parcels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID


class Units(NamedTuple):
    """So many units of an order's line, each of so many grams."""

    order_line_id: UUID
    sku: str
    quantity: int
    grams: int


@dataclass(slots=True)
class Packed:
    """A parcel: its weight, and how many units of each order's line it holds."""

    grams: int = 0
    quantities: Counter[UUID] = field(default_factory=Counter)


def share_out(units: Sequence[Units], max_grams: int | None) -> list[Packed]:
    """Return parcels of at most `max_grams`: the heaviest units first, each into the first parcel that has room.

    A unit that is heavier by itself goes alone.
    """
    parcels: list[Packed] = []
    for each in sorted(units, key=lambda each: (-each.grams, each.sku)):
        left = each.quantity
        for parcel in parcels:
            left -= _put(parcel, each, left, max_grams)
        while left:
            parcels.append(Packed())
            left -= _put(parcels[-1], each, left, max_grams)
    return parcels


def _put(parcel: Packed, units: Units, left: int, max_grams: int | None) -> int:
    """Put as many of the units into a parcel as it has room for, one at least where it is empty; return how many."""
    taken = left
    if max_grams is not None:
        room = max_grams - parcel.grams
        fits = 0 if room < 0 else room // units.grams if units.grams else left
        taken = min(left, max(fits, 0 if parcel.quantities else 1))
    if taken:
        parcel.grams += taken * units.grams
        parcel.quantities[units.order_line_id] += taken
    return taken
