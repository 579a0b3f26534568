"""What the tests of the API stand on."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from domain import inventory
from tests.api.house import House, furnish, know, opened


@pytest.fixture
async def house(furnished_dsn: str) -> AsyncIterator[House]:
    """A gateway with a small network. However a test goes, in the end the books have to agree."""
    async with opened(furnished_dsn) as house:
        await know(house)
        yield house
        async with house.gateway.database.reading() as connection:
            assert await inventory.check(connection) == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_house(shared_dsn: str) -> AsyncIterator[House]:
    """A house for all the tests of a module, which change nothing that another of them counts on."""
    async with opened(shared_dsn) as house:
        await furnish(house)
        yield house
        async with house.gateway.database.reading() as connection:
            assert await inventory.check(connection) == []
