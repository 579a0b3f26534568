"""Plan deliveries and pickups: the same code for what is promised and for what is carried out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from typing import cast

import numpy as np
from numpy.typing import NDArray

from domain.errors import InvalidInput
from domain.planning.calendar import Promise, order_before
from domain.planning.costs import Legs, price
from domain.planning.fences import Mask
from domain.planning.ground import Ground, Spots, delivery_ground, given, pickup_ground
from domain.planning.lots import Lots, divide
from domain.planning.network import distances_km
from domain.planning.problem import (
    Answer,
    Missing,
    Parcel,
    Plan,
    Problem,
    Service,
    Share,
    Unavailable,
)
from domain.planning.rates import Cover, Rates, Take
from domain.planning.reasons import reasons, too_many
from domain.planning.search import bound, search
from domain.planning.solve import MOST_EXACT, Table, cheapest, tabulate
from domain.planning.timetable import made_ready
from domain.vocabulary import FenceKind, FulfillmentMethod, ServiceLevel, UnavailabilityCode

MOST_LINES = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """What was decided for a method and a level, and all it was made from; `explain` tells it.

    `plan` is None where there is none. `legs` are those that were open, `cover` the parcels they take, `table` what
    else they could have done, where that is known exactly; all three are None where nothing was open. `fetched` is what
    was decided on that which a pickup store lacks and others send there.
    """

    ground: Ground
    level: ServiceLevel | None
    plan: Plan | None
    unavailable: tuple[Unavailable, ...] = ()
    legs: Legs | None = None
    cover: Cover | None = None
    table: Table | None = None
    fetched: "Decision | None" = None


def plan_deliveries(problem: Problem) -> Answer:
    """Return the cheapest delivery at each level asked for, best first, and why there is none, or not of everything.

    Raise InvalidInput for a cart of no lines or of more than 100.
    """
    if problem.destination is None:
        _require_solvable(problem)
        code = UnavailabilityCode.DESTINATION_UNKNOWN
        message = "A delivery needs a destination whose position is known."
        return Answer(unavailable=(Unavailable(method=FulfillmentMethod.DELIVERY, code=code, message=message),))
    return _answer(decide_deliveries(problem), ranked=True)


def plan_pickups(problem: Problem) -> Answer:
    """Return one pickup for each location: those that have all first, each kind by distance (by code where unknown).

    What a location lacks is sent there by others. At most `pickup_limit` locations within `within_km` are asked, or all
    of `pickup_codes`. Raise InvalidInput for a cart of no lines or of more than 100.
    """
    return _answer(decide_pickups(problem), ranked=False)


def decide_deliveries(problem: Problem) -> tuple[Decision, ...]:
    """Return what is decided for a delivery at each level asked for; nothing where the destination is unknown."""
    _require_solvable(problem)
    if problem.destination is None:
        return ()
    km = distances_km(problem.network, problem.destination)
    common = given(problem, km)
    return tuple(_delivery(delivery_ground(common, level, km), level) for level in dict.fromkeys(problem.levels))


def decide_pickups(problem: Problem) -> tuple[Decision, ...]:
    """Return what is decided for a pickup at each location asked, the best first; the first tells what is left out."""
    _require_solvable(problem)
    km = None if problem.destination is None else distances_km(problem.network, problem.destination)
    common = given(problem, km)
    ground, wanted = pickup_ground(common), common.wanted
    own = np.zeros_like(common.stock)
    sites = np.flatnonzero(ground.open[0])
    own[sites] = np.minimum(ground.room(_alone(sites)), wanted)
    fetchable = _hosts(ground) & common.usable[problem.network.active & problem.network.ships].any(axis=0)
    asked = np.flatnonzero(own.any(axis=1) | fetchable.any(axis=1))
    order = np.lexsort((asked, np.zeros(asked.size) if km is None else km[asked], (own[asked] < wanted).any(axis=1)))
    if problem.pickup_codes is None:
        order = order[: max(problem.pickup_limit, 0)]
    sites = asked[order]
    having = sites[own[sites].any(axis=1)]
    there = dict(zip(having.tolist(), _pickups(ground, having, own[having]), strict=True))
    found = [_pickup(ground, site, there.get(site), own[site], fetchable[site]) for site in sites.tolist()]
    decisions = [decision for decision in found if decision] or [Decision(ground=ground, level=None, plan=None)]
    handed = np.maximum.reduce([own.max(axis=0, initial=0), *(_handed(decision) for decision in decisions)])
    unavailable = tuple(reasons(ground, None, handed))
    return replace(decisions[0], unavailable=unavailable), *decisions[1:]


def _alone(sites: NDArray[np.int64]) -> Spots:
    """Return where the legs of a pickup ground at these sites are: it has one service, and one lane."""
    return Spots(rows=np.zeros_like(sites), sites=sites, lanes=np.zeros_like(sites))


def _hosts(ground: Ground) -> Mask:
    """Return which sites may hand out which lines, wherever these lie (sites, lines)."""
    hosts: Mask = np.ones_like(ground.given.usable)
    for screen in takewhile(lambda each: each.kind is not FenceKind.STOCK, ground.screens):
        hosts &= screen.passes[0]
    return hosts


def _handed(decision: Decision) -> NDArray[np.int64]:
    """Return how much of each line a decision's plan has (lines,)."""
    missing = {each.sku: each.quantity for each in decision.plan.missing} if decision.plan else {}
    lines = decision.ground.problem.lines
    return np.array([line.quantity - missing.get(line.sku, 0) if decision.plan else 0 for line in lines])


def rank(plans: Iterable[Plan]) -> tuple[Plan, ...]:
    """Return the plans of all methods, best first: what is complete, then what is cheaper, earlier, lower in code.

    A delivery that is both later and dearer to the shopper than another, complete delivery stands behind its peers.
    """
    ranked = tuple(plans)
    rivals = [plan for plan in ranked if plan.method is FulfillmentMethod.DELIVERY and not plan.missing]

    def place(plan: Plan) -> tuple[bool, bool, int, datetime, list[str]]:
        beaten = plan.method is FulfillmentMethod.DELIVERY and any(
            plan.latest > rival.latest and plan.price > rival.price for rival in rivals
        )
        codes = [plan.level or "", *(parcel.location_code for parcel in plan.parcels)]
        return bool(plan.missing), beaten, plan.price, plan.latest, codes

    return tuple(sorted(ranked, key=place))


def _answer(decisions: Sequence[Decision], *, ranked: bool) -> Answer:
    plans = tuple(decision.plan for decision in decisions if decision.plan)
    unavailable = tuple(reason for decision in decisions for reason in decision.unavailable)
    return Answer(plans=rank(plans) if ranked else plans, unavailable=unavailable)


def _delivery(ground: Ground, level: ServiceLevel) -> Decision:
    """Return the cheapest delivery of as much of each line as there is."""
    at, wanted = ground.spots(), ground.given.wanted
    lots, covered = Lots(line=np.arange(wanted.size), quantity=wanted, able=ground.able(at)), wanted
    unavailable: tuple[Unavailable, ...] = ()
    if not np.logical_and.reduce(np.logical_or.reduce(lots.able, axis=0)):
        lots = divide(ground.room(at), at.sites, ground.given.stock, wanted)
        covered = np.bincount(lots.line, weights=lots.quantity, minlength=wanted.size).astype(np.int64)
        unavailable = tuple(reasons(ground, level, covered))
    if not lots.line.size:
        return Decision(ground=ground, level=level, plan=None, unavailable=unavailable)
    legs = price(ground, at, lots)
    table, cover = _covered(legs, ground.problem.policy.most_parcels)
    if not cover.takes:
        unavailable = (*unavailable, too_many(level, ground.problem))
    return Decision(
        ground=ground,
        level=level,
        plan=_plan(legs, ground, cover, level, wanted - covered) if cover.takes else None,
        unavailable=unavailable,
        legs=legs,
        cover=cover,
        table=table,
    )


def _covered(legs: Legs, most_parcels: int | None) -> tuple[Table | None, Cover]:
    """Return the cover of all lots, and the table that it was read from, where there is one."""
    rates = legs.rates
    table = tabulate(rates) if rates.grams.size <= MOST_EXACT else None
    cover = cheapest(table, most_parcels=most_parcels) if table else search(rates, most_parcels=most_parcels)
    if legs.lots.divided:
        # Other lots might be cheaper. Lines that were not divided cost no less without the others.
        whole = legs.lots.whole
        rest = replace(rates, able=rates.able[:, whole], per_line=rates.per_line[:, whole], grams=rates.grams[whole])
        cover = replace(cover, bound=_least(rest))
    return table, cover


def _least(rates: Rates) -> int:
    """Return what any cover of these lines costs at least."""
    if not rates.grams.size:
        return 0
    return cheapest(tabulate(rates)).cost if rates.grams.size <= MOST_EXACT else bound(rates)[0]


def _pickups(ground: Ground, sites: NDArray[np.int64], handed: NDArray[np.int64]) -> Iterator[Decision]:
    """Yield the pickup at each of these sites, which hand out so much (sites, lines), pricing alike ones together."""
    priced: dict[bytes, tuple[Legs, NDArray[np.int64]]] = {}
    for site, quantities in zip(sites.tolist(), handed, strict=True):
        key = quantities.tobytes()
        if key not in priced:
            alike = np.sort(sites[(handed == quantities).all(axis=1)])
            priced[key] = _charged(ground, alike, quantities)
        legs, costs = priced[key]
        leg = int(legs.at.sites.searchsorted(site))
        cost = int(costs[leg])
        cover = Cover(takes=(Take(leg=leg, lines=tuple(range(legs.lots.line.size)), cost=cost),), bound=cost)
        plan = _plan(legs, ground, cover, None, ground.given.wanted - quantities)
        yield Decision(ground=ground, level=None, plan=plan, legs=legs, cover=cover)


def _charged(ground: Ground, sites: NDArray[np.int64], handed: NDArray[np.int64]) -> tuple[Legs, NDArray[np.int64]]:
    """Return the pickups of these quantities (lines,) at each of these sites, and what each costs."""
    lines = handed.nonzero()[0]
    lots = Lots(line=lines, quantity=handed[lines], able=np.ones((sites.size, lines.size), dtype=np.bool_))
    legs = price(ground, _alone(sites), lots)
    return legs, legs.rates.totals(np.arange(sites.size), lots.able)


def _pickup(
    ground: Ground, site: int, there: Decision | None, own: NDArray[np.int64], fetchable: Mask
) -> Decision | None:
    """Return the pickup at a site of its `own`, planned `there`, and of what it lacks and is `fetchable` (lines,).

    None where it has nothing, and gets nothing.
    """
    lacking = np.where(fetchable, ground.given.wanted - own, 0)
    fetched = _fetched(ground.problem, site, lacking) if lacking.any() else None
    return (fetched and _joined(ground, site, there, fetched)) or there


def _fetched(problem: Problem, site: int, lacking: NDArray[np.int64]) -> Decision | None:
    """Return the delivery to a site of what it lacks (lines,): at the first level that brings all, else the most."""
    place, lines = problem.network.sites[site], np.flatnonzero(lacking)
    available = problem.available[:, lines]
    available[site] = 0
    km = distances_km(problem.network, place.position)
    wanted = [
        replace(line, quantity=quantity)
        for line, quantity in zip(problem.lines, lacking.tolist(), strict=True)
        if quantity
    ]
    blocked, idle_days = problem.blocked, problem.idle_days
    common = given(
        replace(
            problem,
            lines=wanted,
            available=available,
            blocked=None if blocked is None else blocked[:, lines],
            idle_days=None if idle_days is None else idle_days[:, lines],
            country=place.country,
            destination=place.position,
        ),
        km,
    )
    best: tuple[int, Decision] | None = None
    for level in ServiceLevel:
        decision = _delivery(delivery_ground(common, level, km), level)
        left = sum(each.quantity for each in decision.plan.missing) if decision.plan else 0
        if decision.plan and (best is None or left < best[0]):
            best = left, decision
        if best and not best[0]:
            break
    return best[1] if best else None


def _joined(ground: Ground, site: int, there: Decision | None, fetched: Decision) -> Decision | None:
    """Return the pickup at a site of what it has and of what is fetched; None where that is later than was promised."""
    problem, place, plan = ground.problem, ground.problem.network.sites[site], fetched.plan
    own = there.plan if there else None
    arrivals = (plan.earliest, plan.latest) if plan else ()
    ready = [moment for moment in (made_ready(problem, site, arrival) for arrival in arrivals) if moment]
    if plan is None or len(ready) < len(arrivals):
        return None
    earliest, latest = (max(moment, own.latest) if own else moment for moment in ready)
    if problem.promised_latest is not None and latest > problem.promised_latest:
        return None
    waits = [
        replace(parcel, due_at=latest, arrives_earliest=latest, arrives_latest=latest)
        for parcel in (own.parcels if own else ())
    ]
    legs = [replace(parcel, destination_code=place.code) for parcel in plan.parcels]
    joined = Plan(
        method=FulfillmentMethod.PICKUP,
        level=None,
        parcels=(*waits, *legs),
        price=0,
        cost=plan.cost + (own.cost if own else 0),
        missing=_left(problem, (*waits, *legs)),
        order_before=plan.order_before,
        pickup_code=place.code,
        distance_km=None if ground.given.km is None else float(ground.given.km[site]),
        expected=(earliest, latest),
    )
    whole = there or Decision(ground=ground, level=None, plan=None)
    return replace(whole, plan=joined, fetched=fetched)


def _left(problem: Problem, parcels: Sequence[Parcel]) -> tuple[Missing, ...]:
    """Return what of the lines no parcel carries."""
    left = {line.sku: line.quantity for line in problem.lines}
    for share in (share for parcel in parcels for share in parcel.shares):
        left[share.sku] -= share.quantity
    return tuple(Missing(sku=sku, quantity=quantity) for sku, quantity in left.items() if quantity)


def _plan(legs: Legs, ground: Ground, cover: Cover, level: ServiceLevel | None, left: NDArray[np.int64]) -> Plan:
    """Return the plan of a cover, which leaves out so much of each line (lines,)."""
    problem = ground.problem
    parcels = tuple(_parcel(legs, ground, take, first=not number) for number, take in enumerate(cover.takes))
    services = [ground.offer.services[legs.at.rows.item(take.leg)] for take in cover.takes] if ground.offer else []
    deadlines = [
        order_before(problem.network.sites[legs.at.sites.item(take.leg)], service, parcel.due_at)
        for take, service, parcel in zip(cover.takes, services, parcels, strict=False)
    ]
    return Plan(
        method=FulfillmentMethod.PICKUP if level is None else FulfillmentMethod.DELIVERY,
        level=level,
        parcels=parcels,
        price=max((_price(problem, service) for service in services), default=0),
        cost=sum(parcel.cost for parcel in parcels),
        missing=tuple(
            Missing(sku=line.sku, quantity=quantity)
            for line, quantity in zip(problem.lines, left.tolist(), strict=True)
            if quantity
        ),
        order_before=min((deadline for deadline in deadlines if deadline is not None), default=None),
        pickup_code=parcels[0].location_code if level is None else None,
        distance_km=parcels[0].distance_km if level is None else None,
    )


def _parcel(legs: Legs, ground: Ground, take: Take, *, first: bool) -> Parcel:
    """Return one location's parcel. The first of a plan is not charged for splitting it."""
    row, site = legs.at.rows.item(take.leg), legs.at.sites.item(take.leg)
    promise = cast("Promise", ground.promise(site, legs.at.lanes.item(take.leg)))  # or it would not be open
    service = ground.offer.services[row] if ground.offer else None
    distance = None if ground.given.km is None else float(ground.given.km[site])
    shares: dict[int, int] = {}
    for lot in take.lines:
        line = int(legs.lots.line[lot])
        shares[line] = shares.get(line, 0) + int(legs.lots.quantity[lot])
    return Parcel(
        location_code=ground.problem.network.sites[site].code,
        service_code=None if service is None else service.code,
        shares=tuple(Share(sku=ground.problem.lines[line].sku, quantity=shares[line]) for line in shares),
        ready_at=promise.ready_at,
        due_at=promise.due_at,
        arrives_earliest=promise.earliest,
        arrives_latest=promise.latest,
        cost=take.cost - (legs.free if first else 0),
        distance_km=distance,
        co2_grams=None if service is None or distance is None else round(service.co2_grams_per_km * distance),
        work_day=ground.given.timetable.work_day(site),
    )


def _price(problem: Problem, service: Service) -> int:
    """Return what the shopper pays for this service, in minor units."""
    free = service.free_from is not None and problem.cart_value is not None and problem.cart_value >= service.free_from
    return 0 if free else service.shopper_price


def _require_solvable(problem: Problem) -> None:
    """Raise InvalidInput unless there are 1 to 100 lines."""
    count = len(problem.lines)
    if not 1 <= count <= MOST_LINES:
        message = f"A cart has 1 to {MOST_LINES} different items; this one has {count}."
        raise InvalidInput(message=message, path=["lines"])
