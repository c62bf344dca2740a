"""``dispatcher up``: everything on this machine."""

import os
import secrets
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from random import Random
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console

from dispatcher.demo.demonstration import Demonstration
from dispatcher.demo.people import demo_people
from dispatcher.demo.targets import Addresses, Targets
from dispatcher.errors import ConfigurationError
from dispatcher.events.simulator.portal import DEFAULT_ORGANIZATIONS
from dispatcher.kafka.topics import load_topics
from dispatcher.local_secrets import local_secrets
from dispatcher.observability.logs import configure_logging
from dispatcher.portal.auth import ORGANIZATION_ADMIN
from dispatcher.portal.tokens import sign_token
from dispatcher.settings import Settings, load_settings
from dispatcher.supervision import Part, Supervisor
from dispatcher.supervision import run as run_supervised
from dispatcher.up.machine import Running, start_everything
from dispatcher.up.preflight import check_ports, check_settings
from dispatcher.up.welcome import Welcome

app = typer.Typer()

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_DEMO_TOKEN_LIFETIME = timedelta(minutes=10)
_console = Console(highlight=False)


@app.command()
def up(
    demo: Annotated[
        bool, typer.Option("--demo", help="Make organizations with webhooks, a stream of events and local targets.")
    ] = False,
    senders: Annotated[
        int | None,
        typer.Option(
            min=0, max=64, help="Sender processes beside the main one; 0: one process.", show_default="cores - 1"
        ),
    ] = None,
) -> None:
    """Run every role on this machine until Ctrl-C, with an embedded Kafka unless one is configured.

    What is stored is in DISPATCHER_DATA_DIR (.data) and is found again by the next start.
    """
    started = time.monotonic()
    settings = load_settings()
    settings = local_secrets(settings, generate=True).applied_to(settings)
    demo_secret = _demo_secret(settings) if demo else None
    if demo:
        settings = _quiet(_with_loopback(settings))
    topics = load_topics(settings.topics_file, settings.kafka_prefix)
    check_settings(settings)
    configure_logging(settings)

    async def start(supervisor: Supervisor) -> None:
        await check_ports(settings)
        targets = Targets(settings.data_dir / "demo-targets.json", _random())
        addresses = None
        if demo_secret is not None:
            # They stop after the senders, which may be calling them.
            addresses = await supervisor.start(Part("demonstration's targets", targets.start, targets.stop))
        processes = _cores() - 1 if senders is None else senders
        running = await start_everything(
            supervisor, settings, topics, senders=processes, say=_say, people=demo_people() if demo else ()
        )
        if demo_secret is not None and addresses is not None:
            await supervisor.start(_demonstration(running, addresses, demo_secret, targets.let_go))
        organization = next(iter(DEFAULT_ORGANIZATIONS)) if demo else None
        welcome = Welcome(running, command=_as_typed(), organization=organization)
        _console.print(welcome.text(time.monotonic() - started), markup=False, soft_wrap=True)

    def stopping() -> None:
        if demo:
            _say("Stopping; Ctrl-C again ends it at once")

    run_supervised(start, stopping)


def _demo_secret(settings: Settings) -> SecretStr:
    if settings.auth_secret is None:
        raise ConfigurationError(
            "DISPATCHER_AUTH_JWKS_URL is set, and the demonstration signs in with a token of its own: "
            "leave it unset for up --demo"
        )
    return settings.auth_secret


def _with_loopback(settings: Settings) -> Settings:
    networks = dict.fromkeys((*settings.allowed_target_networks, *_LOOPBACK))
    return settings.model_copy(update={"allowed_target_networks": tuple(networks)})


def _quiet(settings: Settings) -> Settings:
    """Without a line for each attempt that fails, as many do in a demonstration, unless somebody wants to see them."""
    if "log_level" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"log_level": "warning"})


def _demonstration(
    running: Running, targets: Addresses, secret: SecretStr, at_end: Callable[[], None]
) -> Demonstration:
    def token(organization: str) -> str:
        return sign_token(
            running.assembly.settings,
            secret,
            user="demonstration",
            name="Demonstration",
            organizations={organization: DEFAULT_ORGANIZATIONS[organization]},
            role=ORGANIZATION_ADMIN,
            now=datetime.now(UTC),
            lifetime=_DEMO_TOKEN_LIFETIME,
        )

    return Demonstration(
        running.assembly, targets, api=f"{running.url}/api/v1", token=token, say=_say, random=_random(), at_end=at_end
    )


def _random() -> Random:
    return Random(secrets.randbits(64))  # noqa: S311 - what happens in a demonstration is no secret


def _say(text: str) -> None:
    _console.print(f"{datetime.now().astimezone():%H:%M:%S}  {text}", markup=False, soft_wrap=True)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _as_typed() -> str:
    """How the person who started this would start another command."""
    if shutil.which("dispatcher") is not None:
        return "dispatcher"
    program = Path(sys.argv[0]).absolute()
    here = Path.cwd()
    return shlex.quote(str(program.relative_to(here) if program.is_relative_to(here) else program))
