"""Facts, and how they are written to the feed: in runs, in the transaction that made them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from domain.transaction import Connection
from domain.vocabulary import UpdateKind

IDS_A_ROW = 32
"""That the sequence `feed_id` gives each row: one for each fact or level in it, so no row may hold more."""
FACTS_A_ROW = 20
LEVELS_A_ROW = IDS_A_ROW


class Fact(NamedTuple):
    """What is to be told: its kind, whom it concerns, and what it brought."""

    kind: UpdateKind
    at: datetime
    order_id: UUID | None = None
    assignment_id: UUID | None = None
    location_ids: Sequence[UUID] = ()
    channel: str | None = None
    sku: str | None = None
    status: str | None = None
    quantities: tuple[int, int, int] | None = None
    """On hand, reserved, available."""
    return_id: UUID | None = None
    refund: tuple[str, str] | None = None
    """An amount in decimals, and its currency."""


class FeedRow(NamedTuple):
    """A run of facts, as it is written: one row, and one entry in the index, for what was told together."""

    order_id: UUID | None
    kind: str
    payload: dict[str, Any]
    at: datetime


async def record(connection: Connection, facts: Sequence[Fact]) -> None:
    """Write facts to the feed, in this order, in the caller's transaction.

    The rows travel as JSON: of composites, asyncpg asks on each new connection, for 10 ms, what they are made of.
    """
    if facts:
        await connection.execute(
            """
            INSERT INTO feed (epoch, kind, keys, payload, at)
            SELECT e.epoch, f.kind, '{}', f.payload, f.at
              FROM jsonb_populate_recordset(NULL::new_feed, $1) WITH ORDINALITY f, feed_epoch e
             ORDER BY f.ordinality
            """,
            [row._asdict() for row in as_rows(facts)],
        )


def as_rows(facts: Sequence[Fact]) -> list[FeedRow]:
    """Return facts about one moment as rows of the feed."""
    runs = [facts[start : start + FACTS_A_ROW] for start in range(0, len(facts), FACTS_A_ROW)]
    return [
        FeedRow(run[0].order_id, run[0].kind, {"facts": [_as_json(fact) for fact in run]}, run[0].at) for run in runs
    ]


def _as_json(fact: Fact) -> dict[str, object]:
    told: dict[str, object] = {"kind": fact.kind}
    if fact.order_id:
        told["order"] = str(fact.order_id)
    if fact.assignment_id:
        told["assignment"] = str(fact.assignment_id)
    if fact.location_ids:
        told["locations"] = [str(location_id) for location_id in fact.location_ids]
    if fact.channel:
        told["channel"] = fact.channel
    if fact.sku:
        told["sku"] = fact.sku
    if fact.status:
        told["status"] = fact.status
    if fact.quantities:
        told["quantities"] = fact.quantities
    if fact.return_id:
        told["return"] = str(fact.return_id)
    if fact.refund:
        told["refund"] = fact.refund
    return told
