"""Offering: the rows that a plan's parcels become as work of their locations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from domain import feed, orders
from domain.decided import Decided
from domain.ids import new_ids
from domain.network import LocationRow, Snapshot
from domain.planning.problem import Parcel
from domain.vocabulary import AssignmentStatus, FulfillmentMethod, UpdateKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """The order whose work is offered; `offers_before` counts the assignments it had before.

    Work of an order that is `held` is planned only, and nobody is told of it.
    """

    order_id: UUID
    method: FulfillmentMethod
    channel: str
    offers_before: int = 0
    held: bool = False


class NewAssignment(NamedTuple):
    """A row of assignment, as it is offered; `suffix` follows the order's number.

    Where `destination_id` is set, it is a transfer to the order's store, of what that lacks. `work_day` is None where
    the location has no capacity to count against. How long the location may take to begin, once it has accepted, is in
    seconds of its opening hours.
    """

    id: UUID
    suffix: int
    order_id: UUID
    location_id: UUID
    method: FulfillmentMethod
    carrier_service_code: str | None
    offered_at: datetime
    due_at: datetime
    arrives_latest: datetime
    work_day: date | None
    respond_by: datetime | None
    start_seconds: int | None
    destination_id: UUID | None


class NewLine(NamedTuple):
    """A row of assignment_line, as it is offered, with what its stock is looked up by."""

    id: UUID
    order_id: UUID
    assignment_id: UUID
    order_line_id: UUID
    position: int
    sku: str
    quantity: int
    location_id: UUID
    channel: str


@dataclass(slots=True, kw_only=True)
class Work:
    """The rows that offering parcels to their locations writes."""

    assignments: list[NewAssignment] = field(default_factory=list)
    lines: list[NewLine] = field(default_factory=list)
    facts: list[feed.Fact] = field(default_factory=list)
    entries: list[orders.Entry] = field(default_factory=list)
    location_ids: list[UUID] = field(default_factory=list)

    @property
    def arrives_latest(self) -> datetime:
        """When the last of it arrives, of work that there is."""
        return max(each.arrives_latest for each in self.assignments)

    def add(self, other: "Work") -> None:
        """Take in what more is offered."""
        self.assignments += other.assignments
        self.lines += other.lines
        self.facts += other.facts
        self.entries += other.entries
        self.location_ids += other.location_ids


def offers(
    snapshot: Snapshot, decided: Decided, offered: Offered, line_ids: Mapping[str, UUID], *, now: datetime
) -> Work:
    """Return the work that a plan's parcels make, with the deadlines of the policy that decided.

    `line_ids` holds the order line of each SKU.
    """
    suffix = offered.offers_before
    work, policy = Work(), snapshot.policies.named(decided.basis.policy_name if decided.basis else "")
    for parcel in decided.plan.parcels:
        end = snapshot.location(parcel.destination_code) if parcel.destination_code else None
        suffix += end is None
        location = snapshot.locations[snapshot.id_by_code[parcel.location_code]]
        assignment_id, *ids = new_ids(now, 1 + len(parcel.shares))
        respond_by = None if offered.held else snapshot.deadline(location.id, policy.respond_within, now)
        assignment = NewAssignment(
            assignment_id,
            suffix,
            offered.order_id,
            location.id,
            offered.method,
            parcel.service_code,
            now,
            parcel.due_at,
            parcel.arrives_latest,
            parcel.work_day if location.capacity and not end else None,
            respond_by,
            _seconds(policy.start_within),
            end.id if end else None,
        )
        work.assignments.append(assignment)
        work.lines += _lines(parcel, assignment, offered.channel, line_ids, ids)
        if end and not offered.held:
            work.entries.append(_asked(location, parcel, end, offered, now=now))
        elif not offered.held:
            _announce(work, assignment, offered.channel, f"Offered to {location.name}.")
    return work


def _asked(location: LocationRow, parcel: Parcel, end: LocationRow, offered: Offered, *, now: datetime) -> orders.Entry:
    goods = ", ".join(f"{share.quantity} x {share.sku}" for share in parcel.shares)
    message = f"{location.name} is asked to send {goods} to {end.name}."
    return orders.Entry(offered.order_id, now, UpdateKind.ORDER_ROUTED, message, None, end.id)


def _announce(work: Work, assignment: NewAssignment, channel: str, sentence: str) -> None:
    kind, place, now = UpdateKind.ASSIGNMENT_OFFERED, assignment.location_id, assignment.offered_at
    work.location_ids.append(place)
    work.facts.append(
        feed.Fact(
            kind=kind,
            at=now,
            order_id=assignment.order_id,
            assignment_id=assignment.id,
            location_ids=(place,),
            channel=channel,
            status=AssignmentStatus.OFFERED,
        )
    )
    work.entries.append(orders.Entry(assignment.order_id, now, kind, sentence, None, place))


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds())


def _lines(
    parcel: Parcel, assignment: NewAssignment, channel: str, line_ids: Mapping[str, UUID], ids: Sequence[UUID]
) -> list[NewLine]:
    return [
        NewLine(
            new_id,
            assignment.order_id,
            assignment.id,
            line_ids[share.sku],
            position,
            share.sku,
            share.quantity,
            assignment.location_id,
            channel,
        )
        for position, (new_id, share) in enumerate(zip(ids, parcel.shares, strict=True))
    ]
