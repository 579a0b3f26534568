"""How a retailer wants its orders routed: fences that keep locations out, and ratings that price those that are left.

Some fences stand whatever a policy says: what has no stock, is not active, is not served, is shut, is full or would
break a promise already given is never used. A policy adds to them and makes them stricter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from domain.errors import InvalidInput
from domain.vocabulary import FenceKind, LocationKind, RatingKind

MOST_WEIGHT = 1_000_000
MOST_LIMIT = 1_000_000
MOST_RULES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """One reason to keep a location out. Its kind says what `limit`, `tags`, `forbid` and `location_codes` mean.

    STOCK: `limit` units of each item stay behind. DISTANCE: at most `limit` km. MAX_PARCELS: at most `limit` parcels.
    CAPACITY: at most the share `limit` (0.8) of each day's capacity. COUNTRY: the location is in the country of the
    destination or, with `tags`, in one of these (`forbid`: in none of these). TAGS: the location carries all `tags`
    (`forbid`: none of them); a tag `item:X` asks it of locations for items that carry X, `order:X` for orders that do,
    and it is X that the location carries. PRESELECTED: only `location_codes`; BLOCKED: never these. OPENING_HOURS: the
    location is open at this moment. CARRIER_CUTOFF: the carrier collects on the present day. The other kinds say what
    holds anyway.
    """

    kind: FenceKind
    limit: Decimal | None = None
    tags: tuple[str, ...] = ()
    forbid: bool = False
    location_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One price of a parcel from a location; `weight` is the rate of exchange into money of what its kind says.

    SHIPPING, HANDLING: `weight` x what the carrier and the work cost. In units of the currency (1.50 is EUR 1.50) -
    DISTANCE: a km. LATENESS: an hour after the earliest that any location could make. SPLIT: a parcel after the first.
    CO2: a kg. LOAD: a full day's capacity; half a day's costs a quarter. STOCK_BALANCE: all stock of an item at a
    location, in proportion to the share that is taken. MARKDOWN: a unit that did not sit for 90 days, in proportion to
    what is left of them (with `tags`: of items that carry one). REJECTION: a location that rejects everything, in
    proportion to its record. PREFERENCE: a parcel from a location that is none of `location_kinds` and has none of
    `tags`.
    """

    kind: RatingKind
    weight: Decimal = Decimal(1)
    tags: tuple[str, ...] = ()
    location_kinds: tuple[LocationKind, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A version of a routing policy. `condition` is a CEL expression over the order, empty where it holds always.

    The deadlines are how long a location has to answer an offer, to start on it, and a shopper to collect; None leaves
    them as they are.
    """

    name: str
    version: int = 1
    priority: int = 100
    condition: str = ""
    fences: tuple[Fence, ...] = ()
    ratings: tuple[Rating, ...] = ()
    respond_within: timedelta | None = None
    start_within: timedelta | None = None
    collect_within: timedelta | None = None

    @property
    def most_parcels(self) -> int | None:
        """The most parcels an order may come in, None where any number may."""
        limits = [fence.limit for fence in self.fences if fence.kind is FenceKind.MAX_PARCELS and fence.limit]
        return int(min(limits)) if limits else None

    @property
    def capacity_share(self) -> Decimal:
        """The share of each day's capacity that may be used."""
        shares = [fence.limit for fence in self.fences if fence.kind is FenceKind.CAPACITY and fence.limit is not None]
        return min(shares, default=Decimal(1))

    @property
    def collected_today(self) -> bool:
        """Tell whether the carrier has to collect on the present day."""
        return any(fence.kind is FenceKind.CARRIER_CUTOFF for fence in self.fences)


def check(policy: Policy) -> Policy:
    """Return the policy, or raise InvalidInput with the place of the mistake."""
    for name, rules in (("fences", policy.fences), ("ratings", policy.ratings)):
        if len(rules) > MOST_RULES:
            raise InvalidInput(message=f"A policy has at most {MOST_RULES} {name}.", path=(name,))
    for number, fence in enumerate(policy.fences):
        _check_fence(fence, ("fences", str(number)))
    for number, rating in enumerate(policy.ratings):
        _check_rating(rating, ("ratings", str(number)))
    return policy


def _check_fence(fence: Fence, path: Sequence[str]) -> None:
    kind = fence.kind
    _check_limit(kind, fence.limit, (*path, "limit"))
    if fence.tags and kind not in _TAGGED:
        raise InvalidInput(message=f"{kind} has no tags.", path=(*path, "tags"))
    if not fence.tags and (kind is FenceKind.TAGS or (kind is FenceKind.COUNTRY and fence.forbid)):
        raise InvalidInput(message=f"{kind} needs tags.", path=(*path, "tags"))
    if fence.forbid and kind not in _TAGGED:
        raise InvalidInput(message=f"{kind} cannot be turned round.", path=(*path, "forbid"))
    if bool(fence.location_codes) != (kind in _PLACED):
        message = f"{kind} needs locations." if kind in _PLACED else f"{kind} has no locations."
        raise InvalidInput(message=message, path=(*path, "locationIds"))


def _check_limit(kind: FenceKind, limit: Decimal | None, path: Sequence[str]) -> None:
    if kind not in _LIMITED:
        if limit is not None:
            raise InvalidInput(message=f"{kind} has no limit.", path=path)
        return
    name, least, most, step = _LIMITED[kind]
    if limit is None:
        raise InvalidInput(message=f"{kind} needs a limit: {name}.", path=path)
    if not (limit.is_finite() and least <= limit <= most and (step == 0 or limit % step == 0)):
        whole = "a whole number" if step else "a number"
        raise InvalidInput(message=f"{kind} is limited to {name}: {whole} from {least:,} to {most:,}.", path=path)


def _check_rating(rating: Rating, path: Sequence[str]) -> None:
    if not (rating.weight.is_finite() and 0 <= rating.weight <= MOST_WEIGHT):
        raise InvalidInput(message=f"A weight is a number from 0 to {MOST_WEIGHT:,}.", path=(*path, "weight"))
    if rating.tags and rating.kind not in {RatingKind.MARKDOWN, RatingKind.PREFERENCE}:
        raise InvalidInput(message=f"{rating.kind} has no tags.", path=(*path, "tags"))
    if rating.location_kinds and rating.kind is not RatingKind.PREFERENCE:
        raise InvalidInput(message=f"{rating.kind} has no kinds of location.", path=(*path, "locationKinds"))
    if rating.kind is RatingKind.PREFERENCE and not (rating.tags or rating.location_kinds):
        message = "A preference names kinds of location or tags."
        raise InvalidInput(message=message, path=(*path, "locationKinds"))


_LIMITED: Mapping[FenceKind, tuple[str, int, int, int]] = {
    FenceKind.STOCK: ("units that stay behind", 0, MOST_LIMIT, 1),
    FenceKind.DISTANCE: ("km", 0, MOST_LIMIT, 0),
    FenceKind.CAPACITY: ("a share of each day's capacity", 0, 1, 0),
    FenceKind.MAX_PARCELS: ("parcels", 1, MOST_LIMIT, 1),
}
"""What a limit counts, its least, its most and its step, 0 for any."""
_TAGGED = frozenset({FenceKind.TAGS, FenceKind.COUNTRY})
_PLACED = frozenset({FenceKind.PRESELECTED, FenceKind.BLOCKED})


def _preset(name: str, *ratings: tuple[RatingKind, str]) -> Policy:
    return Policy(name=name, ratings=tuple(Rating(kind=kind, weight=Decimal(weight)) for kind, weight in ratings))


DEFAULT = _preset("cheapest", (RatingKind.SHIPPING, "1"), (RatingKind.HANDLING, "1"))
"""What decides where no policy does: what the carrier and the work cost."""

PRESETS: Mapping[str, Policy] = {
    preset.name: preset
    for preset in (
        DEFAULT,
        # One parcel less is worth any distance on earth.
        _preset("fewest-splits-nearest", (RatingKind.SPLIT, "100000"), (RatingKind.DISTANCE, "1")),
        Policy(
            name="weighted-penalties",
            ratings=(
                Rating(kind=RatingKind.DISTANCE, weight=Decimal("0.01")),
                Rating(kind=RatingKind.SPLIT, weight=Decimal(5)),
                Rating(kind=RatingKind.LOAD, weight=Decimal(3)),
                Rating(kind=RatingKind.STOCK_BALANCE, weight=Decimal(2)),
                Rating(kind=RatingKind.REJECTION, weight=Decimal(8)),
                Rating(kind=RatingKind.PREFERENCE, weight=Decimal("1.5"), location_kinds=(LocationKind.WAREHOUSE,)),
            ),
        ),
        _preset("fastest", (RatingKind.LATENESS, "100"), (RatingKind.SHIPPING, "1"), (RatingKind.HANDLING, "1")),
        _preset("greenest", (RatingKind.CO2, "100"), (RatingKind.SHIPPING, "0.01"), (RatingKind.HANDLING, "0.01")),
    )
}
"""Policies named for what they do, so that a retailer can replay its orders under several and compare."""
