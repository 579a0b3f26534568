"""Many orders, with people as people are and time passed by us, all end well."""

import re
from datetime import timedelta

import asyncpg

from app.settings import Settings
from app.simulate import simulate

ORDERS = 60
SENTENCE = re.compile(r"[A-Z0-9][^{}_\n]*[^ .]\.")
"""What people read: neither a name of ours, nor a blank that nobody filled in."""


async def test_every_order_ends_and_nothing_is_left_open(dsn: str) -> None:
    settings = Settings(database_url=dsn, secret="a secret for the tests, which is long enough")  # type: ignore[call-arg, arg-type]
    summary = await simulate(dsn, settings, orders=ORDERS, seed=1, placed_within=timedelta(days=1))
    assert summary.faults == (), str(summary)
    assert summary.orders + summary.turned_away == ORDERS
    assert set(summary.statuses) == {"COMPLETED", "CANCELLED"}
    assert summary.statuses["COMPLETED"] > ORDERS // 2
    assert {"REJECTED", "EXPIRED", "HANDED_OVER", "COLLECTED"} <= set(summary.work)
    assert {"REJECTED", "EXPIRED", "SHORT_PICK"} <= set(summary.decisions)
    connection = await asyncpg.connect(dsn)
    said = {row["message"] for row in await connection.fetch("SELECT DISTINCT message FROM timeline")}
    await connection.close()
    assert [each for each in said if not SENTENCE.fullmatch(each)] == []
    assert summary.returns["CLOSED"] > 3
    assert set(summary.returns) <= {"CLOSED", "CANCELLED"}
