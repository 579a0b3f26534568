"""Ids, made here and not by the database, so that tables can be distributed."""

import os
from datetime import datetime
from uuid import UUID

from asyncpg.pgproto import pgproto

RANDOM_BYTES = 10


def new_id(now: datetime) -> UUID:
    """Return a UUIDv7 (RFC 9562) of the millisecond `now`, its other 74 bits random.

    No counter stands in for the random bits: knowing one id tells nothing of its neighbours, and an order's id is the
    key that its shopper reads it with.
    """
    return new_ids(now, 1)[0]


def least_id(now: datetime) -> UUID:
    """Return what no id of the millisecond `now`, or of a later one, is less than."""
    return UUID(int=int(now.timestamp() * 1000) << 80)


def new_ids(now: datetime, count: int) -> list[UUID]:
    """Return as many ids of one millisecond, at a third of what they cost one by one."""
    moment = (int(now.timestamp() * 1000) & 0xFFFF_FFFF_FFFF).to_bytes(6, "big")
    random = os.urandom(RANDOM_BYTES * count)
    ids: list[UUID] = []
    for start in range(0, len(random), RANDOM_BYTES):
        a, b, c = random[start : start + 3]
        head = bytes((0x70 | a & 0x0F, b, 0x80 | c & 0x3F))
        ids.append(pgproto.UUID(moment + head + random[start + 3 : start + RANDOM_BYTES]))
    return ids
