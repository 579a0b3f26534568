"""Work that nobody answers or begins in time goes to another location, and a location has its opening hours for it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from domain import deadlines
from domain.network import Networks
from domain.timers import run_due
from domain.vocabulary import Role
from tests.api.house import House
from tests.api.test_closing import ends, set_status
from tests.api.test_policies import save
from tests.api.test_store_work import picking, placed, report

DEADLINES = "query ($id: ID!) { node(id: $id) { ... on Assignment { respondBy startBy assignee } } }"


async def hurry(house: House, respond: str | None = "PT1H", start: str | None = "PT2H") -> None:
    saved = await save(house, "cheapest", respondWithin=respond, startWithin=start)
    assert saved["__typename"] == "RoutingPolicy", saved


async def deadlines_of(house: House, work: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    found = await house.ask(Role.STORE, DEADLINES, work["location"]["code"], id=work["id"])
    respond, start = (found[name] and datetime.fromisoformat(found[name]) for name in ("respondBy", "startBy"))
    return respond, start


async def test_what_nobody_answers_in_opening_hours_goes_elsewhere_and_is_shipped_from_there(house: House) -> None:
    await hurry(house, "PT10H")
    token = (await house.options(("pen", 2), levels=["SAME_DAY"], methods=["DELIVERY"]))["options"][0]["token"]
    order = await house.place("order", [("pen", 2)], optionToken=token)
    (first,) = await house.work(order["id"])
    morning = datetime(2026, 3, 5, 10, 0, tzinfo=UTC)  # eight hours of Wednesday, and two of Thursday
    assert await deadlines_of(house, first) == (morning, None)
    house.clock[0] = morning
    assert await ends(house, order["id"], "EXPIRED", "OFFERED") == [("SM", "EXPIRED"), ("SN", "OFFERED")]
    assert await house.levels("pen") == {"SM": (10, 0, 10), "SN": (10, 2, 8)}
    refused = await house.do("acceptAssignment", first["id"], "SM")
    assert (refused["__typename"], refused["found"], refused["allowed"]) == ("ActionNotAllowedError", "EXPIRED", [])
    _, second = await house.work(order["id"])
    assert (await deadlines_of(house, second))[0] == datetime(2026, 3, 6, 9, 0, tzinfo=UTC)
    await picking(house, second)
    await report(house, second, (2, None))
    for step in ("packAssignment", "handOverAssignment"):
        await house.do(step, second["id"], "SN")
    found = await house.order(order["id"], "status routing { trigger } timeline { message actor }")
    assert (found["status"], [each["trigger"] for each in found["routing"]]) == ("FULFILLED", ["PLACED", "EXPIRED"])
    told = {"message": f"Berlin Mitte did not answer {first['number']} in time.", "actor": "Crossdock"}
    assert told in found["timeline"]


async def test_what_is_accepted_has_to_be_begun_and_then_nothing_expires(house: House) -> None:
    await hurry(house)
    idle, begun = await placed(house, ("pen", 1)), await placed(house, ("pen", 1), key="begun")
    work = [(await house.work(each["id"]))[0] for each in (idle, begun)]
    house.clock[0] += timedelta(minutes=30)
    for each in work:
        await house.do("acceptAssignment", each["id"], "SM")
        assert await deadlines_of(house, each) == (house.now + timedelta(minutes=30), house.now + timedelta(hours=2))
    await house.do("startPicking", work[1]["id"], "SM")
    assert (await deadlines_of(house, work[1]))[1] is None
    house.clock[0] += timedelta(hours=2)
    assert (await ends(house, idle["id"], "EXPIRED", "OFFERED"))[1] == ("SN", "OFFERED")
    assert await ends(house, begun["id"], "PICKING")
    said = (await house.order(idle["id"], "timeline { message }"))["timeline"]
    assert {"message": f"Berlin Mitte did not begin {work[0]['number']} in time."} in said


async def test_a_pickup_that_its_store_does_not_answer_goes_to_no_other_and_the_shopper_is_told(house: House) -> None:
    await hurry(house, start=None)
    await set_status(house, "SN", "SUSPENDED")  # which could have sent some
    order = await house.place("pickup", [("pen", 2)], method="PICKUP", pickupLocationId=house.ids["SM"], shipTo=None)
    house.clock[0] += timedelta(hours=1)
    assert await ends(house, order["id"], "EXPIRED") == [("SM", "EXPIRED")]
    assert (await house.order(order["id"], role=Role.STOREFRONT))["status"] == "CANCELLED"
    found = await house.order(order["id"], "timeline { kind }")
    assert "ORDER_CANCELLED" in [entry["kind"] for entry in found["timeline"]]


async def test_a_store_lists_its_work_by_when_it_is_due_and_sees_who_took_it(house: House) -> None:
    later = await placed(house, ("pen", 1), level="STANDARD", key="later")
    first = await placed(house, ("pen", 1))
    work = [(await house.work(each["id"]))[0] for each in (first, later)]
    assert [each["location"]["code"] for each in work] == ["SM", "SM"]
    await house.do("acceptAssignment", work[1]["id"], "SM")
    due = "{ assignments%s { edges { node { id dueAt assignee } } } }"
    found = [edge["node"] for edge in (await house.ask(Role.STORE, due % "", "SM"))["edges"]]
    assert [each["id"] for each in found] == [each["id"] for each in work]
    assert [each["assignee"] for each in found] == [None, "store"]
    before = f'(where: {{ dueBefore: "{found[1]["dueAt"]}" }})'
    assert [edge["node"]["id"] for edge in (await house.ask(Role.STORE, due % before, "SM"))["edges"]] == [
        work[0]["id"]
    ]


async def test_without_deadlines_nothing_expires_and_a_policy_sets_them_for_later_offers_only(house: House) -> None:
    order = await placed(house, ("pen", 1))
    (work,) = await house.work(order["id"])
    await hurry(house)
    assert await deadlines_of(house, work) == (None, None)
    await house.do("acceptAssignment", work["id"], "SM")
    assert await deadlines_of(house, work) == (None, None)


async def test_of_an_answer_and_an_expiry_that_meet_one_wins_whoever_sees_to_the_timers(house: House) -> None:
    await hurry(house, start=None)
    orders = [await placed(house, ("pen", 1), key=f"order {n}") for n in range(8)]
    work = [(await house.work(order["id"]))[0] for order in orders]
    database = house.gateway.database if house.gateway else None
    assert database
    handlers = {deadlines.LOOK: deadlines.look, deadlines.EXPIRY: deadlines.handler(Networks(database))}

    async def expire() -> None:
        for _ in range(2):
            await run_due(database, handlers, now=house.now)

    house.clock[0] += timedelta(hours=1)
    *answers, _, _ = await asyncio.gather(
        *(house.do("acceptAssignment", each["id"], "SM") for each in work), expire(), expire()
    )
    for order, answer in zip(orders, answers, strict=True):
        won = answer["__typename"] == "Assignment"
        assert won or answer["found"] == "EXPIRED"
        await ends(house, order["id"], *(["ACCEPTED"] if won else ["EXPIRED", "OFFERED"]))
    async with asyncio.timeout(30), database.reading() as connection:
        while await connection.fetchval("SELECT count(*) FROM timer WHERE kind = $1", deadlines.EXPIRY):
            await asyncio.sleep(0.05)
