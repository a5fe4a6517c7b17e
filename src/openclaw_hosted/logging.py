"""Logs: JSON lines in a file or on standard error, credentials blotted out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import structlog

LOG_BYTES: Final = 10_000_000
LOGS_KEPT: Final = 5
BLOT: Final = "[hidden]"
_SECRET_NAME: Final = re.compile(r"(?i)(password|secret|token|api_?key|credential|cookie|authorization)")
_SECRET_VALUE: Final = re.compile(
    r"""(ochs_[\w-]{20,} | \bsk-[\w-]{12,} | (?<=Bearer\ )[\w.~+/-]{8,}=* | (?<=bootstrapToken=)[\w-]{8,} | (?<=://)[^/\s:@]+:[^/\s@]+(?=@))""",
    re.VERBOSE,
)
_QUIET: Final = ("httpx", "httpcore", "aiosqlite", "sqlalchemy.engine", "alembic", "uvicorn", "asyncio")
Event = MutableMapping[str, Any]


def hide_secrets(_logger: object, _method: str, event: Event) -> Event:
    """A structlog processor: values named like a credential, or that look like one, never reach a log."""
    for name, value in event.items():
        if name != "event" and _SECRET_NAME.search(name) and isinstance(value, str):
            event[name] = BLOT
        elif isinstance(value, str):
            event[name] = blotted(value)
    return event


def blotted(text: str) -> str:
    """A text without what looks like a credential."""
    return _SECRET_VALUE.sub(BLOT, text)


@contextmanager
def logging_to(level: str, file: Path | None) -> Iterator[None]:
    """Send all logs to `file`, rotated, or to standard error where it is None, for the length of the block, or of each call of the
    function that it decorates. What logged before logs as before after it."""
    import structlog

    configured = structlog.get_config()
    handler = _handler(file)
    root = logging.getLogger()
    before, level_before = root.handlers[:], root.level
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.handlers[:] = before
        root.setLevel(level_before)
        structlog.configure(**configured)
        handler.close()


def _handler(file: Path | None) -> logging.Handler:
    import logging.handlers

    import structlog

    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8")
        file.chmod(0o600)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return handler
