"""How units become parcels, how parcels are numbered, and where carriers' reports lead."""

from collections import Counter
from itertools import pairwise, permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.carriers import sscc
from domain.carriers.sscc import check_digit
from domain.shipments.moves import FINAL, MOVES, REPORTED, after
from domain.shipments.parcels import Packed, Units, share_out
from domain.vocabulary import ShipmentStatus as S

UNITS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3000)), min_size=1, max_size=8).map(
    lambda pairs: [Units(UUID(int=n), f"sku {n}", *pair) for n, pair in enumerate(pairs, 1)]
)


def contents(parcels: list[Packed]) -> list[tuple[int, dict[int, int]]]:
    return [(parcel.grams, {key.int: n for key, n in parcel.quantities.items()}) for parcel in parcels]


def test_the_heaviest_units_come_first_and_each_goes_where_there_is_room() -> None:
    units = [Units(UUID(int=1), "light", 5, 100), Units(UUID(int=2), "heavy", 3, 600)]
    assert contents(share_out(units, 1000)) == [(1000, {2: 1, 1: 4}), (700, {2: 1, 1: 1}), (600, {2: 1})]


def test_a_unit_that_is_too_heavy_by_itself_goes_alone() -> None:
    units = [Units(UUID(int=1), "piano", 2, 5000), Units(UUID(int=2), "sheet", 1, 5)]
    assert contents(share_out(units, 1000)) == [(5000, {1: 1}), (5000, {1: 1}), (5, {2: 1})]


def test_without_a_limit_there_is_one_parcel() -> None:
    units = [Units(UUID(int=1), "piano", 2, 5000), Units(UUID(int=2), "sheet", 1, 5)]
    assert contents(share_out(units, None)) == [(10_005, {1: 2, 2: 1})]


@given(units=UNITS, max_grams=st.integers(1, 4000))
def test_every_unit_is_in_one_parcel_and_no_parcel_is_too_heavy_or_needless(units: list[Units], max_grams: int) -> None:
    grams = {each.order_line_id: each.grams for each in units}
    parcels = share_out(units, max_grams)
    packed: Counter[UUID] = sum((parcel.quantities for parcel in parcels), Counter())
    assert packed == {each.order_line_id: each.quantity for each in units}
    for parcel in parcels:
        assert parcel.grams == sum(grams[key] * n for key, n in parcel.quantities.items())
        assert parcel.grams <= max_grams or parcel.quantities.total() == 1
    for first, second in pairwise(parcels):
        assert first.grams + max(grams[key] for key in second.quantities) > max_grams


def test_the_check_digit_is_that_of_gs1() -> None:
    assert check_digit("10614141123456789") == "7"  # the SSCC of GS1's own examples
    assert check_digit("400638133393") == "1"  # an EAN-13, by the same rule


@pytest.mark.parametrize("number", [1, 10**14 - 1])
def test_a_parcels_number_is_18_digits_of_the_prefix_for_ones_own_use(number: int) -> None:
    assert (len(sscc(number)), sscc(number)[:3], int(sscc(number)[3:17])) == (18, "040", number)


def test_every_status_has_its_moves_and_every_reported_one_can_be_reached_or_is_only_noted() -> None:
    assert set(MOVES) == set(S)
    reachable = set().union(*MOVES.values())
    assert reachable == set(S) - {S.CREATED}
    assert {S.DELIVERED, S.RETURNED_TO_SENDER, S.CANCELLED} == FINAL
    assert set(S) - {S.CREATED, S.CANCELLED} == REPORTED


def test_wherever_a_parcel_stands_a_report_moves_it_as_the_table_says_or_not_at_all() -> None:
    for status in S:
        for report in S:
            assert after(status, [report]) == (report if report in MOVES[status] else status)


def test_a_parcel_that_was_delivered_stays_so_whatever_follows() -> None:
    for order in permutations([S.IN_TRANSIT, S.LOST, S.RETURNED_TO_SENDER, S.HANDED_OVER]):
        assert after(S.HANDED_OVER, [S.DELIVERED, *order]) is S.DELIVERED


def test_an_attempt_that_failed_is_followed_by_another() -> None:
    way = [S.OUT_FOR_DELIVERY, S.DELIVERY_FAILED, S.IN_TRANSIT, S.OUT_FOR_DELIVERY, S.DELIVERED]
    assert after(S.HANDED_OVER, way) is S.DELIVERED
