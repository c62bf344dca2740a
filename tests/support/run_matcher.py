"""A matcher in a process of its own, with one webhook for all alerts: ``python -m tests.support.run_matcher``.

Settings come from the environment. It says ``ready`` when it is, and ends cleanly on SIGTERM.
"""

import asyncio
import contextlib
import signal

from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import load_topics
from dispatcher.matching.matcher import Matcher
from dispatcher.settings import load_settings
from tests.support.matching import a_webhook, following


async def run() -> None:
    settings = load_settings()
    topics = load_topics(settings.topics_file, settings.kafka_prefix)
    matcher = Matcher(KafkaClients(settings), topics, following(a_webhook(EventType.ACTIVE_ALERT)))
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    await matcher.start()
    print("ready", flush=True)
    with contextlib.suppress(asyncio.CancelledError):
        ends = {asyncio.ensure_future(asked.wait()), asyncio.ensure_future(matcher.wait())}
        done, waiting = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        for each in done:
            each.result()
    await matcher.stop()


if __name__ == "__main__":
    asyncio.run(run())
