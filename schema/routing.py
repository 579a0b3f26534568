"""How orders are routed: policies."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, TypeAlias

import strawberry

from domain import policies
from domain.errors import InvalidInput
from domain.network import Snapshot
from domain.planning import policy as rules
from domain.policies import Version
from domain.vocabulary import FenceKind, LocationKind, RatingKind
from schema.context import Info
from schema.errors import InvalidInputError
from schema.network import Location
from schema.paging import Node, global_id, uuid_of
from schema.permission import OFFICE, edge


@strawberry.type(
    description="A reason to keep a location out. limit: units that stay behind, km, parcels or share, by kind; tags: "
    "required, or forbidden where forbid is true."
)
class Fence:
    rule: strawberry.Private[rules.Fence]
    kind: FenceKind
    limit: Decimal | None
    tags: list[str] | None
    forbid: bool

    @classmethod
    def of(cls, rule: rules.Fence) -> "Fence":
        return cls(rule=rule, kind=rule.kind, limit=rule.limit, tags=list(rule.tags) or None, forbid=rule.forbid)

    @edge(allow=OFFICE, description="Those it is about, where its kind is about some.")
    async def locations(self, info: Info) -> list[Location] | None:
        snapshot = await info.context.network()
        return [Location.of(snapshot.location(code)) for code in self.rule.location_codes] or None


@strawberry.type(
    description="A price of a parcel from a location. weight: what one of its kind costs (a km, an hour, a parcel, a "
    "kg of CO2 ...), or the share of what it costs that counts (SHIPPING, HANDLING)."
)
class Rating:
    kind: RatingKind
    weight: Decimal
    tags: list[str] | None
    location_kinds: list[LocationKind] | None

    @classmethod
    def of(cls, rule: rules.Rating) -> "Rating":
        return cls(
            kind=rule.kind,
            weight=rule.weight,
            tags=list(rule.tags) or None,
            location_kinds=list(rule.location_kinds) or None,
        )


@strawberry.type(
    description="Immutable: a change makes the next version. The first active policy whose condition holds decides: "
    "that of the highest priority; of one priority, the first by name. Where none holds, the first version of "
    "cheapest does."
)
class RoutingPolicy(Node):
    name: str
    version: int
    active: bool
    priority: int
    condition: str = strawberry.field(
        description="A CEL expression over the order (channel, country, currency, level, lines, method, postalCode, "
        "tags, total); empty holds always."
    )
    fences: list[Fence]
    ratings: list[Rating]
    respond_within: timedelta | None
    start_within: timedelta | None
    collect_within: timedelta | None

    @classmethod
    def of(cls, version: Version) -> "RoutingPolicy":
        policy = version.policy
        return cls(
            id=global_id("RoutingPolicy", policy.name, policy.version),
            name=policy.name,
            version=policy.version,
            active=version.active,
            priority=policy.priority,
            condition=policy.condition,
            fences=[Fence.of(fence) for fence in policy.fences],
            ratings=[Rating.of(rating) for rating in policy.ratings],
            respond_within=policy.respond_within,
            start_within=policy.start_within,
            collect_within=policy.collect_within,
        )


@strawberry.input(
    description="A reason to keep a location out. STOCK: limit units of each item stay behind. DISTANCE: at most limit "
    "km. MAX_PARCELS: at most limit parcels. CAPACITY: at most the share limit (0.8) of a day's capacity. COUNTRY: "
    "that of the destination, or one of tags. TAGS: the location carries all tags; item:X asks X of it for items that "
    "carry X, order:X for orders that do. forbid turns COUNTRY and TAGS round. PRESELECTED: only locationIds. BLOCKED: "
    "never these. OPENING_HOURS: open at this moment. CARRIER_CUTOFF: collected on the present day. The others hold "
    "anyway."
)
class FenceInput:
    kind: FenceKind
    limit: Decimal | None = None
    tags: list[str] | None = None
    forbid: bool = False
    location_ids: list[strawberry.ID] | None = None

    def value(self, snapshot: Snapshot, path: tuple[str, ...]) -> rules.Fence:
        codes = []
        for number, each in enumerate(self.location_ids or ()):
            location = snapshot.locations.get(uuid_of(each, "Location"))
            if location is None:
                raise InvalidInput(message="No location has this id.", path=(*path, "locationIds", str(number)))
            codes.append(location.code)
        return rules.Fence(
            kind=self.kind,
            limit=self.limit,
            tags=tuple(self.tags or ()),
            forbid=self.forbid,
            location_codes=tuple(dict.fromkeys(codes)),
        )


@strawberry.input(
    description="A price of a parcel from a location. SHIPPING, HANDLING: weight times what they cost. The others, in "
    "units of the currency - DISTANCE: a km. LATENESS: an hour after the earliest that any location could make. SPLIT: "
    "each parcel after the first. CO2: a kg. LOAD: a full day's capacity; half a day's costs a quarter. STOCK_BALANCE: "
    "all stock of an item, in proportion to the share taken. MARKDOWN: a unit that did not sit for 90 days (of items "
    "with one of tags). REJECTION: a location that rejects everything. PREFERENCE: a location of none of locationKinds "
    "and with none of tags."
)
class RatingInput:
    kind: RatingKind
    weight: Decimal
    tags: list[str] | None = None
    location_kinds: list[LocationKind] | None = None

    def value(self) -> rules.Rating:
        return rules.Rating(
            kind=self.kind,
            weight=self.weight,
            tags=tuple(self.tags or ()),
            location_kinds=tuple(dict.fromkeys(self.location_kinds or ())),
        )


@strawberry.input(
    description="The next version of the policy of this name. Without ratings it has those of the preset of its name: "
    f"{', '.join(rules.PRESETS)}."
)
class RoutingPolicyInput:
    name: str
    priority: int = strawberry.field(default=100, description="1 to 1,000,000; the highest is asked first.")
    condition: str = strawberry.field(
        default="",
        description="A CEL expression, empty holds always: channel, method, level and country (null for a pickup), "
        "postalCode, currency, total (what the goods are worth, null where a price is unknown), tags, and lines with "
        f"sku, quantity, unitPrice and tags. At most {policies.LONGEST_CONDITION} characters. Where it fails for an "
        "order, as null > 1 does, it does not hold.",
    )
    fences: list[FenceInput]
    ratings: list[RatingInput]
    respond_within: timedelta | None = None
    start_within: timedelta | None = None
    collect_within: timedelta | None = None
    activate: bool = strawberry.field(
        default=True, description="Put it in force in place of the earlier versions; else what is in force stays."
    )

    def value(self, snapshot: Snapshot) -> rules.Policy:
        return rules.Policy(
            name=self.name,
            priority=self.priority,
            condition=self.condition,
            fences=tuple(fence.value(snapshot, ("fences", str(n))) for n, fence in enumerate(self.fences)),
            ratings=tuple(rating.value() for rating in self.ratings),
            respond_within=self.respond_within,
            start_within=self.start_within,
            collect_within=self.collect_within,
        )


RoutingPolicyResult: TypeAlias = Annotated[RoutingPolicy | InvalidInputError, strawberry.union("RoutingPolicyResult")]
