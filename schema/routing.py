"""How orders are routed: policies, decisions, simulations."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, TypeAlias

import strawberry

from domain import decisions, policies
from domain.decisions import DecisionRow
from domain.errors import InvalidInput
from domain.network import Snapshot
from domain.planning import explain
from domain.planning import policy as rules
from domain.policies import Version
from domain.simulation import Simulation
from domain.vocabulary import FenceKind, LocationKind, RatingKind, RoutingTrigger
from schema.context import Info
from schema.errors import InvalidInputError
from schema.network import Location, located
from schema.options import NoFulfillmentOptionError, PlannedParcel
from schema.orders import Order
from schema.paging import Node, global_id, node_of, uuid_of
from schema.permission import OFFICE, edge
from schema.scalars import Money

GAP = "0 where the plan is proven the cheapest; else how far from the proven bound it may be (0.01 = 1 %)."
TOOK = "What deciding took, with the other levels and locations that were asked together."
RATINGS = "What the cost consists of."
CONSIDERED = "How many locations were looked at."
EXCLUDED = "How many of them each fence kept out."


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
        return [located(snapshot, code) for code in self.rule.location_codes] or None


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
    respond_within: timedelta | None = strawberry.field(
        description="How long a location has to answer an offer, in its opening hours, before the work goes elsewhere."
    )
    start_within: timedelta | None = strawberry.field(
        description="How long it has to begin what it accepted, in its opening hours, before the work goes elsewhere."
    )
    collect_within: timedelta | None = strawberry.field(description="How long a parcel waits for its shopper.")

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


@strawberry.type(description="What kept a location out: what was found there, and what would have been allowed.")
class FenceResult:
    fence: FenceKind
    message: str
    actual: str | None
    limit: str | None

    @classmethod
    def of(cls, stop: explain.Stop) -> "FenceResult":
        return cls(fence=stop.fence, message=stop.message, actual=stop.actual, limit=stop.limit)


@strawberry.type(description="What a location, or a plan, is charged for one rating.")
class RatingResult:
    rating: RatingKind
    cost: Money

    @classmethod
    def of(cls, ratings: Mapping[RatingKind, int], currency: str) -> "list[RatingResult]":
        return [cls(rating=rating, cost=Money.of(cost, currency)) for rating, cost in ratings.items()]


@strawberry.type(description="How many locations a fence kept out.")
class FenceCount:
    fence: FenceKind
    locations: int = strawberry.field(description="How many locations it kept out.")


@strawberry.type(description="A location that was considered.")
class RoutingCandidate:
    location: Location
    chosen: bool
    excluded_by: FenceResult | None = strawberry.field(description="Null when no fence stopped it.")
    ratings: list[RatingResult] = strawberry.field(description="Money for each rating, were it to ship all it can.")
    total: Money | None = strawberry.field(description="The sum of the ratings.")
    rank: int | None = strawberry.field(description="Among those that no fence stopped: who can ship most, cheapest.")

    @classmethod
    def of(cls, told: explain.Candidate, snapshot: Snapshot, currency: str) -> "RoutingCandidate":
        return cls(
            location=located(snapshot, told.location_code),
            chosen=told.chosen,
            excluded_by=FenceResult.of(told.stopped) if told.stopped else None,
            ratings=RatingResult.of(told.ratings, currency),
            total=None if told.total is None else Money.of(told.total, currency),
            rank=told.rank,
        )


@strawberry.type(description="The best plan with so many parcels.")
class RoutingAlternative:
    parcel_count: int
    cost: Money
    locations: list[Location]

    @classmethod
    def of(cls, told: explain.Alternative, snapshot: Snapshot, currency: str) -> "RoutingAlternative":
        return cls(
            parcel_count=told.parcel_count,
            cost=Money.of(told.cost, currency),
            locations=[located(snapshot, code) for code in told.location_codes],
        )


def _candidates(
    told: Sequence[explain.Candidate], first: int | None, snapshot: Snapshot, currency: str
) -> list[RoutingCandidate]:
    if first is not None and first < 1:
        raise InvalidInput(message="Ask for 1 candidate or more.", path=("first",))
    return [RoutingCandidate.of(candidate, snapshot, currency) for candidate in told[:first]]


@strawberry.type(
    description="Why an order was routed as it was. Of an option that was bought by its token this is worked out when "
    "asked for: with the stock of then, the network, safety stock and holdbacks of now, as if no location had been "
    "full; where something else comes out, only what was chosen is told."
)
class RoutingDecision(Node):
    row: strawberry.Private[DecisionRow]
    decided_at: datetime
    trigger: RoutingTrigger
    policy_name: str
    policy_version: int
    cost: Money
    proven_gap: float = strawberry.field(description=GAP)
    solve_microseconds: int = strawberry.field(description=TOOK)

    @classmethod
    def of(cls, row: DecisionRow) -> "RoutingDecision":
        return cls(
            id=global_id("RoutingDecision", row.order_id, row.id),
            row=row,
            decided_at=row.decided_at,
            trigger=RoutingTrigger(row.trigger),
            policy_name=row.policy_name,
            policy_version=row.policy_version,
            cost=Money.of(row.cost, row.currency),
            proven_gap=row.gap,
            solve_microseconds=row.solve_microseconds,
        )

    @edge(allow=OFFICE, hidden=list, description=RATINGS)
    async def ratings(self, info: Info) -> list[RatingResult]:
        return RatingResult.of((await self._told(info)).ratings, self.row.currency)

    @strawberry.field(description=CONSIDERED)
    async def considered(self, info: Info) -> int:
        return (await self._told(info)).considered

    @edge(allow=OFFICE, hidden=list, description=EXCLUDED)
    async def excluded(self, info: Info) -> list[FenceCount]:
        return [FenceCount(fence=fence, locations=count) for fence, count in (await self._told(info)).stopped.items()]

    async def _told(self, info: Info) -> explain.Explanation:
        return await info.context.why(self.row)

    @edge(allow=OFFICE)
    async def order(self, info: Info) -> Order:
        row = await info.context.loaders.order.load(self.row.order_id)
        assert row is not None  # noqa: S101 - a decision is read together with its order
        return Order.of(row)

    @edge(allow=OFFICE, description="Null for a policy that was never saved.")
    async def policy(self, info: Info) -> RoutingPolicy | None:
        found = await info.context.loaders.policy.load((self.policy_name, self.policy_version))
        return RoutingPolicy.of(found) if found else None

    @edge(allow=OFFICE, hidden=list)
    async def parcels(self, info: Info) -> list[PlannedParcel]:
        snapshot = await info.context.network()
        return [PlannedParcel.of(parcel, snapshot) for parcel in decisions.parcels_of(self.row)]

    @edge(allow=OFFICE, hidden=list, description="The best plan with 1, 2, 3 ... parcels.")
    async def alternatives(self, info: Info) -> list[RoutingAlternative]:
        told, snapshot = await self._told(info), await info.context.network()
        return [RoutingAlternative.of(each, snapshot, self.row.currency) for each in told.alternatives]

    @edge(allow=OFFICE, hidden=list, description="Those chosen, then by rank, then some that were kept out.")
    async def candidates(self, info: Info, first: int | None = 20) -> list[RoutingCandidate]:
        told = await self._told(info)
        return _candidates(told.candidates, first, await info.context.network(), self.row.currency)


node_of.register(DecisionRow, RoutingDecision.of)


@strawberry.type(description="What routing would decide; nothing of it is kept.")
class RoutingSimulation:
    plan: strawberry.Private[Simulation]
    snapshot: strawberry.Private[Snapshot]
    currency: strawberry.Private[str]
    policy: RoutingPolicy | None = strawberry.field(description="The policy that decided; null for the one given.")
    cost: Money
    ratings: list[RatingResult] = strawberry.field(description=RATINGS)
    parcels: list[PlannedParcel]
    alternatives: list[RoutingAlternative] = strawberry.field(description="The best plan with 1, 2, 3 ... parcels.")
    considered: int = strawberry.field(description=CONSIDERED)
    excluded: list[FenceCount] = strawberry.field(description=EXCLUDED)
    proven_gap: float = strawberry.field(description=GAP)
    solve_microseconds: int = strawberry.field(description=TOOK)

    @strawberry.field(description="Those chosen, then by rank, then some that were kept out.")
    async def candidates(self, first: int | None = 20) -> list[RoutingCandidate]:
        return _candidates(self.plan.explanation.candidates, first, self.snapshot, self.currency)

    @classmethod
    def of(
        cls, found: Simulation, snapshot: Snapshot, currency: str, policy: RoutingPolicy | None
    ) -> "RoutingSimulation":
        told = found.explanation
        return cls(
            plan=found,
            snapshot=snapshot,
            currency=currency,
            policy=policy,
            cost=Money.of(told.cost, currency),
            ratings=RatingResult.of(told.ratings, currency),
            parcels=[PlannedParcel.of(parcel, snapshot) for parcel in found.plan.parcels],
            alternatives=[RoutingAlternative.of(each, snapshot, currency) for each in told.alternatives],
            considered=told.considered,
            excluded=[FenceCount(fence=fence, locations=count) for fence, count in told.stopped.items()],
            proven_gap=found.basis.gap,
            solve_microseconds=found.basis.micros,
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
        description="A CEL expression, empty holds always: channel, method, currency, level, country and postalCode "
        "(null for a pickup), total (what the goods are worth, null where a price is unknown), tags, and lines with "
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
SimulateRoutingResult: TypeAlias = Annotated[
    RoutingSimulation | NoFulfillmentOptionError | InvalidInputError, strawberry.union("SimulateRoutingResult")
]
