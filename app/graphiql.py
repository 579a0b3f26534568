"""GraphiQL: the page to try the API in, whole from here, so that it works without the internet."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parent / "static"
PAGE = STATIC / "graphiql.html"
FOLDER = "graphiql-5.4.0"

HEADERS = {
    "Cache-Control": "no-cache",
    # GraphiQL sets styles in the document, and brings its pictures and some of its fonts within its stylesheet.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def is_wanted(request: Request) -> bool:
    """Say whether a browser asks for the page rather than for an answer."""
    return (
        request.method == "GET"
        and "query" not in request.query_params
        and "text/html" in request.headers.get("accept", "")
    )


def page() -> Response:
    """Return the page. It is open to all: what is asked on it takes a token."""
    return FileResponse(PAGE, media_type="text/html", headers=HEADERS)


class _Assets(StaticFiles):
    """Files that never change: their folder names their version."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, to be kept for a year."""
        response = await super().get_response(path, scope)
        if response.status_code == 200:  # noqa: PLR2004 - OK
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def assets() -> Mount:
    """Return the route of the page's files."""
    return Mount(f"/static/{FOLDER}", _Assets(directory=STATIC / FOLDER), name="static")
