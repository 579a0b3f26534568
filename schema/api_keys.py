"""Keys for machines."""

from datetime import datetime
from typing import Annotated, TypeAlias

import strawberry

from domain.api_keys import ApiKeyRow, ApiKeyWish
from domain.vocabulary import Role
from schema.context import Info
from schema.errors import InvalidInputError, NotFoundError
from schema.network import Location
from schema.paging import Node, global_id
from schema.permission import SETTINGS, edge


@strawberry.type(description="How a machine says who it is: a bearer token that lives until it expires or is revoked.")
class ApiKey(Node):
    row: strawberry.Private[ApiKeyRow]
    name: str = strawberry.field(description="Whose it is.")
    role: Role
    scopes: list[str] | None = strawberry.field(
        description="The root fields it opens; null: all that its role may use."
    )
    secret: str | None = strawberry.field(description="The key itself, shown once, when it is made.")
    created_by: str
    created_at: datetime
    expires_at: datetime | None = strawberry.field(description="Null: never.")
    revoked_at: datetime | None = strawberry.field(description="It opens nothing any more seconds after it.")
    last_used_at: datetime | None = strawberry.field(description="To the minute.")

    @edge(allow=SETTINGS, hidden=list, description="Where a STORE's key works; empty for other roles.")
    async def locations(self, info: Info) -> list[Location]:
        network = await info.context.network()
        known = [network.id_by_code[code] for code in self.row.location_codes if code in network.id_by_code]
        return [Location.of(network.locations[each]) for each in known]

    @classmethod
    def of(cls, row: ApiKeyRow, *, secret: str | None = None) -> "ApiKey":
        return cls(
            id=global_id("ApiKey", row.id),
            row=row,
            name=row.name,
            role=Role(row.role),
            scopes=row.scopes,
            secret=secret,
            created_by=row.created_by,
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
        )


@strawberry.input(description="A key to make.")
class ApiKeyInput:
    name: str
    role: Role
    location_codes: list[str] = strawberry.field(
        default_factory=list, description="For a STORE: the locations whose work it does."
    )
    scopes: list[str] | None = strawberry.field(
        default=None, description="Names of root fields (fulfillmentOptions); left out: all that the role may use."
    )
    expires_at: datetime | None = None

    def value(self) -> ApiKeyWish:
        return ApiKeyWish(
            name=self.name,
            role=self.role,
            location_codes=self.location_codes,
            scopes=self.scopes,
            expires_at=self.expires_at,
        )


ApiKeyResult: TypeAlias = Annotated[ApiKey | NotFoundError | InvalidInputError, strawberry.union("ApiKeyResult")]
