"""Looking at a cluster's topics and changing them, with Kafka's own requests."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String
from aiokafka.structs import OffsetAndMetadata

from dispatcher.errors import ConfigurationError, DispatcherError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.plan import AddPartitions, AlterConfig, Change, Cluster, CreateTopic, Plan, PresentTopic
from dispatcher.kafka.topics import Topics

_ANSWERS_WITHIN = 10.0
_WORKING_WITHIN = 60.0
_LOOK_EVERY = 0.05
_SET = 0
_LATEST = -1
_NO_REPLICA = -1
_UNREACHABLE = (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError, RequestTimedOutError, OSError)


class TopicRefused(DispatcherError):
    """The cluster does not make a change; the message has its reason."""


class _AlterConfigsResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _AlterConfigsStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _AlterConfigsResponse
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(("name", String("utf-8")), ("config_operation", Int8), ("value", String("utf-8"))),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class _AlterConfigs(Request[_AlterConfigsStruct]):  # type: ignore[misc]
    """Kafka's IncrementalAlterConfigs. aiokafka has only its predecessor, which resets what it does not name."""

    API_KEY = 44

    def __init__(self, changes: Iterable[AlterConfig]) -> None:
        self._resources = [
            (
                int(ConfigResourceType.TOPIC),
                change.topic,
                [(name, _SET, value) for name, value in change.wanted.items()],
            )
            for change in changes
        ]

    def build(self, request_struct_class: type[_AlterConfigsStruct]) -> _AlterConfigsStruct:
        return request_struct_class(self._resources, False)


class Administrator(AIOKafkaAdminClient):  # type: ignore[misc]
    """aiokafka's, and the requests that it lacks."""

    async def alter(self, changes: Sequence[AlterConfig]) -> Any:
        """Set the settings of topics."""
        return await self._send_request(_AlterConfigs(changes))

    async def working(self, topics: Sequence[str]) -> dict[str, int]:
        """How many partitions of each topic have a leader that answers for them."""
        led: dict[int, list[tuple[str, list[tuple[int, int]]]]] = {}
        for topic in await self.describe_topics(list(topics)):
            for each in topic["partitions"]:
                if each["leader"] >= 0:
                    led.setdefault(each["leader"], []).append((topic["topic"], [(each["partition"], _LATEST)]))
        numbers = dict.fromkeys(topics, 0)
        for leader, partitions in led.items():
            response = await self._send_request(OffsetRequest(_NO_REPLICA, 0, partitions), leader)
            for topic, answers in response.topics:
                numbers[topic] += sum(not code for _, code, *_ in answers)
        return numbers

    async def committed(
        self, group: str, tps: Collection[TopicPartition] | None = None
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """What a group has committed, of ``tps`` or of all; -1 where it has nothing of one that was asked for.

        aiokafka's ``list_consumer_group_offsets`` passes over the answer's own error: a coordinator that still loads
        the group, as after a restart of its broker, looks like a group that has committed nothing.

        Raises:
            KafkaError: the coordinator does not tell, or not yet.
        """
        by_topic = defaultdict(list)
        for topic, partition in tps or ():
            by_topic[topic].append(partition)
        asked = OffsetFetchRequest(group, None if tps is None else list(by_topic.items()))
        response = await self._send_request(asked, await self.find_coordinator(group))
        _raise_error(response.error_code, group)
        found = {}
        for topic, partitions in response.topics:
            for partition, offset, metadata, code in partitions:
                _raise_error(code, f"{group}, {topic} {partition}")
                found[TopicPartition(topic, partition)] = OffsetAndMetadata(offset, metadata)
        return found

    async def group(self, group: str) -> tuple[str, Sequence[Any]]:
        """The state of a group, and its members as DescribeGroups has them.

        Raises:
            KafkaError: the coordinator does not tell, or not yet; aiokafka alone would show a group without members.
        """
        (response,) = await self.describe_consumer_groups([group])
        ((code, _, state, _, _, members, *_),) = response.groups
        _raise_error(code, group)
        return state, members


def _raise_error(code: int, about: str) -> None:
    if code:
        raise for_code(code)(about)


@asynccontextmanager
async def connected(clients: KafkaClients) -> AsyncIterator[Administrator]:
    """An admin client while the block runs, with Kafka's errors told as ours.

    Raises:
        KafkaUnavailable: no broker answers within 10 s, or none does any more.
        TopicRefused: the cluster refuses a request.
    """
    admin = Administrator(
        bootstrap_servers=clients.bootstrap_servers,
        request_timeout_ms=int(_ANSWERS_WITHIN * 1_000),
        **clients.security,
    )
    try:
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                await admin.start()
        except (KafkaError, OSError) as error:
            raise clients.unavailable(error) from error
        try:
            yield admin
        except _UNREACHABLE as error:
            raise clients.unavailable(error) from error
        except KafkaError as error:
            raise TopicRefused(f"the cluster refuses: {error}") from error
    finally:
        await admin.close()


async def read_cluster(clients: KafkaClients, topics: Topics) -> Cluster:
    """The brokers of a cluster and its topics; the settings of those that are declared.

    Raises:
        KafkaUnavailable: no broker answers within 10 s.
    """
    async with connected(clients) as admin:
        return await _read(admin, {topic.name for topic in topics.declared})


async def _read(admin: Administrator, declared: set[str]) -> Cluster:
    description = await admin.describe_cluster()
    found = [topic for topic in await admin.describe_topics() if not topic["is_internal"] and not topic["error_code"]]
    configs: dict[str, dict[str, str]] = {}
    if resources := [
        ConfigResource(ConfigResourceType.TOPIC, topic["topic"]) for topic in found if topic["topic"] in declared
    ]:
        for response in await admin.describe_configs(resources):
            for code, message, _, name, entries in response.resources:
                if code:
                    raise TopicRefused(f"{name} cannot be looked at: {message or for_code(code).__name__}")
                configs[name] = {entry[0]: entry[1] for entry in entries}
    return Cluster(
        brokers=len(description["brokers"]),
        topics={
            topic["topic"]: PresentTopic(
                partitions=len(topic["partitions"]),
                replication_factor=min((len(each["replicas"]) for each in topic["partitions"]), default=0),
                config=configs.get(topic["topic"], {}),
            )
            for topic in found
        },
    )


async def apply(clients: KafkaClients, plan: Plan, done: Callable[[Change], None] = lambda _change: None) -> None:
    """Make the changes of a plan, in its order; ``done`` hears of each. What was made stays when a later one fails.

    Raises:
        KafkaUnavailable: no broker answers.
        TopicRefused: the cluster does not make a change.
    """
    if not plan.changes:
        return
    created = [change for change in plan.changes if isinstance(change, CreateTopic)]
    grown = [change for change in plan.changes if isinstance(change, AddPartitions)]
    altered = [change for change in plan.changes if isinstance(change, AlterConfig)]
    async with connected(clients) as admin:
        if created:
            await _create(admin, created)
            for made in created:
                done(made)
        for change in grown:
            await admin.create_partitions({change.topic: NewPartitions(change.wanted)})
            done(change)
        if altered:
            response = await admin.alter(altered)
            _raise_refusal("altered", ((name, code, message) for code, message, _, name in response.responses))
            for set_anew in altered:
                done(set_anew)
        await _working(admin, {**{c.topic: c.partitions for c in created}, **{c.topic: c.wanted for c in grown}})


async def _create(admin: Administrator, changes: Sequence[CreateTopic]) -> None:
    response = await admin.create_topics(
        [
            NewTopic(change.topic, change.partitions, change.replication_factor, topic_configs=dict(change.config))
            for change in changes
        ]
    )
    _raise_refusal(
        "created",
        (
            (name, code, message)
            for name, code, message, *_ in response.topic_errors
            # Somebody else applies the same file.
            if code != TopicAlreadyExistsError.errno
        ),
    )


def _raise_refusal(what: str, results: Iterable[tuple[str, int, str | None]]) -> None:
    refusals = [
        f"{name} cannot be {what}: {message or for_code(code).__name__}" for name, code, message in results if code
    ]
    if refusals:
        raise TopicRefused("; ".join(refusals))


async def _working(admin: Administrator, partitions: dict[str, int]) -> None:
    """Return when the new partitions can be used: a leader is known some time before it knows it itself."""
    if not partitions:
        return
    async with asyncio.timeout(_WORKING_WITHIN):
        # Only asking again tells.
        while await admin.working(list(partitions)) != partitions:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_EVERY)


async def check_topics(clients: KafkaClients, topics: Topics) -> None:
    """Before a role starts: every declared topic is there, and those of deliveries have equally many partitions.

    Raises:
        KafkaUnavailable: no broker answers.
        ConfigurationError: a topic is missing, or the numbers of partitions differ.
    """
    async with connected(clients) as admin:
        present = {
            topic["topic"]: len(topic["partitions"])
            for topic in await admin.describe_topics([topic.name for topic in topics.declared])
            if not topic["error_code"]
        }
    missing = [topic.name for topic in topics.declared if topic.name not in present]
    if missing:
        said = f"topic {missing[0]} is" if len(missing) == 1 else f"topics {', '.join(missing)} are"
        raise ConfigurationError(f"{said} missing: run `dispatcher topics apply`")
    numbers = {name: present[name] for name in topics.of_deliveries}
    if len(set(numbers.values())) > 1:
        most = max(numbers.values())
        first = f"set deliveries.partitions in topics.yaml to {most} and " if most > topics.delivery_partitions else ""
        raise ConfigurationError(
            "the topics of deliveries must have equally many partitions, and have "
            + ", ".join(f"{name} {number}" for name, number in numbers.items())
            + f": {first}run `dispatcher topics apply`, or `dispatcher up`, which begins with that"
        )
