"""Which updates of a level are told after newer ones.

A transaction has its place in the feed from its first write on, and may wait for a level until another, which began
after it, has changed that and ended. An update's number is taken once its level is locked, so of one level they grow.
"""

from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

from domain.feed.reading import Update

MOST_KNOWN = 50_000
"""So many levels are told of, at least, while a transaction lasts that may be late."""

Level: TypeAlias = tuple[str | None, frozenset[UUID]]


@dataclass(slots=True)
class Newest:
    """Hears updates of levels as the feed tells them."""

    _lately: dict[Level, tuple[int, int]] = field(default_factory=dict)
    _before: dict[Level, tuple[int, int]] = field(default_factory=dict)

    def hears(self, update: Update) -> bool:
        """Take note of an update, and say whether it is as new as any that was told of its level before."""
        level, number = (update.sku, update.location_ids), (update.cursor.epoch, update.cursor.id)
        known = self._lately.get(level) or self._before.get(level)
        if known is not None and number < known:
            return False
        if len(self._lately) >= MOST_KNOWN:
            self._before, self._lately = self._lately, {}
        self._lately[level] = number
        return True
