"""Policies as they are kept: versions by name that nobody changes, of which at most one is active."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypedDict
from uuid import UUID

from domain.errors import InvalidInput
from domain.planning.policy import DEFAULT, PRESETS, Fence, Policy, Rating, check
from domain.policies.condition import Condition
from domain.text import check_code, check_codes
from domain.transaction import Connection, Row
from domain.vocabulary import FenceKind, LocationKind, RatingKind

MOST_POLICIES = 100
HIGHEST_PRIORITY = 1_000_000
LONGEST_DEADLINE = timedelta(days=90)

FALLBACK = replace(DEFAULT, priority=0)
"""What decides where no other policy does."""
OUT_OF_THE_BOX = {**PRESETS, FALLBACK.name: FALLBACK}
"""The first version of each preset: it is there without having been saved."""


class FenceJson(TypedDict):
    """A fence, as a version keeps it."""

    kind: FenceKind
    limit: str | None
    tags: Sequence[str]
    forbid: bool
    locations: Sequence[str]


class RatingJson(TypedDict):
    """A rating, as a version keeps it."""

    kind: RatingKind
    weight: str
    tags: Sequence[str]
    kinds: Sequence[LocationKind]


class PolicyRow(Row):
    """A version of a policy, as it is stored."""

    name: str
    version: int
    active: bool
    priority: int
    condition: str
    fences: list[FenceJson]
    ratings: list[RatingJson]
    respond_seconds: int | None
    start_seconds: int | None
    collect_seconds: int | None
    saved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a policy, and whether it is in force."""

    policy: Policy
    active: bool


async def save(connection: Connection, policy: Policy, *, activate: bool, now: datetime) -> Version:
    """Keep a policy as the next version of its name, and put it in force, or else leave in force what is.

    One without ratings has those of the preset of its name. Raises InvalidInput with the place of the mistake. Reading
    the network gives the new version from the end of the caller's transaction on.
    """
    policy = checked(policy)
    await connection.execute(
        "UPDATE network_revision SET revision = revision + 1"
    )  # one at a time, and all get to know
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM routing_policy WHERE name = $1)", policy.name):
        names: int = await connection.fetchval("SELECT count(DISTINCT name) FROM routing_policy")
        if names >= MOST_POLICIES:
            raise InvalidInput(message=f"There are {MOST_POLICIES} policies; more are not kept.", path=("name",))
    if activate:
        await connection.execute("UPDATE routing_policy SET active = false WHERE name = $1 AND active", policy.name)
    row = await connection.fetchrow(_INSERT, *_columns(policy, activate=activate, now=now), record_class=PolicyRow)
    return _version(row)


async def newest(connection: Connection) -> list[Version]:
    """Return the version in force and the newest of each policy, those that are asked first coming first."""
    rows = await connection.fetch(
        """
        SELECT p.* FROM routing_policy p
         WHERE active OR version = (SELECT max(version) FROM routing_policy q WHERE q.name = p.name)
        """,
        record_class=PolicyRow,
    )
    saved = {row.name for row in rows} - {FALLBACK.name}
    found = [_version(row) for row in rows]
    found += [Version(policy=preset, active=preset is FALLBACK) for preset in _presets() if preset.name not in saved]
    return sorted(found, key=lambda each: (not each.active, *_place(each.policy)))


async def active(connection: Connection) -> list[Policy]:
    """Return the policies in force, in the order in which they are asked."""
    rows = await connection.fetch("SELECT * FROM routing_policy WHERE active", record_class=PolicyRow)
    return [*sorted((_version(row).policy for row in rows), key=_place), FALLBACK]


async def versions(connection: Connection, keys: Sequence[tuple[str, int]]) -> list[Version]:
    """Return the versions of these names and numbers, those that exist."""
    rows = await connection.fetch(
        """
        SELECT p.* FROM routing_policy p
          JOIN unnest($1::text[], $2::int[]) AS k(name, version) ON p.name = k.name AND p.version = k.version
        """,
        [name for name, _ in keys],
        [version for _, version in keys],
        record_class=PolicyRow,
    )
    presets = [preset for preset in _presets() if (preset.name, preset.version) in keys]
    return [*map(_version, rows), *(Version(policy=each, active=each is FALLBACK) for each in presets)]


async def collect_within(connection: Connection, order_id: UUID) -> timedelta | None:
    """Return how long the policy that an order was routed by last lets its shopper wait; None where it says nothing."""
    seconds: int | None = await connection.fetchval(
        """
        SELECT p.collect_seconds
          FROM routing_decision d
          JOIN routing_policy p ON p.name = d.policy_name AND p.version = d.policy_version
         WHERE d.order_id = $1 ORDER BY d.id DESC LIMIT 1
        """,
        order_id,
    )
    return _span(seconds)


def _presets() -> Iterable[Policy]:
    return OUT_OF_THE_BOX.values()


def _place(policy: Policy) -> tuple[int, str, int]:
    return -policy.priority, policy.name, -policy.version


def checked(policy: Policy) -> Policy:
    """Return the policy, with the ratings of the preset of its name where it has none; InvalidInput for a mistake."""
    check_code(policy.name, path=("name",))
    if not 1 <= policy.priority <= HIGHEST_PRIORITY:
        raise InvalidInput(message=f"A priority is 1 to {HIGHEST_PRIORITY:,}.", path=("priority",))
    for number, fence in enumerate(policy.fences):
        check_codes(fence.tags, path=("fences", str(number), "tags"))
    for number, rating in enumerate(policy.ratings):
        check_codes(rating.tags, path=("ratings", str(number), "tags"))
    for name, deadline in (
        ("respondWithin", policy.respond_within),
        ("startWithin", policy.start_within),
        ("collectWithin", policy.collect_within),
    ):
        if deadline is not None and not timedelta(minutes=1) <= deadline <= LONGEST_DEADLINE:
            message = f"A deadline is 1 minute to {LONGEST_DEADLINE.days} days."
            raise InvalidInput(message=message, path=(name,))
    Condition(policy.condition)
    return check(_rated(policy))


def _rated(policy: Policy) -> Policy:
    if policy.ratings:
        return policy
    if policy.name not in PRESETS:
        message = f"A policy has ratings, or else the name of a preset: {', '.join(PRESETS)}."
        raise InvalidInput(message=message, path=("ratings",))
    preset = PRESETS[policy.name]
    return replace(policy, fences=(*preset.fences, *policy.fences), ratings=preset.ratings)


def _columns(policy: Policy, *, activate: bool, now: datetime) -> Sequence[object]:
    first = OUT_OF_THE_BOX[policy.name].version if policy.name in OUT_OF_THE_BOX else 0
    fences = [
        FenceJson(
            kind=fence.kind,
            limit=None if fence.limit is None else str(fence.limit),
            tags=fence.tags,
            forbid=fence.forbid,
            locations=fence.location_codes,
        )
        for fence in policy.fences
    ]
    ratings = [
        RatingJson(kind=rating.kind, weight=str(rating.weight), tags=rating.tags, kinds=rating.location_kinds)
        for rating in policy.ratings
    ]
    deadlines = (policy.respond_within, policy.start_within, policy.collect_within)
    seconds = (None if deadline is None else int(deadline.total_seconds()) for deadline in deadlines)
    return (policy.name, first, activate, policy.priority, policy.condition, fences, ratings, *seconds, now)


def _version(row: PolicyRow) -> Version:
    policy = Policy(
        name=row.name,
        version=row.version,
        priority=row.priority,
        condition=row.condition,
        fences=tuple(
            Fence(
                kind=FenceKind(fence["kind"]),
                limit=None if fence["limit"] is None else Decimal(fence["limit"]),
                tags=tuple(fence["tags"]),
                forbid=fence["forbid"],
                location_codes=tuple(fence["locations"]),
            )
            for fence in row.fences
        ),
        ratings=tuple(
            Rating(
                kind=RatingKind(rating["kind"]),
                weight=Decimal(rating["weight"]),
                tags=tuple(rating["tags"]),
                location_kinds=tuple(map(LocationKind, rating["kinds"])),
            )
            for rating in row.ratings
        ),
        respond_within=_span(row.respond_seconds),
        start_within=_span(row.start_seconds),
        collect_within=_span(row.collect_seconds),
    )
    return Version(policy=policy, active=row.active)


def _span(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


_INSERT = """
INSERT INTO routing_policy (name, version, active, priority, condition, fences, ratings, respond_seconds, start_seconds,
                            collect_seconds, saved_at)
SELECT $1::text, greatest(max(version), $2) + 1, $3, $4, $5, $6, $7, $8, $9, $10, $11
  FROM routing_policy WHERE name = $1::text
RETURNING *
"""
