"""GraphQL over HTTP, as the audit of the `graphql-http` package asks for it: every check, on the whole gateway."""

import asyncio
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app import auth
from app.main import create_app
from app.settings import Settings
from domain.vocabulary import Role
from tests.api.serve import serving
from tests.node import installed

FOLDER = Path(__file__).parent / "audit"
SECRET = "a secret for the tests, which is long enough"
CHECKS = 61


async def test_the_gateway_passes_every_check_of_the_audit(dsn: str) -> None:
    folder = installed(FOLDER)
    settings = Settings(secret=SECRET, database_url=dsn)  # type: ignore[call-arg, arg-type]
    token = auth.issue(SECRET, role=Role.ADMIN, name="Ada", ttl=timedelta(hours=1), now=datetime.now(UTC))
    async with serving(create_app(settings, dsn)) as address:
        command = [shutil.which("node") or "node", "audit.mjs", f"http://{address}/graphql", token]
        audit = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        told, _ = await asyncio.wait_for(audit.communicate(), timeout=60)
    print(told.decode())  # noqa: T201 - `make audit` shows it
    assert told.decode().splitlines()[-1:] == [f"{CHECKS}/{CHECKS}"], told.decode()
