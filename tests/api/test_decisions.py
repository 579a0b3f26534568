"""Why orders were routed as they were, what routing would decide, and how long that is known."""

import asyncio
from base64 import urlsafe_b64decode
from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from domain import reconsidering
from domain.money import to_minor
from domain.planning.plan import Decision, decide_deliveries
from domain.planning.problem import Problem
from domain.vocabulary import Role
from tests.api.house import BERLIN, ERROR, House

WHY = """cost { amount currency } ratings { rating cost { amount } } considered excluded { fence locations }
    provenGap solveMicroseconds
    parcels { location { code } carrierService { code } lines { sku quantity } arrivesLatest }
    alternatives { parcelCount cost { amount } locations { code } }
    candidates { location { code } chosen rank total { amount } ratings { rating cost { amount } }
                 excludedBy { fence message actual limit } }"""
DECISION = f"id trigger decidedAt policyName policyVersion policy {{ name active }} order {{ id }} {WHY}"
SIMULATE = f"""query ($input: FulfillmentOptionsInput!, $policy: RoutingPolicyInput) {{
    simulateRouting(input: $input, policy: $policy) {{ __typename {ERROR}
        ... on RoutingSimulation {{ policy {{ name version }} {WHY} }}
        ... on NoFulfillmentOptionError {{ unavailable {{ code }} }} }} }}"""
SAVE = f"""mutation ($input: RoutingPolicyInput!) {{ saveRoutingPolicy(input: $input) {{
    __typename ... on RoutingPolicy {{ version }} {ERROR} }} }}"""
DISTANCE = [{"kind": "DISTANCE", "weight": "1"}]
NOT_STORES = [{"kind": "TAGS", "tags": ["counter"], "forbid": True}]


async def decisions(house: House, order: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await house.order(order["id"], f"routing {{ {DECISION} }}"))["routing"]
    return found


async def save(house: House, name: str, **more: Any) -> None:
    saved = await house.ask(Role.ADMIN, SAVE, input={"name": name, "fences": [], "ratings": DISTANCE, **more})
    assert saved["__typename"] == "RoutingPolicy", saved


async def tag_stores(house: House) -> None:
    query = "mutation ($input: LocationInput!) { saveLocation(input: $input) { __typename } }"
    for code in ("SM", "SN"):
        await house.ask(Role.ADMIN, query, input={"code": code, "tags": ["counter"]})


async def simulated(house: House, *lines: tuple[str, int], policy: dict[str, Any] | None = None) -> dict[str, Any]:
    cart = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
    asked = {"lines": cart, "destination": BERLIN, "methods": ["DELIVERY"], "levels": ["STANDARD"]}
    answer: dict[str, Any] = await house.ask(Role.OPERATIONS, SIMULATE, input=asked, policy=policy)
    return answer


def places(told: dict[str, Any]) -> list[str]:
    return [parcel["location"]["code"] for parcel in told["parcels"]]


def stopped(told: dict[str, Any]) -> dict[str, str]:
    """Return the fence by the code of each candidate that one stopped."""
    return {each["location"]["code"]: each["excludedBy"]["fence"] for each in told["candidates"] if each["excludedBy"]}


async def test_an_order_tells_who_was_chosen_who_was_stopped_and_what_it_costs(house: House) -> None:
    order = await house.place("rugs", [("rug", 1), ("pen", 1)], level="STANDARD")
    (why,) = await decisions(house, order)
    assert (why["trigger"], why["policyName"], why["policyVersion"]) == ("PLACED", "cheapest", 1)
    assert why["policy"] == {"name": "cheapest", "active": True}
    assert why["order"] == {"id": order["id"]}
    work = await house.work(order["id"])
    assert sorted(places(why)) == sorted(each["location"]["code"] for each in work)
    chosen = [each["location"]["code"] for each in why["candidates"] if each["chosen"]]
    assert sorted(chosen) == sorted(places(why))
    assert stopped(why) == {"WB": "STOCK"}
    assert why["excluded"] == [{"fence": "STOCK", "locations": 1}]
    (excluded,) = [each["excludedBy"] for each in why["candidates"] if each["excludedBy"]]
    assert (excluded["actual"], excluded["limit"]) == ("0 units", "2 units")
    charged = [rating["cost"]["amount"] for rating in why["ratings"]]
    assert sum(map(float, charged)) == float(why["cost"]["amount"]) > 0
    assert why["alternatives"][0]["parcelCount"] == 2
    assert why["provenGap"] == 0
    assert why["considered"] == 4


async def test_a_decision_is_found_by_its_id(house: House) -> None:
    (why,) = await decisions(house, await house.place("mugs", [("mug", 1)]))
    query = f"query ($id: ID!) {{ node(id: $id) {{ ... on RoutingDecision {{ {DECISION} }} }} }}"
    assert await house.ask(Role.OPERATIONS, query, id=why["id"]) == why
    assert await house.ask(Role.STOREFRONT, query, id=why["id"]) is None


async def test_an_order_by_token_keeps_what_its_option_was_chosen_by_and_its_shopper_reads_no_cost(
    house: House,
) -> None:
    wished = await simulated(house, ("lamp", 2))
    options = await house.options(("lamp", 2), methods=["DELIVERY"], levels=["STANDARD"])
    await save(house, "nearest")  # after the option was shown
    order = await house.place("token", [("lamp", 2)], optionToken=options["options"][0]["token"])
    (why,) = await decisions(house, order)
    assert (why["trigger"], why["policyName"], why["policyVersion"]) == ("PLACED", "cheapest", 1)
    assert (why["cost"], places(why)) == (wished["cost"], places(wished))
    body = options["options"][0]["token"].partition(".")[0]
    masked = orjson.loads(urlsafe_b64decode(body))["basis"][-1]
    assert masked != to_minor(Decimal(why["cost"]["amount"]), "EUR", path=())


async def test_an_order_by_token_tells_who_else_there_was_whatever_has_become_of_them_since(house: House) -> None:
    house.clock[0] += timedelta(minutes=1)
    wished = await simulated(house, ("rug", 1), ("pen", 1))
    options = await house.options(("rug", 1), ("pen", 1), methods=["DELIVERY"], levels=["STANDARD"])
    order = await house.place("token", [("rug", 1), ("pen", 1)], optionToken=options["options"][0]["token"])
    house.clock[0] += timedelta(minutes=1)
    for number in range(2):  # which takes of the same stock
        await house.place(f"later {number}", [("pen", 1)], level="STANDARD")
    (why,) = await decisions(house, order)
    told = "cost", "candidates", "alternatives", "considered", "excluded", "ratings"
    assert {name: why[name] for name in told} == {name: wished[name] for name in told}
    assert len(why["candidates"]) > len(places(why))
    suspend = f"mutation ($id: ID!) {{ setLocationStatus(id: $id, status: SUSPENDED) {{ __typename {ERROR} }} }}"
    await house.ask(Role.ADMIN, suspend, id=house.ids[places(why)[0]])
    (why,) = await decisions(house, order)
    assert [each["location"]["code"] for each in why["candidates"] if each["chosen"]] == places(why)
    assert [each for each in why["candidates"] if not each["chosen"]] == []
    assert why["cost"] == wished["cost"]


async def test_an_order_by_token_that_moved_is_not_explained_for_where_it_goes_now(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.clock[0] += timedelta(minutes=1)
    option, *_ = (await house.options(("rug", 1), methods=["DELIVERY"], levels=["STANDARD"]))["options"]
    order = await house.place("token", [("rug", 1)], optionToken=option["token"])
    idle = []

    def decide(problem: Problem) -> tuple[Decision, ...]:
        assert house.gateway
        pool = house.gateway.database.pool
        idle.append(pool.get_size() - pool.get_idle_size())
        return decide_deliveries(problem)

    monkeypatch.setattr(reconsidering, "decide_deliveries", decide)
    (why,) = await decisions(house, order)
    assert len(why["candidates"]) > len(places(why)) == 1
    assert idle == [0], "no connection waits while it is planned"
    move = "mutation ($id: ID!, $to: AddressInput!) { changeOrderAddress(id: $id, shipTo: $to) { __typename } }"
    potsdam = {**BERLIN, "postalCode": "14467", "city": "Potsdam"}
    assert await house.ask(Role.OPERATIONS, move, id=order["id"], to=potsdam) == {"__typename": "Order"}
    why, *_ = await decisions(house, order)
    assert [each["location"]["code"] for each in why["candidates"]] == places(why)


async def test_work_that_is_refused_is_decided_anew_without_who_refused(house: House) -> None:
    order = await house.place("mugs", [("mug", 1)], level="STANDARD")
    (work,) = await house.work(order["id"])
    refused = work["location"]["code"]
    house.clock[0] += timedelta(minutes=1)
    await house.do("rejectAssignment", work["id"], arguments=", reason: TOO_BUSY", role=Role.OPERATIONS)
    placed, anew = await decisions(house, order)
    assert (placed["trigger"], anew["trigger"]) == ("PLACED", "REJECTED")
    assert places(placed) == [refused] != places(anew)
    assert stopped(anew)[refused] == "BLOCKED"


async def test_the_policy_in_force_by_then_decides_where_work_goes_anew(house: House) -> None:
    order = await house.place("mugs", [("mug", 1)], level="STANDARD")
    (work,) = await house.work(order["id"])
    await tag_stores(house)
    await save(house, "large", condition="lines.all(line, line.sku == 'mug') && total == 10.0", fences=NOT_STORES)
    house.clock[0] += timedelta(minutes=1)
    await house.do("rejectAssignment", work["id"], arguments=", reason: TOO_BUSY", role=Role.OPERATIONS)
    placed, anew = await decisions(house, order)
    assert (placed["policyName"], anew["policyName"]) == ("cheapest", "large")
    assert set(places(anew)) <= {"WB", "WH"} - {work["location"]["code"]}


async def test_where_nobody_else_can_the_decision_says_why(house: House) -> None:
    order = await house.place("rugs", [("rug", 1)], level="STANDARD")
    (work,) = await house.work(order["id"])
    house.clock[0] += timedelta(minutes=1)
    await house.do("rejectAssignment", work["id"], arguments=", reason: TOO_BUSY", role=Role.OPERATIONS)
    _, anew = await decisions(house, order)
    assert anew["parcels"] == []
    assert stopped(anew) == {"WH": "BLOCKED", "WB": "STOCK", "SM": "STOCK", "SN": "STOCK"}


async def test_an_order_that_waits_for_stock_tells_who_had_none_and_then_who_had_some(house: House) -> None:
    item = "mutation ($rows: [ItemRowInput!]!) { importItems(rows: $rows) { created } }"
    await house.ask(Role.ADMIN, item, rows=[{"sku": "vase", "name": "Vase", "weightGrams": 900}])
    order = await house.place("vase", [("vase", 1)], level="STANDARD", allowBackorder=True)
    (waits,) = await decisions(house, order)
    assert waits["parcels"] == []
    assert set(stopped(waits).values()) == {"STOCK"}
    house.clock[0] += timedelta(minutes=1)
    stock = [{"sku": "vase", "locationCode": "WB", "onHand": 5}]
    query = "mutation ($rows: [StockRowInput!]!) { importStock(rows: $rows) { created } }"
    await house.ask(Role.ADMIN, query, rows=stock)
    async with asyncio.timeout(30):
        while len(found := await decisions(house, order)) < 2:
            await asyncio.sleep(0.05)
    assert [(each["trigger"], places(each)) for each in found] == [("PLACED", []), ("STOCK_ARRIVED", ["WB"])]


async def test_a_condition_knows_no_country_of_a_pickup(house: House) -> None:
    await save(house, "pickups", condition="country == null && postalCode == null && method == 'PICKUP'")
    options = await house.options(("pen", 1), methods=["PICKUP"], pickupLocations=1)
    order = await house.place("pen", [("pen", 1)], optionToken=options["options"][0]["token"], shipTo=None)
    (why,) = await decisions(house, order)
    assert why["policyName"] == "pickups"


async def test_the_policy_whose_condition_holds_decides_on_options_and_on_orders(house: House) -> None:
    await tag_stores(house)
    await save(house, "gifts", condition="'gift' in tags", fences=NOT_STORES)
    for tags, policy in (([], "cheapest"), (["gift"], "gifts")):
        order = await house.place(f"order {policy}", [("mug", 1)], level="STANDARD", tags=tags)
        (why,) = await decisions(house, order)
        assert why["policyName"] == policy
        options = await house.options(("mug", 1), methods=["DELIVERY"], levels=["STANDARD"], tags=tags)
        (option,) = options["options"]
        assert [parcel["location"]["code"] for parcel in option["parcels"]] == places(why)
        assert set(stopped(why).values()) == (set() if policy == "cheapest" else {"TAGS"})


async def test_a_condition_over_the_level_decides_for_each_level_by_itself(house: House) -> None:
    await tag_stores(house)
    await save(house, "slow", condition="level == 'STANDARD'", fences=NOT_STORES)
    options = await house.options(("mug", 1), methods=["DELIVERY"])
    by_level = {each["level"]: each["parcels"][0]["location"]["code"] for each in options["options"]}
    assert by_level["STANDARD"] in {"WB", "WH"}
    assert by_level["SAME_DAY"] in {"SM", "SN"}


async def test_a_simulation_reserves_nothing_and_another_policy_decides_otherwise(house: House) -> None:
    await tag_stores(house)
    before = await house.levels("mug")
    now = await simulated(house, ("mug", 2))
    warehouses = {"name": "trial", "fences": NOT_STORES, "ratings": DISTANCE, "condition": "channel == 'app'"}
    other = await simulated(house, ("mug", 2), policy=warehouses)
    assert now["policy"] == {"name": "cheapest", "version": 1}
    assert other["policy"] is None
    assert places(other) == ["WB"]
    assert {code for code, fence in stopped(other).items() if fence == "TAGS"} == {"SM", "SN"}
    assert [rating["rating"] for rating in other["ratings"]] == ["DISTANCE"]
    order = await house.place("mugs", [("mug", 2)], level="STANDARD")
    assert places(now) == [each["location"]["code"] for each in await house.work(order["id"])]
    query = "{ routingPolicies { name } }"
    assert "trial" not in {each["name"] for each in await house.ask(Role.ADMIN, query)}
    taken = {code: levels for code, levels in (await house.levels("mug")).items() if levels != before[code]}
    assert list(taken) == places(now), "only what was placed is reserved"


async def test_a_simulation_of_what_cannot_be_had_says_why(house: House) -> None:
    for cart in ([("rug", 99)], [("mug", 1), ("nothing", 1)]):
        answer = await simulated(house, *cart)
        assert answer["__typename"] == "NoFulfillmentOptionError"
        assert answer["unavailable"]


async def test_a_simulated_policy_is_checked_like_one_that_is_saved(house: House) -> None:
    policy = {"name": "trial", "fences": [], "ratings": DISTANCE, "condition": "totl > 1"}
    answer = await simulated(house, ("mug", 1), policy=policy)
    assert (answer["__typename"], answer["path"]) == ("InvalidInputError", ["condition"])
    assert answer["message"].startswith("1:1: There is no variable totl;")


async def test_a_decision_is_forgotten_after_its_days(house: House) -> None:
    first = await house.place("first", [("mug", 1)])
    house.clock[0] += timedelta(days=2)
    second = await house.place("second", [("mug", 1)])
    house.clock[0] += timedelta(days=89)
    async with asyncio.timeout(30):
        while await decisions(house, first):
            await asyncio.sleep(0.05)
    assert len(await decisions(house, second)) == 1
