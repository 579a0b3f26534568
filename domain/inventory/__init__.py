"""What there is of what, where, and why: every lock and every change of stock but placement's."""

from domain.inventory.check import check
from domain.inventory.levels import adjust_stock, lock, move
from domain.inventory.load import ItemRecord, StockRecord, import_items, import_stock
from domain.inventory.read import available, items, stock_levels, stock_listing
from domain.inventory.rows import ItemRow, Movement, StockRow

__all__ = [
    "ItemRecord",
    "ItemRow",
    "Movement",
    "StockRecord",
    "StockRow",
    "adjust_stock",
    "available",
    "check",
    "import_items",
    "import_stock",
    "items",
    "lock",
    "move",
    "stock_levels",
    "stock_listing",
]
