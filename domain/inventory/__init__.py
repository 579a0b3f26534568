"""What there is of what, where, and why: every lock and every change of stock but placement's."""

from domain.inventory.arrivals import ArrivalRow, arrivals
from domain.inventory.check import check
from domain.inventory.corrections import OnShortage, adjust_stock, count_stock
from domain.inventory.levels import Key, create, lock, move
from domain.inventory.load import ItemRecord, StockRecord, import_items, import_stock
from domain.inventory.read import (
    available,
    item_listing,
    items,
    movement_listing,
    movements,
    stock_levels,
    stock_listing,
)
from domain.inventory.rows import ItemRow, Movement, MovementRow, StockRow

__all__ = [
    "ArrivalRow",
    "ItemRecord",
    "ItemRow",
    "Key",
    "Movement",
    "MovementRow",
    "OnShortage",
    "StockRecord",
    "StockRow",
    "adjust_stock",
    "arrivals",
    "available",
    "check",
    "count_stock",
    "create",
    "import_items",
    "import_stock",
    "item_listing",
    "items",
    "lock",
    "move",
    "movement_listing",
    "movements",
    "stock_levels",
    "stock_listing",
]
