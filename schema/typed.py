"""Expected errors: raised in the domain, returned as members of a mutation's union."""

from typing import Any

from strawberry.extensions import FieldExtension
from strawberry.extensions.field_extension import AsyncExtensionResolver
from strawberry.types.field import StrawberryField
from strawberry.types.union import StrawberryUnion

from domain.errors import DomainError
from domain.transaction import Deadlock
from schema.context import Info
from schema.errors import shown


class Typed(FieldExtension):
    """Answers with the typed error where the domain raised the fact; begins again where two waited for each other.

    Where the answer is no union, the fact is told as an error at the top.
    """

    def apply(self, field: StrawberryField) -> None:
        """Look whether the field has typed errors to answer with."""
        self._typed = isinstance(field.type, StrawberryUnion)

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Info, **kwargs: Any) -> Any:  # noqa: ANN401
        for last in (False, False, True):
            try:
                return await next_(source, info, **kwargs)
            except DomainError as error:
                if not self._typed:
                    raise
                return shown(error)
            except Deadlock:  # the other transaction went on; this one left nothing behind, so it may be done again
                if last:
                    raise
        return None
