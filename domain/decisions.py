"""Decisions: why an order was routed as it was, kept for a while after."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import orjson

from domain.decided import Basis, Decided
from domain.ids import least_id, new_id
from domain.planning.explain import MOST_BYTES, Alternative, Candidate, Explanation, dump, explain, read
from domain.planning.problem import Parcel
from domain.promises import ParcelJson, parcel_as_json, parcel_from_json
from domain.timers import Handler, set_timer
from domain.transaction import Connection, Row
from domain.vocabulary import RoutingTrigger

TIMER = "decisions"
FORGET_EVERY = timedelta(hours=1)
FORGET_AT_ONCE = 5000


class Told(TypedDict):
    """What is told of a decision: where the goods come from, and why; no reason where a token told the rest."""

    parcels: Sequence[ParcelJson]
    why: Any


class NewDecision(NamedTuple):
    """A row of routing_decision, as it is written."""

    order_id: UUID
    id: UUID
    decided_at: datetime
    trigger: RoutingTrigger
    policy_name: str
    policy_version: int
    cost: int
    gap: float
    solve_microseconds: int
    told: Told


class DecisionRow(Row):
    """A decision as it is stored, with the currency of its order."""

    order_id: UUID
    id: UUID
    decided_at: datetime
    trigger: str
    policy_name: str
    policy_version: int
    cost: int
    gap: float
    solve_microseconds: int
    told: Told
    currency: str

    def __hash__(self) -> int:
        return hash((self.order_id, self.id))


def new_decisions(order_id: UUID, decided: Decided, trigger: RoutingTrigger, *, now: datetime) -> list[NewDecision]:
    """Return the row that keeps a decision, none where nothing was decided.

    Candidates are left out so that its JSON is at most 8 KB; what it cannot be without are its parcels.
    """
    plan, basis = decided.plan, decided.basis
    if basis is None:
        return []
    parcels = [parcel_as_json(parcel) for parcel in plan.parcels]
    why = None
    if decided.decision:
        most = MOST_BYTES - len(orjson.dumps(Told(parcels=parcels, why=None)))
        why = orjson.Fragment(dump(explain(decided.decision), most=most))
    row = NewDecision(
        order_id=order_id,
        id=new_id(now),
        decided_at=now,
        trigger=trigger,
        policy_name=basis.policy_name,
        policy_version=basis.policy_version,
        cost=plan.cost,
        gap=basis.gap,
        solve_microseconds=basis.micros,
        told=Told(parcels=parcels, why=why),
    )
    return [row]


async def keep(connection: Connection, rows: Sequence[NewDecision]) -> None:
    """Keep decisions, in the caller's transaction."""
    await connection.executemany(
        f"INSERT INTO routing_decision ({', '.join(NewDecision._fields)}) "  # noqa: S608 - our own names
        f"VALUES ({', '.join(f'${n}' for n in range(1, len(NewDecision._fields) + 1))})",
        rows,
    )


async def decisions(connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> list[DecisionRow]:
    """Return the decisions of these orders with these ids, those that exist."""
    rows: list[DecisionRow] = await connection.fetch(
        """
        SELECT d.*, o.currency
          FROM unnest($1::uuid[], $2::uuid[]) AS k(order_id, id)
          JOIN routing_decision d ON d.order_id = k.order_id AND d.id = k.id
          JOIN customer_order o ON o.id = d.order_id
        """,
        [order_id for order_id, _ in keys],
        [key for _, key in keys],
        record_class=DecisionRow,
    )
    return rows


async def decisions_of(connection: Connection, order_ids: Sequence[UUID]) -> list[DecisionRow]:
    """Return the decisions on these orders, those of each from the first to the last."""
    rows: list[DecisionRow] = await connection.fetch(
        """
        SELECT d.*, o.currency FROM routing_decision d JOIN customer_order o ON o.id = d.order_id
         WHERE d.order_id = ANY ($1::uuid[]) ORDER BY d.order_id, d.decided_at, d.id
        """,
        order_ids,
        record_class=DecisionRow,
    )
    return rows


async def last_basis(connection: Connection, order_id: UUID) -> Basis | None:
    """Return what an order was last routed by; None where that is not kept any more."""
    row = await connection.fetchrow(
        """
        SELECT policy_name, policy_version, gap, solve_microseconds AS micros
          FROM routing_decision WHERE order_id = $1 ORDER BY id DESC LIMIT 1
        """,
        order_id,
    )
    return Basis(**row) if row else None


def parcels_of(row: DecisionRow) -> list[Parcel]:
    """Return where the goods were decided to come from; what each parcel costs by itself is not kept."""
    return [parcel_from_json(parcel) for parcel in row.told["parcels"]]


def explanation_of(row: DecisionRow) -> Explanation:
    """Return why it was decided so; of an option that was promised before, only what was chosen."""
    if row.told["why"] is not None:
        return read(row.told["why"])
    codes = tuple(parcel.location_code for parcel in parcels_of(row))
    return Explanation(
        cost=row.cost,
        ratings={},
        gap=row.gap,
        considered=len(codes),
        stopped={},
        candidates=[Candidate(location_code=code, chosen=True, ratings={}) for code in codes],
        alternatives=[Alternative(parcel_count=len(codes), cost=row.cost, location_codes=codes)],
    )


def forgetting(kept_for: timedelta) -> Handler:
    """Return what forgets, hour by hour, the decisions that are older than that."""
    return partial(_forget, kept_for)


async def _forget(kept_for: timedelta, connection: Connection, key: str, now: datetime) -> None:
    before = now - kept_for
    # An order's id tells when it was placed, and no decision on it is older: the primary key leads to the oldest.
    status: str = await connection.execute(
        """
        DELETE FROM routing_decision WHERE (order_id, id) IN (
            SELECT order_id, id FROM routing_decision WHERE order_id < $1 AND decided_at < $2
             ORDER BY order_id LIMIT $3 FOR UPDATE SKIP LOCKED
        )
        """,
        least_id(before),
        before,
        FORGET_AT_ONCE,
    )
    more = int(status.rsplit(maxsplit=1)[-1]) == FORGET_AT_ONCE
    await set_timer(connection, TIMER, key, now if more else now + FORGET_EVERY)
