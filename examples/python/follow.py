"""Follow the orders with gql, losing no update: `python follow.py`."""

import asyncio
import json
import os
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

URL = os.environ.get("CROSSDOCK_URL", "http://127.0.0.1:8000/graphql")
TOKEN = os.environ["CROSSDOCK_TOKEN"]  # crossdock token --role OPERATIONS
AGAIN_SECONDS = 1

# The cursor is selected before the list, so whatever happens after the list was read is an update after the cursor.
SCREEN = "query { updatesCursor orders(first: 20) { edges { node { id number status } } } }"
UPDATES = """subscription ($after: Cursor) {
  orderUpdates(after: $after) { cursor kind order { id number status } }
}"""


def socket() -> WebsocketsTransport:
    """Return a way to the gateway over graphql-transport-ws."""
    return WebsocketsTransport(
        URL.replace("http", "ws", 1),
        init_payload={"authorization": f"Bearer {TOKEN}"},
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )


async def follow() -> None:
    """Show the first screen, then every update after it; come back with the cursor of the last one, or of a ping."""
    after: str | None = None
    while True:
        transport = socket()
        try:
            async with Client(transport=transport) as session:
                if after is None:
                    after = show_screen(await session.execute(GraphQLRequest(SCREEN)))
                updates = GraphQLRequest(UPDATES, variable_values={"after": after})
                async for result in session.subscribe(updates):
                    transport.payloads.pop("ping", None)  # it may be older than this update
                    after = show_update(result["orderUpdates"])
        except TransportQueryError as error:
            transport.payloads.clear()
            if code(error) == "CURSOR_EXPIRED":  # too long away: the first screen is loaded anew
                after = None
            elif code(error) != "UNAVAILABLE":
                raise
        except (TransportError, OSError):
            pass
        # While nothing happens that the subscription is about, its cursor moves on with the gateway's pings.
        after = (transport.payloads.get("ping") or {}).get("cursor", after)
        await asyncio.sleep(AGAIN_SECONDS)


def code(error: TransportQueryError) -> str | None:
    """Return `extensions.code` of the first error."""
    (first, *_) = error.errors or [{}]
    found: str | None = first.get("extensions", {}).get("code")
    return found


def show_screen(screen: dict[str, Any]) -> str:
    """Print the orders there are; return the cursor they stand at."""
    numbers = [edge["node"]["number"] for edge in screen["orders"]["edges"]]
    print(json.dumps({"screen": numbers, "cursor": screen["updatesCursor"]}), flush=True)
    return str(screen["updatesCursor"])


def show_update(update: dict[str, Any]) -> str:
    """Print an update; return its cursor."""
    order = update["order"]
    told = {"cursor": update["cursor"], "kind": update["kind"], "number": order["number"], "status": order["status"]}
    print(json.dumps(told), flush=True)
    return str(update["cursor"])


if __name__ == "__main__":
    asyncio.run(follow())
