"""Routing policies: versions that nobody changes, which is in force, who decides first, and what is refused."""

import asyncio
from datetime import timedelta
from typing import Any

from domain.planning.policy import PRESETS
from domain.vocabulary import Role
from tests.api.house import BERLIN, ERROR, House

POLICY = """id name version active priority condition respondWithin startWithin collectWithin
    fences { kind limit tags forbid locations { code } } ratings { kind weight tags locationKinds }"""
SAVE = f"""mutation ($input: RoutingPolicyInput!) {{ saveRoutingPolicy(input: $input) {{
    __typename ... on RoutingPolicy {{ {POLICY} }} {ERROR} }} }}"""
CHEAP = [{"kind": "SHIPPING", "weight": "1"}]


async def save(house: House, name: str, **more: Any) -> dict[str, Any]:
    policy = {"name": name, "fences": [], "ratings": CHEAP, **more}
    answer: dict[str, Any] = await house.ask(Role.ADMIN, SAVE, input=policy)
    return answer


async def listed(house: House) -> list[tuple[str, int, bool]]:
    rows = await house.ask(Role.OPERATIONS, "{ routingPolicies { name version active } }")
    return [(row["name"], row["version"], row["active"]) for row in rows]


async def test_the_presets_are_there_out_of_the_box_and_the_cheapest_is_in_force(house: House) -> None:
    assert await listed(house) == [("cheapest", 1, True), *((name, 1, False) for name in sorted(PRESETS)[1:])]


async def test_a_policy_is_read_as_it_was_saved(house: House) -> None:
    policy = {
        "priority": 7,
        "condition": "country == 'DE' && total > 50.0",
        "fences": [
            {"kind": "DISTANCE", "limit": "450.5"},
            {"kind": "TAGS", "tags": ["item:frozen"], "forbid": True},
            {"kind": "BLOCKED", "locationIds": [house.ids["SN"]]},
        ],
        "ratings": [{"kind": "PREFERENCE", "weight": "1.50", "tags": ["fast"], "locationKinds": ["WAREHOUSE"]}],
        "respondWithin": "PT30M",
        "startWithin": "PT4H",
        "collectWithin": "P7D",
    }
    saved = await save(house, "domestic", **policy)
    assert saved.pop("__typename") == "RoutingPolicy"
    fence = {"limit": None, "tags": None, "forbid": False, "locations": None}
    assert saved == {
        **policy,
        "id": saved["id"],
        "name": "domestic",
        "version": 1,
        "active": True,
        "fences": [
            {**fence, "kind": "DISTANCE", "limit": "450.5"},
            {**fence, "kind": "TAGS", "tags": ["item:frozen"], "forbid": True},
            {**fence, "kind": "BLOCKED", "locations": [{"code": "SN"}]},
        ],
    }
    query = f"query ($id: ID!) {{ node(id: $id) {{ ... on RoutingPolicy {{ {POLICY} }} }} }}"
    assert await house.ask(Role.OPERATIONS, query, id=saved["id"]) == saved


async def test_a_name_saved_anew_makes_the_next_version_and_the_earlier_one_can_still_be_read(house: House) -> None:
    first = await save(house, "mine", condition="channel == 'web'")
    second = await save(house, "mine", condition="channel == 'app'")
    assert [(each["version"], each["active"]) for each in (first, second)] == [(1, True), (2, True)]
    query = "query ($id: ID!) { node(id: $id) { ... on RoutingPolicy { version active condition } } }"
    earlier = await house.ask(Role.OPERATIONS, query, id=first["id"])
    assert earlier == {"version": 1, "active": False, "condition": "channel == 'web'"}


async def test_a_version_that_is_not_activated_waits_beside_the_one_in_force(house: House) -> None:
    await save(house, "mine")
    draft = await save(house, "mine", activate=False)
    assert (draft["version"], draft["active"]) == (2, False)
    assert [each for each in await listed(house) if each[0] == "mine"] == [("mine", 1, True), ("mine", 2, False)]
    await save(house, "mine")
    assert [each for each in await listed(house) if each[0] == "mine"] == [("mine", 3, True)]


async def test_the_highest_priority_is_asked_first_then_the_first_by_name(house: House) -> None:
    for name, priority in (("b", 100), ("low", 1), ("a", 100), ("high", 1_000_000)):
        await save(house, name, priority=priority)
    active = [name for name, _, in_force in await listed(house) if in_force]
    assert active == ["high", "a", "b", "low", "cheapest"]


async def test_a_preset_is_put_in_force_by_its_name(house: House) -> None:
    saved = await save(house, "greenest", ratings=[])
    assert (saved["version"], saved["active"]) == (2, True)
    kinds = [(rating["kind"], rating["weight"]) for rating in saved["ratings"]]
    assert kinds == [(rating.kind, str(rating.weight)) for rating in PRESETS["greenest"].ratings]
    assert [each for each in await listed(house) if each[0] == "greenest"] == [("greenest", 2, True)]
    query = "query ($id: ID!) { node(id: $id) { ... on RoutingPolicy { version active } } }"
    first = next(
        row["id"] for row in await house.ask(Role.ADMIN, "{ routingPolicies { id name } }") if row["name"] == "fastest"
    )
    assert await house.ask(Role.OPERATIONS, query, id=first) == {"version": 1, "active": False}


async def test_what_is_saved_at_once_makes_one_version_each(house: House) -> None:
    saved = await asyncio.gather(*(save(house, "mine", priority=n) for n in range(1, 6)))
    assert sorted(each["version"] for each in saved) == [1, 2, 3, 4, 5]
    assert len([each for each in await listed(house) if each[0] == "mine" and each[2]]) == 1


async def test_each_mistake_is_told_with_its_place(house: House) -> None:
    for path, wrong in (
        (["name"], {"name": " "}),
        (["priority"], {"priority": 0}),
        (["ratings"], {"ratings": []}),
        (["condition"], {"condition": "total >"}),
        (["fences", "1", "limit"], {"fences": [{"kind": "OPENING_HOURS"}, {"kind": "DISTANCE"}]}),
        (["fences", "0", "locationIds", "0"], {"fences": [{"kind": "BLOCKED", "locationIds": ["nowhere"]}]}),
        (["fences", "0", "tags", "0"], {"fences": [{"kind": "TAGS", "tags": [""]}]}),
        (["ratings", "0", "weight"], {"ratings": [{"kind": "CO2", "weight": "-1"}]}),
        (["ratings", "0", "tags", "0"], {"ratings": [{"kind": "PREFERENCE", "weight": "1", "tags": ["a" * 65]}]}),
        (["respondWithin"], {"respondWithin": "PT1S"}),
        (["collectWithin"], {"collectWithin": "P1000D"}),
    ):
        told = await save(house, "mine", **wrong) if "name" not in wrong else await save(house, " ")
        assert (told["__typename"], told["path"]) == ("InvalidInputError", path), told
    assert "mine" not in {name for name, _, _ in await listed(house)}


async def test_a_mistake_in_a_condition_is_told_with_its_line_and_column(house: House) -> None:
    told = await save(house, "mine", condition="channel == 'web' &&\n  chanel == 'app'")
    assert told["message"].startswith("2:3: There is no variable chanel;")


async def test_who_keeps_refusing_is_charged_for_its_record_once_that_is_known(house: House) -> None:
    ratings = [{"kind": "SHIPPING", "weight": "1"}, {"kind": "REJECTION", "weight": "50"}]
    await save(house, "by record", priority=1000, ratings=ratings)

    async def offered(key: str) -> dict[str, Any]:
        order = await house.place(key, [("mug", 1)], level="STANDARD")
        (work,) = await house.work(order["id"])
        return work

    first = await offered("first")
    place = first["location"]["code"]
    for key in ("second", "third"):
        work = await offered(key)
        assert work["location"]["code"] == place
        await house.do("rejectAssignment", work["id"], arguments=", reason: TOO_BUSY", role=Role.OPERATIONS)
    assert house.gateway is not None
    await house.gateway.networks.learn()
    assert (await offered("last"))["location"]["code"] != place


async def test_a_markdown_sells_where_the_item_sat(house: House) -> None:
    house.clock[0] += timedelta(days=56)
    markdown = [*CHEAP, {"kind": "MARKDOWN", "weight": "10"}]

    async def adjust(sku: str, code: str, *deltas: int) -> None:
        query = """mutation ($sku: String!, $at: ID!, $delta: Int!, $key: String!) { adjustStock(
            sku: $sku, locationId: $at, delta: $delta, reason: ADJUSTED, idempotencyKey: $key) { __typename } }"""
        for delta in deltas:
            house.clock[0] += timedelta(seconds=1)
            key = f"{sku} {code} {delta}"
            told = await house.ask(Role.OPERATIONS, query, sku=sku, at=house.ids[code], delta=delta, key=key)
            assert told == {"__typename": "StockLevel"}

    async def becomes(code: str) -> None:
        """Wait until who looks at a mug is offered one from there; the first look makes the gateway read."""
        async with asyncio.timeout(30):
            while True:
                found = await house.options(("mug", 1), methods=["DELIVERY"], levels=["STANDARD"])
                if found["options"][0]["parcels"][0]["location"]["code"] == code:
                    return
                await asyncio.sleep(0.05)

    for code, units in (("WB", 50), ("SM", 4)):
        await adjust("mug", code, -units, units)  # what lies there has just come
    await adjust("mug", "SN", 1)  # and of these but one
    await save(house, "what sits", priority=1000, ratings=markdown)
    await becomes("SN")
    order = await house.place("order", [("mug", 1)], level="STANDARD")
    assert [work["location"]["code"] for work in await house.work(order["id"])] == ["SN"]
    house.clock[0] += timedelta(minutes=10)
    await becomes("WH")  # which is dearer, and sold nothing

    await adjust("lamp", "WB", -5, 5)
    await adjust("lamp", "SN", -1)
    query = """query ($input: FulfillmentOptionsInput!, $policy: RoutingPolicyInput) {
        simulateRouting(input: $input, policy: $policy) {
            ... on RoutingSimulation { parcels { location { code } } } } }"""
    cart = {"lines": [{"sku": "lamp", "quantity": 1}], "destination": BERLIN, "levels": ["STANDARD"]}
    for ratings, code in ((CHEAP, "WB"), (markdown, "WH")):
        policy = {"name": "another", "fences": [], "ratings": ratings}
        found = await house.ask(Role.OPERATIONS, query, input=cart | {"methods": ["DELIVERY"]}, policy=policy)
        assert [parcel["location"]["code"] for parcel in found["parcels"]] == [code]
