"""The feed: an outbox written with each fact, read in commit order, followed with a cursor."""

from domain.feed.cursors import NOWHERE, Cursor, CursorExpired
from domain.feed.facts import LEVELS_A_ROW, Fact, FeedRow, as_rows, record
from domain.feed.reading import Update, begin, read, standing
from domain.feed.tailing import Feed, Listener

__all__ = [
    "LEVELS_A_ROW",
    "NOWHERE",
    "Cursor",
    "CursorExpired",
    "Fact",
    "Feed",
    "FeedRow",
    "Listener",
    "Update",
    "as_rows",
    "begin",
    "read",
    "record",
    "standing",
]
