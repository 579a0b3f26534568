"""What there is of what, where, and why: every lock and every change of stock but placement's."""

from domain.inventory.arrivals import ArrivalRow, arrivals
from domain.inventory.check import check
from domain.inventory.corrections import OnShortage, adjust_stock, count_stock
from domain.inventory.foresight import foresee, lock_items
from domain.inventory.kept import Holdback, SafetyStock, set_holdback, set_safety_stock
from domain.inventory.known import find_places
from domain.inventory.levels import Key, create, lock, move
from domain.inventory.load import ItemRecord, StockRecord, import_items, import_stock
from domain.inventory.read import (
    Before,
    available,
    available_before,
    hold_back,
    holdbacks,
    incoming,
    item_listing,
    items,
    movement_listing,
    movements,
    stock_levels,
    stock_listing,
)
from domain.inventory.rows import EACH_LOCATION, MOST, HoldbackRow, ItemRow, Movement, MovementRow, StockRow, netted

__all__ = [
    "EACH_LOCATION",
    "MOST",
    "ArrivalRow",
    "Before",
    "Holdback",
    "HoldbackRow",
    "ItemRecord",
    "ItemRow",
    "Key",
    "Movement",
    "MovementRow",
    "OnShortage",
    "SafetyStock",
    "StockRecord",
    "StockRow",
    "adjust_stock",
    "arrivals",
    "available",
    "available_before",
    "check",
    "count_stock",
    "create",
    "find_places",
    "foresee",
    "hold_back",
    "holdbacks",
    "import_items",
    "import_stock",
    "incoming",
    "item_listing",
    "items",
    "lock",
    "lock_items",
    "move",
    "movement_listing",
    "movements",
    "netted",
    "set_holdback",
    "set_safety_stock",
    "stock_levels",
    "stock_listing",
]
