"""Orders that shoppers have, stores that take them back, and the steps of a return over the API."""

from typing import Any

from domain.vocabulary import Role
from tests.api.house import ERROR, House
from tests.api.test_shipments import hand_over, packed, record

RETURN = """id number status method version allowedActions labelUrl trackingNumber requestedAt receivedAt expiresAt
    refund { amount currency } price { amount } order { number }
    announcedLocation { code } receivedLocation { code } timeline { message }
    lines { id sku quantity reason condition disposition explanation transferTo { code } refund { amount } }"""
ANSWER = f"""{{ __typename ... on Return {{ {RETURN} }} {ERROR}
    ... on ActionNotAllowedError {{ found: status allowed: allowedActions }} }}"""
REQUEST = f"""mutation ($order: ID!, $lines: [ReturnLineInput!]!, $method: ReturnMethod!, $at: ID, $key: String!) {{
    requestReturn(orderId: $order, lines: $lines, method: $method, locationId: $at, idempotencyKey: $key) {ANSWER} }}"""
INSPECT = f"mutation ($id: ID!, $lines: [InspectedLineInput!]!) {{ inspectReturn(id: $id, lines: $lines) {ANSWER} }}"
REGISTER = f"mutation ($input: RegisterReturnInput!) {{ registerReturn(input: $input) {ANSWER} }}"
POLICY = (
    """mutation ($input: ReturnPolicyInput!, $version: Int) {
    saveReturnPolicy(input: $input, expectedVersion: $version) { __typename
        ... on ReturnPolicy { id name channels itemTags days autoApprove carrierPrice { amount } inStorePrice { amount }
                              deductions { condition share } priority version }
        ... on VersionConflictError { currentVersion } """
    f"{ERROR} }} }}"
)
OPTIONS = """query ($order: ID!, $lines: [ReturnLineInput!], $near: GeoPointInput) {
    returnOptions(orderId: $order, lines: $lines, near: $near) {
        options { method location { code } distanceKm carrierService { code } price { amount } latestBy }
        lines { orderLine { sku } returnable latestBy code message } } }"""


async def open_counters(house: House, *codes: str) -> None:
    """Let locations take returns; both stores and the warehouse of Berlin, unless others are named."""
    for code in codes or ("SM", "SN", "WB"):
        await _serve(house, code, "SHIP", "RETURN", *([] if code.startswith("W") else ["PICKUP"]))


async def close_counter(house: House, code: str) -> None:
    """Let a location take no more returns."""
    await _serve(house, code, "SHIP", "PICKUP")


async def _serve(house: House, code: str, *services: str) -> None:
    saved = await house.ask(
        Role.ADMIN,
        "mutation ($input: LocationInput!) { saveLocation(input: $input) { __typename } }",
        input={"code": code, "services": services},
    )
    assert saved == {"__typename": "Location"}


async def delivered(house: House, *lines: tuple[str, int], key: str = "order") -> dict[str, Any]:
    """Return an order of lines that one location has, which has come to its shopper."""
    order, shipments = await packed(house, *lines, key=key)
    await hand_over(house, order)
    for shipment in shipments:
        assert (await record(house, shipment["trackingNumber"], "DELIVERED"))["status"] == "DELIVERED"
    return order


def wanted(order: dict[str, Any], *quantities: int, reason: str = "CHANGED_MIND") -> list[dict[str, Any]]:
    """Return lines to give back, in the order's own order; 0 leaves one out."""
    return [
        {"orderLineId": line["id"], "quantity": units, "reason": reason}
        for line, units in zip(order["lines"], quantities, strict=True)
        if units
    ]


async def request(
    house: House,
    order: dict[str, Any],
    *quantities: int,
    method: str = "IN_STORE",
    at: str | None = None,
    key: str = "return",
    role: Role = Role.STOREFRONT,
) -> dict[str, Any]:
    place = house.ids[at] if at else None
    answer: dict[str, Any] = await house.ask(
        role, REQUEST, order=order["id"], lines=wanted(order, *quantities), method=method, at=place, key=key
    )
    return answer


async def step(
    house: House, name: str, back: dict[str, Any], arguments: str = "", *locations: str, role: Role | None = None
) -> dict[str, Any]:
    """Take a step as the store of `locations`, else as the office or in another role."""
    query = f"mutation ($id: ID!) {{ {name}(id: $id {arguments}) {ANSWER} }}"
    who = role or (Role.STORE if locations else Role.OPERATIONS)
    answer: dict[str, Any] = await house.ask(who, query, *locations, id=back["id"])
    return answer


async def receive(house: House, back: dict[str, Any], at: str, by: str | None = None) -> dict[str, Any]:
    return await step(house, "receiveReturn", back, f', locationId: "{house.ids[at]}"', by or at)


async def inspect(house: House, back: dict[str, Any], *said: dict[str, Any], by: str = "SM") -> dict[str, Any]:
    """Say of the return's lines, in their order, what is found."""
    lines = [{"lineId": line["id"], **each} for line, each in zip(back["lines"], said, strict=True) if each]
    answer: dict[str, Any] = await house.ask(Role.STORE, INSPECT, by, id=back["id"], lines=lines)
    return answer


async def register(house: House, at: str, *lines: tuple[str, int], **more: Any) -> dict[str, Any]:
    """Show goods at a store's counter."""
    shown = [{"sku": sku, "quantity": units, "reason": "OTHER"} for sku, units in lines]
    given = {"idempotencyKey": "shown", "locationId": house.ids[at], "lines": shown, **more}
    answer: dict[str, Any] = await house.ask(Role.STORE, REGISTER, at, input=given)
    return answer


async def save_policy(house: House, version: int | None = None, **policy: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await house.ask(Role.ADMIN, POLICY, input={"name": "standard", **policy}, version=version)
    return answer
