"""Who is calling."""

import strawberry

from domain.vocabulary import Role
from schema.network import Location


@strawberry.type(description="A STORE viewer sees and acts on the work of its own locations only.")
class Viewer:
    role: Role
    name: str
    locations: list[Location]
    scopes: list[str] | None = strawberry.field(description="The root fields that are open; null: all of the role's.")
