"""Ids, made here and not by the database, so that tables can be distributed."""

import os
from datetime import datetime
from uuid import UUID


def new_id(now: datetime) -> UUID:
    """Return a UUIDv7 (RFC 9562) of the millisecond `now`, its other 74 bits random.

    No counter stands in for the random bits: knowing one id tells nothing of its neighbours, and an order's id is the
    key that its shopper reads it with.
    """
    random = int.from_bytes(os.urandom(10), "big")
    value = (int(now.timestamp() * 1000) & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0x2 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=value)
