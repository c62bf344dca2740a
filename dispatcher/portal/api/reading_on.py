"""Reading what other portals wrote a moment ago, for as long as somebody can be kept waiting."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from dispatcher.errors import KafkaUnavailable
from dispatcher.kafka.compacted import NoLongerFollowing

_SECONDS = 5.0

log = structlog.get_logger()


async def read_on(catch_up: Callable[[], Awaitable[None]]) -> bool:
    """Whether everything has been read that was written before the call; what is known may be shown in any case."""
    try:
        async with asyncio.timeout(_SECONDS):
            await catch_up()
    except (TimeoutError, KafkaUnavailable, NoLongerFollowing) as error:
        log.warning("what others wrote a moment ago is not known", error=repr(error))
        return False
    return True
