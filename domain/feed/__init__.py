"""The feed: an outbox written with each fact, read in commit order, followed with a cursor."""

from domain.feed.cursors import NOWHERE, Cursor, CursorExpired
from domain.feed.facts import LEVELS_A_ROW, Fact, FeedRow, as_rows, record
from domain.feed.newest import Newest
from domain.feed.reading import Standing, Update, read, standing
from domain.feed.retention import TIMER, forgetting
from domain.feed.tailing import Feed, Listener

__all__ = [
    "LEVELS_A_ROW",
    "NOWHERE",
    "TIMER",
    "Cursor",
    "CursorExpired",
    "Fact",
    "Feed",
    "FeedRow",
    "Listener",
    "Newest",
    "Standing",
    "Update",
    "as_rows",
    "forgetting",
    "read",
    "record",
    "standing",
]
