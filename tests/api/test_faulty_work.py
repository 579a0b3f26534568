"""Steps that cannot be taken: out of turn, with other lines than the assignment's, without the pickup code."""

from datetime import timedelta

from domain.vocabulary import Role
from tests.api.faults import LONG, STEPS, each, put, refused, unchanged, verdict
from tests.api.house import House

REPORTS = {
    "lines": ([],),
    "lines.0.lineId": ("", "unknown", "$foreign", "$assignment"),
    "lines.0.picked": (-1, 3, 2**31 - 1),
    "lines > lines.1.lineId": ([{"lineId": "$line", "picked": 2}, {"lineId": "$line", "picked": 1}],),
}


async def test_a_step_out_of_turn_is_refused_with_the_steps_that_are_allowed(house: House) -> None:
    work = (await house.work((await house.place("early", [("rug", 1)]))["id"]))[0]
    for step in set(STEPS) - {"acceptAssignment", "rejectAssignment"}:
        arguments = STEPS[step].removeprefix("id: $id").replace("$id", f'"{work["lines"][0]["id"]}"')
        async with unchanged(house):
            error = await house.do(step, work["id"], "WH", arguments=arguments)
        assert verdict(error) == ("ActionNotAllowedError", "ACTION_NOT_ALLOWED", "id")
        assert (error["found"], error["allowed"]) == ("OFFERED", ["ACCEPT", "REJECT"])
    async with unchanged(house):
        stale = await house.do("acceptAssignment", work["id"], "WH", arguments=", expectedVersion: 7")
        noted = await house.do("rejectAssignment", work["id"], "WH", arguments=f', reason: OTHER, note: "{LONG}"')
    assert (*verdict(stale), stale["currentVersion"]) == (
        "VersionConflictError",
        "VERSION_CONFLICT",
        "expectedVersion",
        1,
    )
    assert verdict(noted) == ("InvalidInputError", "INVALID_INPUT", "note")


async def test_what_is_reported_as_picked_has_been_asked_for(house: House) -> None:
    foreign = (await house.work((await house.place("foreign", [("rug", 1)]))["id"]))[0]["lines"][0]["id"]
    work = (await house.work((await house.place("picked", [("rug", 2)]))["id"]))[0]
    for step in ("acceptAssignment", "startPicking"):
        await house.do(step, work["id"], "WH")
    known = {"$line": work["lines"][0]["id"], "$foreign": foreign, "$assignment": work["id"]}
    for place, value, told in each(REPORTS):
        lines = put({"lines": [{"lineId": "$line", "picked": 1}]}, place, value)["lines"]
        lines = [{**line, "lineId": known.get(line["lineId"], line["lineId"])} for line in lines]
        signature, arguments = "$id: ID!, $lines: [PickedLineInput!]!", "id: $id, lines: $lines"
        error = await refused(house, "reportPicked", signature, arguments, id=work["id"], lines=lines)
        assert verdict(error) == ("InvalidInputError", "INVALID_INPUT", told)
    async with unchanged(house):
        assert verdict(await house.do("packAssignment", work["id"], "WH"))[0] == "InvalidInputError"


async def test_after_five_wrong_pickup_codes_the_right_one_has_to_wait(house: House) -> None:
    order = await house.place("pickup", [("pen", 1)], method="PICKUP", pickupLocationId=house.ids["SM"])
    work = (await house.work(order["id"]))[0]
    picked = f', lines: [{{ lineId: "{work["lines"][0]["id"]}", picked: 1 }}]'
    for step, arguments in (("acceptAssignment", ""), ("startPicking", ""), ("reportPicked", picked)):
        await house.do(step, work["id"], "SM", arguments=arguments)
    for step in ("packAssignment", "markReadyForPickup"):
        await house.do(step, work["id"], "SM")
    code = (await house.order(order["id"], "pickupCode"))["pickupCode"]
    for left, wrong in zip((4, 3, 2, 1, 0, 0), ("", "é", "\u2028", "x" * 10_000, f"{code} ", code), strict=True):
        error = await house.do("collectAssignment", work["id"], "SM", arguments=f', pickupCode: "{wrong}"')
        assert verdict(error) == ("InvalidPickupCodeError", "INVALID_PICKUP_CODE", "pickupCode")
        assert (error["attemptsLeft"], error["lockedUntil"] is None) == (left, left > 0)
    house.clock[0] += timedelta(minutes=16)
    done = await house.do("collectAssignment", work["id"], "SM", arguments=f', pickupCode: "{code}"')
    assert done["status"] == "COLLECTED"


async def test_a_status_that_is_set_twice_is_changed_once(house: House) -> None:
    query = """mutation ($id: ID!) { setLocationStatus(id: $id, status: SUSPENDED) {
        ... on Location { status version } } }"""
    first = await house.ask(Role.ADMIN, query, id=house.ids["SN"])
    async with unchanged(house):
        assert await house.ask(Role.ADMIN, query, id=house.ids["SN"]) == first
    assert first == {"status": "SUSPENDED", "version": 2}
