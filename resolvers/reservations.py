"""Reservations."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import strawberry

from domain import reservations
from domain.reservations import Holding
from schema.context import Context, Info
from schema.paging import uuid_of
from schema.reservations import ReleaseReservationResult, Reservation, ReserveCartResult


@asynccontextmanager
async def _holding(context: Context) -> AsyncIterator[Holding]:
    async with context.database.transaction() as connection:
        yield Holding(
            connection=connection,
            networks=context.networks,
            promises=context.promises,
            terms=context.terms,
            now=context.now(),
        )


async def reserve_cart(
    info: Info, option_token: str, idempotency_key: str, ttl: timedelta | None = None
) -> ReserveCartResult:
    async with _holding(info.context) as holding:
        row = await holding.reserve(option_token, idempotency_key=idempotency_key, ttl=ttl)
    return Reservation.of(row)


async def extend_reservation(info: Info, id: strawberry.ID, ttl: timedelta) -> ReserveCartResult:
    async with _holding(info.context) as holding:
        row = await holding.extend(uuid_of(id, "Reservation"), ttl)
    return Reservation.of(row)


async def release_reservation(info: Info, id: strawberry.ID) -> ReleaseReservationResult:
    context = info.context
    async with context.database.transaction() as connection:
        row = await reservations.release(connection, uuid_of(id, "Reservation"), now=context.now())
    return Reservation.of(row)
