"""Fulfillment options: how a cart can reach a shopper."""

from datetime import datetime
from decimal import Decimal

import strawberry

from domain import errors
from domain.cart import CartLine
from domain.money import check_currency, to_minor
from domain.network import Snapshot
from domain.options import Option, Options, OptionsRequest
from domain.planning import problem
from domain.vocabulary import FulfillmentMethod, ServiceLevel, UnavailabilityCode
from schema.context import Info
from schema.errors import ERRORS, Common, UserError
from schema.network import CarrierService, Location, located
from schema.permission import EVERYBODY, edge
from schema.scalars import AddressInput, GeoPointInput, Money


@strawberry.input(description="A wanted quantity of one item.")
class CartLineInput:
    sku: str
    quantity: int
    unit_price: Decimal | None = strawberry.field(
        default=None, description="Lets thresholds (free shipping, policies) see the value of the cart."
    )


@strawberry.input(description="A cart, where it shall go, and which ways there are of interest.")
class FulfillmentOptionsInput:
    lines: list[CartLineInput]
    destination: AddressInput | None = None
    near: GeoPointInput | None = strawberry.field(
        default=None, description="Where to look for pickup stores from, when there is no destination."
    )
    methods: list[FulfillmentMethod] = strawberry.field(
        default_factory=lambda: [FulfillmentMethod.DELIVERY, FulfillmentMethod.PICKUP]
    )
    levels: list[ServiceLevel] | None = None
    within_km: float | None = 50
    pickup_locations: int | None = 5
    channel: str = "web"
    currency: str = "EUR"
    tags: list[str] = strawberry.field(default_factory=list)
    at: datetime | None = strawberry.field(default=None, description="Plan as of this moment; now when left out.")

    def value(self) -> OptionsRequest:
        currency = check_currency(self.currency, path=("currency",))
        lines = []
        for index, line in enumerate(self.lines):
            path = ("lines", str(index), "unitPrice")
            price = None if line.unit_price is None else to_minor(line.unit_price, currency, path=path)
            lines.append(CartLine(sku=line.sku, quantity=line.quantity, unit_price=price))
        return OptionsRequest(
            lines=tuple(lines),
            currency=currency,
            destination=self.destination.value() if self.destination else None,
            near=self.near.value() if self.near else None,
            methods=tuple(dict.fromkeys(self.methods)),
            levels=tuple(ServiceLevel) if self.levels is None else tuple(dict.fromkeys(self.levels)),
            within_km=self.within_km,
            pickup_locations=5 if self.pickup_locations is None else self.pickup_locations,
            channel=self.channel,
            tags=tuple(dict.fromkeys(self.tags)),
            at=self.at,
        )


@strawberry.type(description="A quantity of one item in a parcel.")
class PlannedLine:
    sku: str
    quantity: int


@strawberry.type(description="What an option leaves out.")
class MissingLine:
    sku: str
    quantity: int

    @edge(allow=EVERYBODY, description="When more of it is expected; null where nothing is known to come.")
    async def next_available(self, info: Info) -> datetime | None:
        arrival = await info.context.loaders.arrival.load(self.sku)
        return max(arrival.expected_at, info.context.now()) if arrival else None

    @classmethod
    def of(cls, missing: problem.Missing) -> "MissingLine":
        return cls(sku=missing.sku, quantity=missing.quantity)


@strawberry.type(description="One location's share of an option.")
class PlannedParcel:
    location: Location
    destination: Location | None = strawberry.field(description="Where a ship-to-store leg ends.")
    carrier_service: CarrierService | None
    lines: list[PlannedLine]
    ready_at: datetime
    arrives_earliest: datetime
    arrives_latest: datetime
    co2_grams: int | None = strawberry.field(name="co2Grams")

    @classmethod
    def of(cls, parcel: problem.Parcel, snapshot: Snapshot) -> "PlannedParcel":
        return cls(
            location=located(snapshot, parcel.location_code),
            destination=located(snapshot, parcel.destination_code) if parcel.destination_code else None,
            carrier_service=(
                CarrierService.of(snapshot.services[parcel.service_code]) if parcel.service_code else None
            ),
            lines=[PlannedLine(sku=share.sku, quantity=share.quantity) for share in parcel.shares],
            ready_at=parcel.ready_at,
            arrives_earliest=parcel.arrives_earliest,
            arrives_latest=parcel.arrives_latest,
            co2_grams=parcel.co2_grams,
        )


@strawberry.type(description="One way for the cart to reach the shopper.")
class FulfillmentOption:
    token: str = strawberry.field(
        description="Binds lines, prices, tags, channel, currency, postal code and country: hand it to placeOrder "
        "before expiresAt and get what it says, or a typed error."
    )
    method: FulfillmentMethod
    level: ServiceLevel | None
    price: Money
    complete: bool = strawberry.field(description="False when it leaves lines out (see missing).")
    missing: list[MissingLine]
    earliest: datetime
    latest: datetime
    order_before: datetime = strawberry.field(description="Order before this moment to keep the promise.")
    expires_at: datetime
    pickup_location: Location | None
    distance_km: float | None
    parcels: list[PlannedParcel]

    @classmethod
    def of(cls, option: Option, snapshot: Snapshot) -> "FulfillmentOption":
        promise, plan = option.promise, option.promise.plan
        return cls(
            token=option.token,
            method=plan.method,
            level=plan.level,
            price=Money.of(plan.price, promise.currency),
            complete=not plan.missing,
            missing=[MissingLine.of(missing) for missing in plan.missing],
            earliest=plan.earliest,
            latest=plan.latest,
            order_before=plan.order_before or promise.expires_at,
            expires_at=promise.expires_at,
            pickup_location=located(snapshot, plan.pickup_code) if plan.pickup_code else None,
            distance_km=None if plan.distance_km is None else round(plan.distance_km, 1),
            parcels=[PlannedParcel.of(parcel, snapshot) for parcel in plan.parcels],
        )


@strawberry.type(description="Why a method, a level or a line has no option.")
class Unavailability:
    method: FulfillmentMethod
    level: ServiceLevel | None
    sku: str | None
    code: UnavailabilityCode = strawberry.field(description="Why, for programs.")
    message: str

    @classmethod
    def of(cls, reason: problem.Unavailable) -> "Unavailability":
        return cls(method=reason.method, level=reason.level, sku=reason.sku, code=reason.code, message=reason.message)


@strawberry.type(description="What the network can promise for this cart, best first. Reading it reserves nothing.")
class FulfillmentOptions:
    options: list[FulfillmentOption]
    unavailable: list[Unavailability] = strawberry.field(description="Why a method, a level or a line has no option.")
    computed_at: datetime

    @classmethod
    def of(cls, found: Options, snapshot: Snapshot) -> "FulfillmentOptions":
        return cls(
            options=[FulfillmentOption.of(option, snapshot) for option in found.options],
            unavailable=[Unavailability.of(reason) for reason in found.unavailable],
            computed_at=found.computed_at,
        )


@strawberry.type(description="Stock alone is the reason.")
class OutOfStockError(UserError):
    missing: list[MissingLine] = strawberry.field(description="What there is too little of, and by how much.")


@strawberry.type(description="No location can do it, for reasons that stock alone does not explain.")
class NoFulfillmentOptionError(UserError):
    unavailable: list[Unavailability]


def _out_of_stock(error: errors.OutOfStock, common: Common) -> UserError:
    return OutOfStockError(missing=[MissingLine.of(missing) for missing in error.missing], **common)


def _no_option(error: errors.NoFulfillmentOption, common: Common) -> UserError:
    return NoFulfillmentOptionError(unavailable=[Unavailability.of(each) for each in error.unavailable], **common)


ERRORS[errors.OutOfStock] = _out_of_stock
ERRORS[errors.NoFulfillmentOption] = _no_option
