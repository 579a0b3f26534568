from decimal import Decimal

import pytest

from domain.errors import InvalidInput
from domain.planning.policy import MOST_RULES, PRESETS, Fence, Policy, Rating, check
from domain.vocabulary import FenceKind, LocationKind, RatingKind


def test_every_preset_is_a_policy_that_may_be_saved() -> None:
    assert [check(preset).name for preset in PRESETS.values()] == list(PRESETS)


@pytest.mark.parametrize(
    ("fence", "path"),
    [
        (Fence(kind=FenceKind.DISTANCE), "limit"),
        (Fence(kind=FenceKind.DISTANCE, limit=Decimal(-1)), "limit"),
        (Fence(kind=FenceKind.DISTANCE, limit=Decimal("NaN")), "limit"),
        (Fence(kind=FenceKind.MAX_PARCELS, limit=Decimal(0)), "limit"),
        (Fence(kind=FenceKind.MAX_PARCELS, limit=Decimal("1.5")), "limit"),
        (Fence(kind=FenceKind.CAPACITY, limit=Decimal("1.01")), "limit"),
        (Fence(kind=FenceKind.STATUS, limit=Decimal(1)), "limit"),
        (Fence(kind=FenceKind.TAGS), "tags"),
        (Fence(kind=FenceKind.COUNTRY, forbid=True), "tags"),
        (Fence(kind=FenceKind.STATUS, tags=("x",)), "tags"),
        (Fence(kind=FenceKind.STATUS, forbid=True), "forbid"),
        (Fence(kind=FenceKind.BLOCKED), "locationIds"),
        (Fence(kind=FenceKind.STATUS, location_codes=("BER-1",)), "locationIds"),
    ],
)
def test_a_fence_that_makes_no_sense_is_refused_at_its_place(fence: Fence, path: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(Policy(name="p", fences=(Fence(kind=FenceKind.COUNTRY), fence)))
    assert raised.value.path == ("fences", "1", path)


@pytest.mark.parametrize(
    ("rating", "path"),
    [
        (Rating(kind=RatingKind.SPLIT, weight=Decimal(-1)), "weight"),
        (Rating(kind=RatingKind.SPLIT, weight=Decimal("Infinity")), "weight"),
        (Rating(kind=RatingKind.SPLIT, tags=("x",)), "tags"),
        (Rating(kind=RatingKind.MARKDOWN, location_kinds=(LocationKind.STORE,)), "locationKinds"),
        (Rating(kind=RatingKind.PREFERENCE), "locationKinds"),
    ],
)
def test_a_rating_that_makes_no_sense_is_refused_at_its_place(rating: Rating, path: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(Policy(name="p", ratings=(rating,)))
    assert raised.value.path == ("ratings", "0", path)


def test_a_policy_has_a_limited_number_of_rules() -> None:
    with pytest.raises(InvalidInput):
        check(Policy(name="p", ratings=(Rating(kind=RatingKind.SPLIT),) * (MOST_RULES + 1)))


def test_the_strictest_of_several_limits_of_parcels_counts() -> None:
    limits = tuple(Fence(kind=FenceKind.MAX_PARCELS, limit=Decimal(limit)) for limit in (3, 2))
    assert Policy(name="p", fences=limits).most_parcels == 2
    assert Policy(name="p").most_parcels is None
