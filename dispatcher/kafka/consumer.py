"""A consumer that ends when it is told to.

aiokafka's (0.14) waits for the tasks that it cancels. One that is waiting for another task at that moment takes the
cancellation for that task's and goes on for ever; and one that has failed a moment ago passes its cancellation on to
whoever stops the consumer, who seems to have been cancelled himself, and whose connections stay open.
"""

import asyncio
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

# Leaving a group may wait for one that is being joined.
_STOPS_WITHIN_SECONDS = 8.0
_ENDS_WITHIN_SECONDS = 1.0

log = structlog.get_logger()


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """As aiokafka's, but for ``stop``, and that a ``start`` that fails or is cancelled leaves no connection."""

    async def start(self) -> None:
        """Connect to a broker, and join the group if there is one."""
        try:
            await super().start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Leave the group and close the connections, within nine seconds, whatever state everything is in."""
        stopping = asyncio.ensure_future(super().stop())
        await asyncio.wait([stopping], timeout=_STOPS_WITHIN_SECONDS)
        if not stopping.done():
            # It passes this on to the task that did not take the first one to heart.
            stopping.cancel()
            await asyncio.wait([stopping], timeout=_ENDS_WITHIN_SECONDS)
        if not stopping.done() or stopping.cancelled() or stopping.exception() is not None:
            log.debug("a consumer did not stop well; its connections are closed")
            with suppress(KafkaError, OSError):
                await self._client.close()
