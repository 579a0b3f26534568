"""GraphQL over HTTP, as the audit of the `graphql-http` package asks for it: every check, on the whole gateway."""

import asyncio
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app import auth
from app.main import create_app
from app.settings import Settings
from domain.vocabulary import Role
from tests.api.serve import serving

FOLDER = Path(__file__).parent / "audit"
SECRET = "a secret for the tests, which is long enough"
CHECKS = 61


def installed() -> Path:
    """Return the folder of the audit, its packages at the versions of its lock file; skip where they cannot be had."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("the audit needs node and npm")
    if not (FOLDER / "node_modules" / ".package-lock.json").exists():
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            if "EINTEGRITY" in done.stderr or "EUSAGE" in done.stderr:
                pytest.fail(done.stderr)
            pytest.skip(f"the audit's packages cannot be had: {done.stderr.strip().splitlines()[-1:]}")
    return FOLDER


async def test_the_gateway_passes_every_check_of_the_audit(dsn: str) -> None:
    folder = installed()
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
