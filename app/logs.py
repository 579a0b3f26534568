"""What the process says: structlog throughout, on the standard error, for people or for machines, without secrets."""

import logging
import re
import sys

import structlog
from structlog.dev import plain_traceback
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from app.settings import LogFormat, Settings

SECRET_KEYS = frozenset({"authorization", "database_url", "dsn", "password", "secret", "token"})
_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@\s]*(?=@)")
_TOKEN = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*|\bcdk_[\w-]+|\bwhsec_[\w+/=-]+")
_PLAIN = ExceptionDictTransformer(show_locals=False)
"""Locals hold tokens and shoppers: no traceback shows them."""
QUIET = ("alembic", "asyncio", "httpx", "uvicorn", "websockets")  # worth hearing when they warn
SILENT = ("asyncpg.pool",)  # it tells of an outage with a traceback each time, which we tell in a line


def configure(settings: Settings) -> None:
    """Send what structlog and the standard library log through one chain, at the level and in the format set."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    machine = settings.log_format is LogFormat.JSON
    rendering: list[Processor] = (
        [structlog.processors.ExceptionRenderer(_PLAIN), structlog.processors.JSONRenderer()]
        if machine
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain_traceback)]
    )
    formatter = _MaskingFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_secret_keys, *rendering],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.root.handlers = [handler]
    logging.root.setLevel(settings.log_level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)


def _without_secret_keys(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: "***" if key.lower() in SECRET_KEYS else value for key, value in event.items()}


class _MaskingFormatter(structlog.stdlib.ProcessorFormatter):
    """Mask tokens, keys, and the passwords of URLs, wherever they stand: tracebacks hold them too."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without them."""
        return _TOKEN.sub("***", _PASSWORD.sub(r"\1:***", super().format(record)))
