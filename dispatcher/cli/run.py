"""``dispatcher run``: one or several roles against configured servers."""

import os
import select
import sys
import threading
from collections.abc import Collection
from typing import Annotated

import structlog
import typer

from dispatcher.assembly import NEED_CLICKHOUSE, Assembly, RoleName
from dispatcher.errors import ConfigurationError
from dispatcher.kafka.administration import check_topics
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import load_topics
from dispatcher.observability import metrics
from dispatcher.observability.endpoint import Endpoint
from dispatcher.observability.event_loop import event_loop_watched
from dispatcher.observability.logs import configure_logging, kafka_client_silenced
from dispatcher.settings import Settings, load_settings
from dispatcher.supervision import Part, Supervisor
from dispatcher.supervision import run as run_supervised
from dispatcher.up.sender_process import READY

app = typer.Typer()

log = structlog.get_logger()

_LOOK_EVERY = 1.0


@app.command()
def run(
    roles: Annotated[
        list[RoleName], typer.Argument(metavar="ROLE", help=f"Which roles: {', '.join(RoleName)}.", show_default=False)
    ],
    guarded: Annotated[
        bool, typer.Option("--guarded", hidden=True, help="Say when ready, and end when standard input is closed.")
    ] = False,
) -> None:
    """Run one or several roles against configured servers, until Ctrl-C or SIGTERM.

    recorder and portal need a ClickHouse server: DISPATCHER_CLICKHOUSE_URL. With DISPATCHER_METRICS_PORT it answers
    /metrics, /health/live and /health/ready there, whatever its roles.
    """
    settings = load_settings()
    wanted = list(dict.fromkeys(roles))
    check_clickhouse(settings, wanted)
    clients = KafkaClients(settings)
    configure_logging(settings)
    if guarded:
        _end_with_parent()
    assembly = Assembly(settings, clients, load_topics(settings.topics_file, settings.kafka_prefix))

    async def start(supervisor: Supervisor) -> None:
        made = [assembly.role(name) for name in wanted]
        starting = set(wanted)
        metrics.begin((topic.name for topic in assembly.topics.declared), wanted)
        endpoint = await _endpoint(supervisor, settings, starting)
        await supervisor.start(event_loop_watched())
        with kafka_client_silenced(settings):
            await check_topics(assembly.clients, assembly.topics)
        for foundation in assembly.foundations(wanted):
            await supervisor.start(foundation)
        await supervisor.start_all(made)
        starting.clear()
        metrics.ready(wanted)
        where = {} if endpoint is None else {"metrics": f"{endpoint.url}/metrics"}
        log.info("ready", roles=", ".join(wanted), kafka=assembly.clients.bootstrap_servers, **where)
        if guarded:
            sys.stdout.write(" ".join((READY, *where.values())) + "\n")
            sys.stdout.flush()

    run_supervised(start)


def check_clickhouse(settings: Settings, roles: list[RoleName]) -> None:
    """The embedded ClickHouse is of one process alone.

    Raises:
        ConfigurationError: roles that need ClickHouse have no server.
    """
    with_clickhouse = [role for role in roles if role in NEED_CLICKHOUSE]
    if with_clickhouse and settings.clickhouse.startswith("chdb:"):
        raise ConfigurationError(
            f"DISPATCHER_CLICKHOUSE_URL: {' and '.join(with_clickhouse)} in a process of its own needs a ClickHouse "
            "server, http(s)://user:password@host:port/database; one process alone can use the embedded engine, "
            "chdb://, and that is dispatcher up"
        )


async def _endpoint(supervisor: Supervisor, settings: Settings, starting: Collection[str]) -> Endpoint | None:
    if settings.metrics_port is None:
        return None
    endpoint = Endpoint(settings.http_host, settings.metrics_port, lambda: starting)
    await supervisor.start(Part("metrics endpoint", endpoint.start, endpoint.stop))
    return endpoint


def _end_with_parent() -> None:
    """End at once when the process that started this one is gone, killed or not, whatever the event loop does."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            closed, _, _ = select.select([0], [], [], _LOOK_EVERY)
            if closed:
                break
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
