"""What is logged, and what never is."""

import json
import subprocess
import sys

import pytest

TALK = """
import logging, structlog
from app import logs, settings
logs.configure(settings.load())
log = structlog.get_logger("here")
log.debug("too quiet")
log.info("placed", order="A-1", token="hunter2", Authorization="Bearer hunter2")
log.warning("at postgresql://me:hunter2@db/crossdock with eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.c2lnbmF0dXJl")
log.warning("keys cdk_019cb8811c0074d48f1c8c66af1ee7b5_hunter2-hunter2_", signed="whsec_hunter2/+hunter2==")
logging.getLogger("elsewhere").error("to %s", "redis://:hunter2@cache:6379")
try:
    raise RuntimeError("postgresql://me:hunter2@db/crossdock is down")
except RuntimeError:
    log.exception("failed")
"""


def say(**environment: str) -> str:
    told = subprocess.run(
        [sys.executable, "-c", TALK], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout == ""
    return told.stderr


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_secret_is_ever_logged(form: str) -> None:
    told = say(CROSSDOCK_LOG_FORMAT=form)
    assert "A-1" in told
    assert "cache:6379" in told
    assert "RuntimeError" in told
    assert "hunter2" not in told
    assert "eyJ" not in told


def test_machines_read_one_object_a_line() -> None:
    lines = [json.loads(line) for line in say(CROSSDOCK_LOG_FORMAT="json").splitlines()]
    assert [line["level"] for line in lines] == ["info", "warning", "warning", "error", "error"]
    assert {line["logger"] for line in lines} == {"here", "elsewhere"}


def test_the_level_is_a_setting() -> None:
    assert "placed" not in say(CROSSDOCK_LOG_LEVEL="warning")
    assert "too quiet" in say(CROSSDOCK_LOG_LEVEL="debug")
