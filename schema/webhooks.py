"""Systems that are told over HTTP."""

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import orjson
import strawberry

from domain.feed import Update
from domain.vocabulary import UpdateKind
from domain.webhooks import Delivery, ParkedRow, WebhookChange, WebhookRow
from schema.context import Info
from schema.errors import InvalidInputError, NotFoundError
from schema.paging import Node, global_id, uuid_of
from schema.permission import OFFICE, edge
from schema.scalars import Cursor


@strawberry.type(description="What a webhook did not take for 24 hours. replayWebhook sends it again.")
class DeadLetter:
    cursor: Cursor
    at: datetime
    kind: UpdateKind
    attempts: int
    error: str | None

    @classmethod
    def of(cls, row: ParkedRow) -> "DeadLetter":
        return cls(
            cursor=Cursor(str(row.cursor)),
            at=row.at,
            kind=UpdateKind(row.kind),
            attempts=row.attempts,
            error=row.error,
        )


@strawberry.type(
    description="For systems that hold no socket: signed (Standard Webhooks), at least once, in order for each order."
)
class Webhook(Node):
    row: strawberry.Private[WebhookRow]
    url: str
    kinds: list[UpdateKind] = strawberry.field(description="Empty: all of them.")
    active: bool = strawberry.field(
        description="While it is not, nothing is sent; once it is again, what happened meanwhile comes first."
    )
    secret: str | None = strawberry.field(description="Shown once, when it is made.")
    failing: bool = strawberry.field(description="Whether something waits that was not taken.")
    delivered_through: Cursor | None = strawberry.field(
        description="Everything up to here was taken, or waits, or is a dead letter."
    )
    missed_through: Cursor | None = strawberry.field(
        description="Not null: updates up to here were gone before they could be told. replayWebhook makes it null."
    )
    version: int

    @classmethod
    def of(cls, row: WebhookRow, *, secret: str | None = None) -> "Webhook":
        return cls(
            id=global_id("Webhook", row.id),
            row=row,
            url=row.url,
            kinds=[UpdateKind(kind) for kind in row.kinds],
            active=row.active,
            secret=secret,
            failing=row.failing,
            delivered_through=Cursor(row.delivered_through),
            missed_through=Cursor(row.missed_through) if row.missed_through else None,
            version=row.version,
        )

    @edge(allow=OFFICE, hidden=list, description="The oldest first, at most 100; kept for 30 days unless set.")
    async def dead_letters(self, info: Info) -> list[DeadLetter]:
        return [DeadLetter.of(row) for row in await info.context.loaders.dead_letters.load(self.row.id)]


@strawberry.input(description="A webhook, new without an id. No kinds: all of them.")
class WebhookInput:
    id: strawberry.ID | None = None
    url: str
    kinds: list[UpdateKind]
    active: bool = True

    def value(self) -> WebhookChange:
        key = None if self.id is None else uuid_of(self.id, "Webhook")
        return WebhookChange(id=key, url=self.url, kinds=self.kinds, active=self.active)


WebhookResult: TypeAlias = Annotated[
    Webhook | NotFoundError | InvalidInputError,
    strawberry.union("WebhookResult"),
]


def delivery_of(update: Update) -> Delivery:
    """Return an update as a receiver is told it: what a subscription tells, and nobody's personal data."""
    quantities = zip(("onHand", "reserved", "available"), update.quantities or (), strict=False)
    data = {
        "orderId": update.order_id and global_id("Order", update.order_id),
        "returnId": update.return_id and global_id("Return", update.return_id),
        "assignmentId": update.assignment_id and global_id("Assignment", update.assignment_id),
        "locationIds": sorted(global_id("Location", each) for each in update.location_ids),
        "channel": update.channel,
        "sku": update.sku,
        "status": update.status,
        **dict(quantities),
        "refund": update.refund and dict(zip(("amount", "currency"), update.refund, strict=True)),
    }
    body = {
        "type": update.kind,
        "timestamp": update.at.astimezone(UTC).isoformat(),
        "data": {name: value for name, value in data.items() if value is not None},
    }
    level = f"{update.sku} {' '.join(map(str, update.location_ids))}"
    return Delivery(
        cursor=update.cursor,
        subject=str(update.order_id or update.return_id or level),
        kind=update.kind,
        at=update.at,
        body=orjson.dumps(body).decode(),
    )
