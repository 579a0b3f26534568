"""A location that keeps public holidays promises nothing for them."""

from domain.vocabulary import Role
from tests.api.house import ERROR, House

SAVE = f"""mutation ($input: LocationInput!) {{ saveLocation(input: $input) {{
    __typename ... on Location {{ publicHolidays }} {ERROR} }} }}"""
GOOD_FRIDAY = "2026-04-03T10:00:00+02:00"


async def keep(house: House, place: str | None) -> None:
    answer = await house.ask(Role.ADMIN, SAVE, input={"code": "SM", "publicHolidays": place})
    assert (answer["__typename"], answer["publicHolidays"]) == ("Location", place)


async def ready(house: House) -> str:
    """When a pickup at Berlin Mitte, ordered on the morning of Good Friday, is ready."""
    found = await house.options(("pen", 1), methods=["PICKUP"], at=GOOD_FRIDAY)
    (option,) = [each for each in found["options"] if each["pickupLocation"]["code"] == "SM"]
    (parcel,) = option["parcels"]
    return str(parcel["readyAt"])


async def test_a_store_is_shut_on_the_public_holidays_of_its_region_until_it_is_told_to_keep_none(house: House) -> None:
    assert await ready(house) == "2026-04-03T09:00:00+00:00", "an hour of handling"
    await keep(house, "DE-BE")
    assert await ready(house) == "2026-04-04T08:00:00+00:00", "it opens on Saturday at nine"
    await keep(house, "US")
    assert await ready(house) == "2026-04-03T09:00:00+00:00", "Good Friday is no holiday of the United States"
    await keep(house, "DE-BE")
    await keep(house, None)
    assert await ready(house) == "2026-04-03T09:00:00+00:00"
