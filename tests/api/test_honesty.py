"""A promise is kept: whatever option is chosen, at whatever moment of a year, the order gets just that."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

from domain import inventory
from domain.assignments import assignments_of, lines_of
from domain.cart import CartLine
from domain.imports import OnRowError
from domain.inventory import StockRecord
from domain.options import OptionsRequest, fulfillment_options
from domain.placement import NewOrder
from domain.places import Address
from domain.vocabulary import FulfillmentMethod
from tests.api.house import STOCK, House

HOW_MANY = 1_000
YEAR = 366 * 24 * 3600
DESTINATIONS = [
    Address(postal_code=code, city=city, country="DE")
    for code, city in (("10115", "Berlin"), ("14467", "Potsdam"), ("20095", "Hamburg"), ("80331", "München"))
]


async def test_each_of_a_thousand_options_is_had_with_the_locations_the_price_and_the_dates_it_showed(
    house: House,
) -> None:
    gateway, random = house.gateway, Random(2026)  # noqa: S311 - chance, not secrecy
    assert gateway is not None
    plenty = [StockRecord(sku, code, 100_000) for code, levels in STOCK.items() for sku in levels]
    await inventory.import_stock(gateway.database, plenty, on_error=OnRowError.REJECT_ALL, now=house.now)
    snapshot = await gateway.networks.current()
    methods: Counter[FulfillmentMethod] = Counter()
    transferred = 0
    for n in range(HOW_MANY):
        now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randrange(YEAR))
        skus = random.sample(["mug", "lamp", "pen", "rug"], random.randint(1, 3))
        lines = tuple(CartLine(sku=sku, quantity=random.randint(1, 5), unit_price=1999) for sku in skus)
        where = random.choice(DESTINATIONS)
        async with gateway.database.reading() as connection:
            request = OptionsRequest(lines=lines, currency="EUR", destination=where)
            found = await fulfillment_options(connection, snapshot, gateway.promises, request, now=now)
            option = random.choice(found.options)
            order = await gateway.placement.place(
                NewOrder(
                    idempotency_key=f"honest {n}",
                    lines=lines,
                    currency="EUR",
                    customer_name="Ada",
                    token=option.token,
                    ship_to=where,
                ),
                actor="shop",
                now=now,
            )
            plan = option.promise.plan
            assert (order.promised_earliest, order.promised_latest) == (plan.earliest, plan.latest), now
            assert (order.method, order.level, order.shipping_price) == (plan.method, plan.level, plan.price), now
            work = {row.id: row for row in await assignments_of(connection, [order.id])}
            done = Counter[tuple[object, str]]()
            for line in await lines_of(connection, list(work)):
                done[work[line.assignment_id].location_id, line.sku] += line.quantity
            sent = await connection.fetch(
                """
                SELECT from_location_id, to_location_id, sku, bound, expected_at
                  FROM transfer t JOIN transfer_line l ON l.transfer_id = t.id WHERE t.order_id = $1
                """,
                order.id,
            )
            for source, target, sku, units, expected_at in sent:
                done[source, sku] += units
                assert target == order.pickup_location_id
                assert expected_at < order.promised_latest, now
            transferred += bool(sent)
        taken = Counter[tuple[object, str]]()
        for parcel in plan.parcels:
            for share in parcel.shares:
                taken[snapshot.id_by_code[parcel.location_code], share.sku] += share.quantity
        assert done == taken, now
        methods[plan.method] += 1
    assert transferred > HOW_MANY / 10
    assert min(methods[method] for method in FulfillmentMethod) > HOW_MANY / 10
