"""Those who say something to the gateway of the demo, over HTTP as everybody does."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import structlog

log = structlog.get_logger(__name__)

Json = Mapping[str, Any]


class Refused(Exception):
    """The gateway answered an error."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Someone with a token."""

    http: httpx.AsyncClient
    token: str

    async def ask(self, operation: str, **variables: object) -> Any:  # noqa: ANN401 - any field of the API
        """Return what the operation's one field answers, or raise Refused."""
        response = await self.http.post(
            "/graphql",
            json={"query": operation, "variables": variables},
            headers={"Authorization": f"Bearer {self.token}"},
        )
        answer = response.json()
        if "errors" in answer:
            raise Refused(answer["errors"][0]["message"])
        (said,) = answer["data"].values()
        if isinstance(said, dict) and "message" in said:
            raise Refused(said["message"])
        return said


async def calmly(work: Awaitable[object]) -> None:
    """Do something; what goes wrong is logged and forgotten."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - people go on, whatever happens
        log.debug("demo_refused", error=str(error) or type(error).__name__)
