"""Logs: structlog and the standard library's loggers in one stream, for people on a terminal or as JSON lines."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

from dispatcher.settings import Settings

# What these say at "info" is of use only to their own authors; the matcher's Faust app logs under our module's name.
_CHATTY = (
    *("aiokafka", "faust", "mode", "aiohttp.access", "asyncio", "urllib3", "clickhouse_connect"),
    "dispatcher.matching.faust_app",
)

# Said as errors or warnings although nothing is wrong: a coordinator that is just being found, a commit every 0.1 s.
_HARMLESS = ("Group Coordinator Request failed: [Error 15]", "Timer commit is overlapping")

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.StackInfoRenderer(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send every log to ``stream`` (standard error); call it once, before the first role is built.

    ``LOG_FORMAT`` decides the form, or whether the stream is a terminal. Our own logs appear from ``LOG_LEVEL`` on,
    the libraries' from warnings on, unless the level is ``debug``.
    """
    stream = stream or sys.stderr
    console = settings.log_format == "console" or (settings.log_format is None and stream.isatty())
    level = getattr(logging, settings.log_level.upper())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[ProcessorFormatter.remove_processors_meta, *_rendering(console, colors=stream.isatty())],
        )
    )
    handler.addFilter(lambda record: level == logging.DEBUG or not _is_harmless(record))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(level if level == logging.DEBUG else max(level, logging.WARNING))
    structlog.configure(
        processors=[*_SHARED, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


@contextmanager
def kafka_client_silenced(settings: Settings) -> Iterator[None]:
    """Until a cluster has answered once: what its client logs then is in the one error that ends the command."""
    logger = logging.getLogger("aiokafka")
    level = logger.level
    if settings.log_level != "debug":
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _is_harmless(record: logging.LogRecord) -> bool:
    return isinstance(record.msg, str) and record.getMessage().startswith(_HARMLESS)


def _rendering(console: bool, *, colors: bool) -> list[Processor]:
    if console:
        # Plain tracebacks: the others show local variables, and those hold secrets.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=40, exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
