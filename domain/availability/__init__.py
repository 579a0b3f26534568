"""How much of what the network can sell, and where: from memory, where the feed keeps it, or from Postgres."""

from domain.availability.columns import Columns
from domain.availability.found import MOST_SKUS, Found, FoundAt, availability, sellable
from domain.availability.stock import InStock, Stock

__all__ = ["MOST_SKUS", "Columns", "Found", "FoundAt", "InStock", "Stock", "availability", "sellable"]
