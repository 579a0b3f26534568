"""On which terms goods are taken back: the first policy that fits decides, those of a higher priority come first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.errors import InvalidInput, VersionConflict
from domain.ids import new_id
from domain.money import check_currency, to_minor
from domain.text import check_code, check_codes
from domain.transaction import Connection, Row
from domain.vocabulary import ItemCondition

MOST_POLICIES = 100
MOST_DAYS = 3650
HIGHEST_PRIORITY = 1_000_000
USUAL_DAYS = 30
USUAL_PRIORITY = 100
USUAL_CURRENCY = "EUR"


class ReturnPolicyRow(Row):
    """A policy as Postgres holds it; `deductions` are shares of the price by condition, decimals in text."""

    id: UUID
    name: str
    channels: list[str]
    item_tags: list[str]
    days: int
    auto_approve: bool
    currency: str
    carrier_price: int
    in_store_price: int
    deductions: dict[str, str]
    priority: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """What is to be said about a policy, new or known by its name; None stays as it is."""

    name: str
    channels: Sequence[str] | None = None
    item_tags: Sequence[str] | None = None
    days: int | None = None
    auto_approve: bool | None = None
    currency: str | None = None
    carrier_price: Decimal | None = None
    in_store_price: Decimal | None = None
    deductions: Sequence[tuple[ItemCondition, Decimal]] | None = None
    priority: int | None = None


async def all_policies(connection: Connection) -> list[ReturnPolicyRow]:
    """Return all policies in the order in which they are asked."""
    rows: list[ReturnPolicyRow] = await connection.fetch(
        'SELECT * FROM return_policy ORDER BY priority DESC, name COLLATE "C"', record_class=ReturnPolicyRow
    )
    return rows


async def policies(connection: Connection, ids: Sequence[UUID]) -> list[ReturnPolicyRow]:
    """Return those of the policies that exist, in any order."""
    rows: list[ReturnPolicyRow] = await connection.fetch(
        "SELECT * FROM return_policy WHERE id = ANY ($1::uuid[])", ids, record_class=ReturnPolicyRow
    )
    return rows


def policy_for(
    found: Sequence[ReturnPolicyRow], *, channel: str, tags: Sequence[str], currency: str
) -> ReturnPolicyRow | None:
    """Return the policy that decides on an item of an order; one that asks a price decides only in its currency."""
    return next(
        (
            policy
            for policy in found
            if (not policy.channels or channel in policy.channels)
            and (not policy.item_tags or not set(tags).isdisjoint(policy.item_tags))
            and (policy.currency == currency or policy.carrier_price == policy.in_store_price == 0)
        ),
        None,
    )


async def save_policy(
    connection: Connection, change: PolicyChange, *, expected_version: int | None, now: datetime
) -> ReturnPolicyRow:
    """Change the policy of that name, or make it; raise InvalidInput or VersionConflict."""
    check_code(change.name, path=("name",))
    # Two that make policies wait for each other: none is made twice, and no version is passed by.
    await connection.execute("LOCK TABLE return_policy IN SHARE ROW EXCLUSIVE MODE")
    known = {row.name: row for row in await all_policies(connection)}
    row = known.get(change.name)
    version = row.version if row else 0
    if expected_version not in {None, version}:
        message = f"The policy's version is {version}."
        raise VersionConflict(message=message, path=("expectedVersion",), current_version=version)
    if row is None and len(known) >= MOST_POLICIES:
        raise InvalidInput(message=f"There are {MOST_POLICIES} policies already.", path=("name",))
    before: Mapping[str, object] = dict(row) if row else {**_USUAL, "id": new_id(now), "name": change.name}
    after = {**before, **_columns(change, str(before["currency"]))}
    if row and after == before:
        return row
    if row and after["currency"] != row.currency and None in {change.carrier_price, change.in_store_price}:
        raise InvalidInput(message="A new currency needs carrierPrice and inStorePrice anew.", path=("currency",))
    saved: ReturnPolicyRow = await connection.fetchrow(
        _SAVE, {**after, "version": version + 1}, record_class=ReturnPolicyRow
    )
    return saved


_USUAL: Mapping[str, object] = {
    "channels": [],
    "item_tags": [],
    "days": USUAL_DAYS,
    "auto_approve": True,
    "currency": USUAL_CURRENCY,
    "carrier_price": 0,
    "in_store_price": 0,
    "deductions": {},
    "priority": USUAL_PRIORITY,
}
_SAVE = """
INSERT INTO return_policy SELECT * FROM jsonb_populate_record(NULL::return_policy, $1)
ON CONFLICT (id) DO UPDATE
   SET channels = excluded.channels, item_tags = excluded.item_tags, days = excluded.days,
       auto_approve = excluded.auto_approve, currency = excluded.currency, carrier_price = excluded.carrier_price,
       in_store_price = excluded.in_store_price, deductions = excluded.deductions, priority = excluded.priority,
       version = excluded.version
RETURNING *
"""


def _columns(change: PolicyChange, currency: str) -> dict[str, object]:
    columns: dict[str, object] = {}
    if change.currency is not None:
        columns["currency"] = currency = check_currency(change.currency, path=("currency",))
    for name, path, codes in (("channels", "channels", change.channels), ("item_tags", "itemTags", change.item_tags)):
        if codes is not None:
            columns[name] = check_codes(codes, path=(path,))
    for name, path, amount in (
        ("carrier_price", "carrierPrice", change.carrier_price),
        ("in_store_price", "inStorePrice", change.in_store_price),
    ):
        if amount is not None:
            columns[name] = to_minor(amount, currency, path=(path,))
    if change.days is not None:
        columns["days"] = _within(change.days, 0, MOST_DAYS, "days")
    if change.priority is not None:
        columns["priority"] = _within(change.priority, 1, HIGHEST_PRIORITY, "priority")
    if change.auto_approve is not None:
        columns["auto_approve"] = change.auto_approve
    if change.deductions is not None:
        columns["deductions"] = _deductions(change.deductions)
    return columns


def _within(number: int, least: int, most: int, field: str) -> int:
    if not least <= number <= most:
        raise InvalidInput(message=f"This is a number from {least:,} to {most:,}.", path=(field,))
    return number


def _deductions(deductions: Sequence[tuple[ItemCondition, Decimal]]) -> dict[str, str]:
    shares: dict[str, str] = {}
    for n, (condition, share) in enumerate(deductions):
        path = ("deductions", str(n))
        if condition in shares:
            raise InvalidInput(message="A condition is named twice.", path=(*path, "condition"))
        if not (share.is_finite() and 0 <= share <= 1):
            raise InvalidInput(message="A share is a number from 0 to 1, like 0.2.", path=(*path, "share"))
        shares[condition.value] = str(share)
    return shares
