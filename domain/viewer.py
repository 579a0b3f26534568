"""Who is calling, and whose work they may see."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from domain.errors import NotFound
from domain.vocabulary import Role

FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """The bearer of a token. `location_codes` are the token's; `location_ids` those of them that exist.

    `scopes` are the root fields it opens; None for all that its role may use. `api_key` tells keys of one name apart.
    """

    role: Role
    name: str
    expires_at: datetime
    location_codes: frozenset[str] = frozenset()
    location_ids: frozenset[UUID] = frozenset()
    scopes: frozenset[str] | None = None
    api_key: UUID | None = None

    def may_use(self, field: str) -> bool:
        """Say whether the viewer's scopes open a root field, by its name in the schema."""
        return self.scopes is None or field in self.scopes

    def authority(self) -> Self:
        """Return the viewer without its name and its token: those that are equal may see the same."""
        return replace(self, name="", expires_at=FOREVER, location_codes=frozenset(), api_key=None)

    def works_at(self, location_id: UUID) -> bool:
        """Say whether the viewer sees and does the work of a location."""
        if self.role is Role.STORE:
            return location_id in self.location_ids
        return self.role in {Role.OPERATIONS, Role.ADMIN}

    def must_work_at(self, location_id: UUID) -> None:
        """Raise NotFound where the viewer may not know of the location's work."""
        if not self.works_at(location_id):
            raise NotFound(message="There is no such location.", path=("locationId",))
