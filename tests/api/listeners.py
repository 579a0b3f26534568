"""Sockets that speak graphql-transport-ws by hand, so that a test sees each message, and reads when it likes."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets import ConnectionClosed
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from domain.vocabulary import Role
from tests.api.house import House
from tests.api.serve import LITTLE_BYTES

PATIENCE_SECONDS = 10


class Listener:
    """One socket with one subscription."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.pings: list[dict[str, Any]] = []

    async def send(self, **message: object) -> None:
        await self.socket.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        """Return the next message that is no ping; each ping is kept, and answered."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message: dict[str, Any] = json.loads(await self.socket.recv())
                if message["type"] != "ping":
                    return message
                self.pings.append(message)
                await self.send(type="pong")

    async def subscribe(self, query: str, **variables: object) -> None:
        await self.send(type="subscribe", id="1", payload={"query": query, "variables": variables})

    async def updates(self, count: int) -> list[Any]:
        """Return the next so many updates: the value of the one root field of each."""
        return [next(iter((await self.receive())["payload"]["data"].values())) for _ in range(count)]

    async def until(self, cursor: str) -> list[str]:
        """Return the cursors of the updates up to this one."""
        cursors: list[str] = []
        while cursors[-1:] != [cursor]:
            cursors += [update["cursor"] for update in await self.updates(1)]
        return cursors

    async def to_the_end(self) -> tuple[list[Any], int | None, str | None]:
        """Return all updates that still come, and how the server then closes."""
        updates = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            with suppress(ConnectionClosed):
                while True:
                    message = json.loads(await self.socket.recv())
                    if message["type"] == "next":
                        updates += message["payload"]["data"].values()
        return updates, self.socket.close_code, self.socket.close_reason


@asynccontextmanager
async def listening(house: House, role: Role, *locations: str, lazy: bool = False) -> AsyncIterator[Listener]:
    """Yield a socket that has shown its token. A lazy one takes hardly more than what it is made to read."""
    own = socket.socket()
    if lazy:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE_BYTES)
    host, port = house.address.split(":")
    own.connect((host, int(port)))
    own.settimeout(0)
    url, protocols = f"ws://{house.address}/graphql", [Subprotocol("graphql-transport-ws")]
    async with connect(url, subprotocols=protocols, sock=own, max_queue=1 if lazy else 16) as connection:
        listener = Listener(connection)
        await listener.send(type="connection_init", payload={"token": house.token(role, *locations)})
        assert await listener.receive() == {"type": "connection_ack"}
        yield listener
