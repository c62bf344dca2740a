"""The Faust app of the matcher: what of Faust is used, and what is switched off.

Faust gives the stream of events: fetching in a thread of its own, rebalances, back-pressure and the commits of what was
acknowledged. Its producer, tables, web server, leader election and monitoring are not used.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.auth import SASLCredentials, SSLCredentials
from faust.sensors.monitor import Monitor
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from mode import CrashingSupervisor

from dispatcher.kafka.clients import HEARTBEAT_MS, MAX_REQUEST_BYTES, METADATA_MAX_AGE_MS, KafkaClients, Membership

COMMIT_SECONDS = 0.1
"""How often acknowledged offsets are committed: after a kill, at most this much is matched again."""

BUFFERED_EVENTS = 512
"""Events that were fetched and wait for the agent."""

_OF_A_PARTITION_AT_ONCE = 100

_BUFFER_POLL_SECONDS = 0.002

Agent = Callable[[Any], Awaitable[None]]


def faust_app(clients: KafkaClients, group: str, member: Membership, topics: Iterable[str], agent: Agent) -> faust.App:
    """An app that runs ``agent`` over the raw records of ``topics``, from the earliest where the group is new."""
    app = _App(
        group,
        broker=[f"kafka://{server.strip()}" for server in clients.bootstrap_servers.split(",")],
        broker_client_id=group,
        broker_credentials=_credentials(clients.security),
        broker_commit_interval=COMMIT_SECONDS,
        broker_session_timeout=member.session_ms / 1000,
        broker_heartbeat_interval=HEARTBEAT_MS / 1000,
        consumer_group_instance_id=member.instance_id,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=MAX_REQUEST_BYTES,
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        stream_buffer_maxsize=BUFFERED_EVENTS,
        # What was taken from the stream is finished before partitions are given up, or the program ends.
        stream_wait_empty=True,
        cython_optimizations=True,
        store="memory://",
        processing_guarantee="at_least_once",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        autodiscover=False,
        # An agent that is started again after an error would acknowledge past what it had in its hands.
        agent_supervisor=CrashingSupervisor,
        Monitor=_NoMonitor,
    )
    app.transport = _Transport(app.conf.broker_consumer, app, loop=asyncio.get_running_loop())
    events = app.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    app.agent(events, name="matcher", concurrency=1)(agent)
    return app


def _credentials(security: dict[str, Any]) -> SASLCredentials | SSLCredentials | None:
    context = security.get("ssl_context")
    if "sasl_mechanism" in security:
        return SASLCredentials(
            username=security["sasl_plain_username"],
            password=security["sasl_plain_password"],
            mechanism=security["sasl_mechanism"],
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None


class _Boot(BootStrategy):
    enable_kafka_producer = False
    enable_web = False


class _App(faust.App):
    BootStrategy = _Boot

    async def on_first_start(self) -> None:
        # Faust would create directories for tables here; there are none.
        return


class _NoMonitor(Monitor):
    # Faust's own keeps and samples the times of every event, which costs more than matching it.

    def on_message_in(self, *_: Any) -> None:
        return

    def on_stream_event_in(self, *_: Any) -> None:
        return

    def on_stream_event_out(self, *_: Any) -> None:
        return

    def on_message_out(self, *_: Any) -> None:
        return

    def track_tp_end_offset(self, *_: Any) -> None:
        return

    def on_tp_commit(self, *_: Any) -> None:
        return


class _ConsumerThread(AIOKafkaConsumerThread):
    async def _fetch_records(
        self, consumer: Any, active_partitions: Any, timeout: float | None = None, max_records: int | None = None
    ) -> Any:
        # Faust's own takes all that has been fetched, thousands of records of an organization that floods: events of
        # others that come meanwhile would wait for the last of them.
        del max_records
        most = _OF_A_PARTITION_AT_ONCE
        taken = await super()._fetch_records(consumer, active_partitions, timeout, most)
        more = taken
        while more and (others := active_partitions - taken.keys()):
            more = await super()._fetch_records(consumer, others, 0, most)
            taken = {**taken, **more}
        return taken


class _Consumer(Consumer):
    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        # Faust's own starts four tasks for every record, so that a full buffer cannot hold up a rebalance, and then
        # looks up anew who wants the record and how it is decoded. Here there is one reader, of raw bytes: the room
        # is waited for before a record is handed on, which then cannot block.
        try:
            while not (self.should_stop or fetcher.should_stop):
                await asyncio.sleep(0)
                await self._hand_on()
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def _hand_on(self) -> None:
        app = self.app
        (events,) = app.topics
        queue = events.queue
        async for partition, message in self.getmany(timeout=1.0):
            read = self._read_offset[partition]
            if read is not None and message.offset < read:
                continue
            if read and message.offset - read > 1:
                await self._add_gap(partition, read + 1, message.offset)
            if queue.full():
                await self._wait_for_room(queue)
            if self.suspend_flow.is_set() or not app.flow_control.is_active():
                break
            message.incref()
            queue.force_put_nowait(faust.Event(app, message.key, message.value, message.headers, message))
            self._read_offset[partition] = message.offset

    async def _wait_for_room(self, queue: Any) -> None:
        while not self.suspend_flow.is_set() and 2 * queue.qsize() > queue.maxsize:  # noqa: ASYNC110
            # Faust's queues tell nobody that they have room again.
            await asyncio.sleep(_BUFFER_POLL_SECONDS)

    async def on_partitions_revoked(self, revoked: Any) -> None:
        # Faust's own begins by forgetting what was acknowledged since the last commit: it would be matched again.
        await self.commit()
        await super().on_partitions_revoked(revoked)

    async def verify_all_partitions_active(self) -> None:
        # The diagnosis rests on the monitor; how far behind the matcher is shows in the group's lag.
        return


class _Transport(Transport):
    Consumer = _Consumer
