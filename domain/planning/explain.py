"""Why a plan is as it is: the values that are kept of a decision, and their JSON of at most 8 KB."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.vocabulary import FenceKind, RatingKind

MOST_BYTES = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The fence that kept a location out, with what was found there and what would have been allowed."""

    fence: FenceKind
    message: str
    actual: str | None = None
    limit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A location that was considered.

    `ratings` are what it would be charged, were it to ship all it can, in minor units; `total` is their sum, and `rank`
    its place among those that could ship as much, from 1. All three are empty where a fence `stopped` it.
    """

    location_code: str
    chosen: bool = False
    stopped: Stop | None = None
    ratings: Mapping[RatingKind, int]
    total: int | None = None
    rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """The best plan with just so many parcels; `cost` in minor units."""

    parcel_count: int
    cost: int
    location_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision, told. `cost` is that of the plan, in minor units; `ratings` what it consists of.

    `gap` is 0 where the plan is proven the cheapest, else how far from the proven bound it may be (0.01 is 1 %).
    `candidates` are the best of `considered` locations, the chosen ones first; `stopped` counts the others by fence.
    """

    cost: int
    ratings: Mapping[RatingKind, int]
    gap: float
    considered: int
    stopped: Mapping[FenceKind, int]
    candidates: Sequence[Candidate]
    alternatives: Sequence[Alternative]
