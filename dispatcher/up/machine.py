"""Everything that `dispatcher up` runs in this process and beside it, in the order in which it starts."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dispatcher.assembly import Assembly, RoleName
from dispatcher.kafka.administration import apply, check_topics, read_cluster
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.embedded import STOP_SECONDS as KAFKA_STOP_SECONDS
from dispatcher.kafka.embedded import EmbeddedKafka
from dispatcher.kafka.plan import plan
from dispatcher.kafka.topics import Topics
from dispatcher.observability import metrics
from dispatcher.observability.event_loop import event_loop_watched
from dispatcher.observability.logs import kafka_client_silenced
from dispatcher.portal.auth import Caller
from dispatcher.recording.http_port import HttpPort
from dispatcher.settings import PREFIX, Settings
from dispatcher.supervision import Part, Service, Supervisor
from dispatcher.up.sender_process import SenderProcess

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """What there is to look at once everything works."""

    assembly: Assembly
    url: str
    clickhouse_port: int | None
    senders: int


async def start_everything(
    supervisor: Supervisor,
    settings: Settings,
    topics: Topics,
    *,
    senders: int,
    say: Say,
    people: Sequence[Caller] = (),
) -> Running:
    """Start a broker where none is configured, then the topics, ClickHouse, every role, and the sender processes.

    ``people`` of a demonstration sign in to the pages at a click.

    Raises:
        DispatcherError: something cannot start.
    """
    if settings.kafka_bootstrap_servers is None:
        say("Starting Apache Kafka")
        kafka = EmbeddedKafka(settings.data_dir, _jars(say), say)
        broker = Part("embedded Kafka", kafka.start, kafka.stop, kafka.wait)
        servers = await supervisor.start(broker, own_seconds=KAFKA_STOP_SECONDS)
        settings = settings.model_copy(update={"kafka_bootstrap_servers": servers})
    assembly = Assembly(settings, KafkaClients(settings), topics)
    with kafka_client_silenced(settings):
        cluster = await read_cluster(assembly.clients, topics)
    await apply(assembly.clients, plan(topics, cluster))
    await check_topics(assembly.clients, topics)

    say("Starting the roles")
    here = [name for name in RoleName if senders == 0 or name is not RoleName.SENDER]
    for foundation in assembly.foundations(RoleName):
        await supervisor.start(foundation)
    clickhouse_port = await _open_clickhouse_port(supervisor, assembly)
    processes = [SenderProcess(number, sender_environment(settings, number)) for number in range(1, senders + 1)]
    beside = {process.name: process for process in processes}
    portal = assembly.portal(people, lambda: {name: process.metrics_url for name, process in beside.items()})
    roles: list[Service[object]] = [
        *(portal if name is RoleName.PORTAL else assembly.role(name) for name in here),
        *processes,
    ]
    metrics.begin((topic.name for topic in topics.declared), here)
    await supervisor.start(event_loop_watched())
    await supervisor.start_all(roles)
    metrics.ready(here)
    return Running(assembly, portal.url, clickhouse_port, senders)


def sender_environment(settings: Settings, number: int) -> dict[str, str]:
    """Our own environment, with what was found or generated here and a sender cannot know."""
    environment = dict(os.environ)
    servers, key = settings.kafka_bootstrap_servers, settings.encryption_key
    instance = settings.kafka_group_instance_id
    networks = ",".join(str(network) for network in settings.allowed_target_networks)
    for name, value in {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "ENCRYPTION_KEY": key.get_secret_value() if key is not None else None,
        "ALLOWED_TARGET_NETWORKS": networks,
        "LOG_LEVEL": settings.log_level,
        "DATA_DIR": str(settings.data_dir),
        # The portal asks each of them, on a free port, and answers for all.
        "HTTP_HOST": "127.0.0.1",
        "METRICS_PORT": "0",
        # Of two members with the same name the broker would have one leave.
        "KAFKA_GROUP_INSTANCE_ID": f"{instance}-{number}" if instance is not None else None,
    }.items():
        if value is not None:
            environment[f"{PREFIX}{name}"] = value
    return environment


async def _open_clickhouse_port(supervisor: Supervisor, assembly: Assembly) -> int | None:
    port = assembly.settings.clickhouse_http_port
    if not assembly.clickhouse.url.embedded or port == 0:
        return None
    opened = HttpPort(assembly.clickhouse, port)
    await supervisor.start(Part("ClickHouse port", opened.start, opened.stop))
    return opened.port


def _jars(say: Say) -> Callable[[int, int], None]:
    """Tells of the first start's download, a tenth at a time."""
    told = 0

    def progress(there: int, needed: int) -> None:
        nonlocal told
        if there < needed and there * 10 // needed > told:
            told = there * 10 // needed
            say(f"Fetching Apache Kafka: {there} of {needed} files")

    return progress
