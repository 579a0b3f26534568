"""Trusted documents: the manifest that a client's build writes, Apollo's or Relay's, read once at the start."""

from pathlib import Path
from typing import Any

import orjson
from graphql import GraphQLError

from app.documents import Documents
from app.settings import SetupError

APOLLO = "apollo-persisted-query-manifest"


def manifest(path: Path) -> dict[str, str]:
    """Return the texts of a manifest by their ids. Raises SetupError.

    Apollo's lists `operations`, each with its `id` and `body`; Relay's maps each id to its text.
    """
    try:
        data: Any = orjson.loads(path.read_bytes())
    except OSError as error:
        raise SetupError(f"cannot read the trusted documents in {path}: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise SetupError(f"the trusted documents in {path} are not JSON: {error}") from None
    try:
        if "operations" in data:
            if (data.get("format"), data.get("version")) != (APOLLO, 1):
                raise SetupError(f"the trusted documents in {path} are not of the format {APOLLO}, version 1")
            data = {each["id"]: each["body"] for each in data["operations"]}
        texts = dict(data.items())
    except (AttributeError, TypeError, KeyError):
        texts = {"": None}
    if not all(isinstance(text, str) and id_ for id_, text in texts.items()):
        raise SetupError(f"the trusted documents in {path} are neither Apollo's manifest nor Relay's: ids and texts")
    return texts


def check(documents: Documents) -> None:
    """Raise SetupError where a trusted document cannot run on this schema."""
    for id_, text in documents.trusted.items():
        error: GraphQLError | None = next(iter(documents.read(text).errors), None)
        if error is not None:
            raise SetupError(f"the trusted document {id_} cannot run: {error.message}")
