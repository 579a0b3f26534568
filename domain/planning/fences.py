"""What keeps a location, or a carrier service at a location, from serving: masks, each with its reason."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from domain.planning.calendar import is_open
from domain.planning.policy import Fence
from domain.planning.problem import Network, Problem
from domain.vocabulary import FenceKind, UnavailabilityCode

Mask = NDArray[np.bool_]
Told = tuple[str | None, str | None]

SENTENCES: Mapping[UnavailabilityCode, str] = {
    UnavailabilityCode.NOT_SERVED: "No location offers {wish}.",
    UnavailabilityCode.CLOSED: "No location that offers {wish} is open in time for {goods}.",
    UnavailabilityCode.TOO_FAR: "No location that offers {wish} is near enough.",
    UnavailabilityCode.TOO_HEAVY: "For {wish}, {goods} is too heavy for one parcel.",
    UnavailabilityCode.OUT_OF_STOCK: "No location within reach that offers {wish} has {goods} in stock.",
    UnavailabilityCode.RESTRICTED: "Every location that could do {wish} is ruled out for {goods}.",
    UnavailabilityCode.NO_CAPACITY: "Every location that could do {wish} has its hands full, too long for {goods}.",
    UnavailabilityCode.CUTOFF_PASSED: "It is too late for {wish} of {goods}.",
    UnavailabilityCode.TOO_MANY_PARCELS: "For {wish}, {goods} would come in too many parcels.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """One reason to stay out; `passes` has a shape that broadcasts to (services, sites, lines).

    `told` gives what was found at the site with this place, and what would have been allowed, for people.
    """

    kind: FenceKind
    code: UnavailabilityCode
    passes: Mask
    told: Callable[[int], Told] = lambda _: (None, None)


def status(network: Network) -> Screen:
    """Return the fence before the locations that take no work."""
    return Screen(
        kind=FenceKind.STATUS,
        code=UnavailabilityCode.CLOSED,
        passes=network.active[np.newaxis, :, np.newaxis],
        told=lambda site: (network.sites[site].status, "ACTIVE"),
    )


def by_policy(problem: Problem, km: NDArray[np.float64] | None) -> Iterator[Screen]:
    """Yield what the policy asks of the places themselves; `km` is the distance to each (sites,), if it is known."""
    for fence in problem.policy.fences:
        if fence.kind is FenceKind.DISTANCE and km is not None and fence.limit is not None:
            yield _near(fence.kind, km, fence.limit)
        elif fence.kind in _SCREENS:
            yield _SCREENS[fence.kind](problem, fence)


def _near(kind: FenceKind, km: NDArray[np.float64], limit: Decimal) -> Screen:
    return Screen(
        kind=kind,
        code=UnavailabilityCode.TOO_FAR,
        passes=(km <= float(limit))[np.newaxis, :, np.newaxis],
        told=lambda site: (f"{km[site]:.0f} km", f"{limit} km"),
    )


def _country(problem: Problem, fence: Fence) -> Screen:
    countries = fence.tags or ((problem.country,) if problem.country else ())
    return Screen(
        kind=fence.kind,
        code=UnavailabilityCode.RESTRICTED,
        passes=(_lies_in(problem.network, countries) != fence.forbid)[np.newaxis, :, np.newaxis],
        told=lambda site: (problem.network.sites[site].country, _said(countries, forbid=fence.forbid)),
    )


def _tags(problem: Problem, fence: Fence) -> Screen:
    return Screen(
        kind=fence.kind,
        code=UnavailabilityCode.RESTRICTED,
        passes=_tagged(problem, fence)[np.newaxis],
        told=lambda site: (_said(problem.network.sites[site].tags), _said(fence.tags, forbid=fence.forbid)),
    )


def _listed(problem: Problem, fence: Fence) -> Screen:
    named = _named(problem.network, fence.location_codes)
    passes = named if fence.kind is FenceKind.PRESELECTED else ~named
    return Screen(kind=fence.kind, code=UnavailabilityCode.RESTRICTED, passes=passes[np.newaxis, :, np.newaxis])


def _open_now(problem: Problem, fence: Fence) -> Screen:
    hours = np.array([is_open(keeper, problem.now) for keeper in problem.network.keepers], dtype=np.bool_)
    return Screen(
        kind=fence.kind,
        code=UnavailabilityCode.CLOSED,
        passes=hours[problem.network.schedules][np.newaxis, :, np.newaxis],
        told=lambda _: ("closed", "open now"),
    )


_SCREENS: Mapping[FenceKind, Callable[[Problem, Fence], Screen]] = {
    FenceKind.COUNTRY: _country,
    FenceKind.TAGS: _tags,
    FenceKind.PRESELECTED: _listed,
    FenceKind.BLOCKED: _listed,
    FenceKind.OPENING_HOURS: _open_now,
}


@lru_cache(maxsize=256)
def _lies_in(network: Network, countries: tuple[str, ...]) -> Mask:
    return np.array([site.country in countries for site in network.sites], dtype=np.bool_)


@lru_cache(maxsize=256)
def _named(network: Network, codes: tuple[str, ...]) -> Mask:
    return np.array([site.code in codes for site in network.sites], dtype=np.bool_)


@lru_cache(maxsize=256)
def carries(network: Network, tag: str) -> Mask:
    """Tell which sites carry a tag (sites,)."""
    return np.array([tag in site.tags for site in network.sites], dtype=np.bool_)


def _tagged(problem: Problem, fence: Fence) -> Mask:
    """Tell which sites a fence of tags lets have which lines (sites, lines)."""
    passes = np.ones((len(problem.network.sites), len(problem.lines)), dtype=np.bool_)
    for tag in fence.tags:
        scope, _, rest = tag.partition(":")
        if scope == "item":
            asked = np.array([rest in line.tags for line in problem.lines], dtype=np.bool_)
        elif scope == "order":
            asked = np.full(len(problem.lines), rest in problem.tags)
        else:
            asked, rest = np.ones(len(problem.lines), dtype=np.bool_), tag
        passes &= (carries(problem.network, rest) != fence.forbid)[:, np.newaxis] | ~asked
    return passes


def _said(words: Iterable[str], *, forbid: bool = False) -> str:
    said = ", ".join(sorted(words)) or "none"
    return f"none of {said}" if forbid else said
