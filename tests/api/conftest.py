"""What the tests of the API stand on."""

from collections.abc import AsyncIterator

import pytest

from domain import inventory
from tests.api.house import House, furnish, opened


@pytest.fixture
async def house(dsn: str) -> AsyncIterator[House]:
    """A gateway with a small network. However a test goes, in the end the books have to agree."""
    async with opened(dsn) as house:
        await furnish(house)
        yield house
        async with house.gateway.database.reading() as connection:
            assert await inventory.check(connection) == []
