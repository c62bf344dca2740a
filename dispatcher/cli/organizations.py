"""``dispatcher organizations``: erase an organization."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from dispatcher.cli.arguments import utf_8
from dispatcher.cli.asking import somebody_to_ask
from dispatcher.cli.cluster import open_cluster
from dispatcher.durations import parse_duration
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.organizations.erasing import erase
from dispatcher.organizations.stores import stores

app = typer.Typer(no_args_is_help=True, help="Erase an organization.")


@app.callback()
def _group() -> None:
    """Keeps `remove` a command of its own while it is the only one."""


@app.command("remove")
def erase_organization(
    *,
    organization: Annotated[
        str, typer.Argument(metavar="ORG", help="The organization's id.", show_default=False, callback=utf_8)
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, as where there is no terminal.")] = False,
    wait: Annotated[str, typer.Option(help="How long to wait for it to be done.")] = "5m",
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON on standard output.")] = False,
) -> None:
    """Erase an organization: its webhooks, what was recorded of them, what waits to be sent.

    A running portal does it (`dispatcher up`, or `dispatcher run portal`). What is erased cannot be had back.
    """
    if not organization:
        raise typer.BadParameter("is empty; give the id of an organization", param_hint="ORG")
    try:
        within = parse_duration(wait).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--wait") from None
    clients, topics = open_cluster()
    if not yes and somebody_to_ask():
        _ask(organization)
    erased = asyncio.run(_erase(clients, topics, organization, within))
    if as_json:
        places = [store.as_json() for store in stores(topics)]
        typer.echo(json.dumps({"organization_id": organization, **erased, "stores": places}, indent=2))
    else:
        _report(organization, erased, topics)


def _ask(organization: str) -> None:
    typer.confirm(
        f"Erase {organization} with its webhooks and everything recorded of them? It cannot be had back.", abort=True
    )


async def _erase(clients: KafkaClients, topics: Topics, organization: str, within: float) -> dict[str, int]:
    console = Console(stderr=True)
    with console.status(f"Erasing {organization}"):
        return await erase(clients, topics, organization, within)


def _report(organization: str, erased: dict[str, int], topics: Topics) -> None:
    console = Console(highlight=False)
    counts = {name: erased.get(name, 0) for name in ("webhooks", "resources", "messages")}
    if any(counts.values()):
        told = ", ".join(f"{count} {name if count != 1 else name.removesuffix('s')}" for name, count in counts.items())
        console.print(Text(f"{organization} is erased: {told}."), soft_wrap=True)
    else:
        console.print(Text(f"There was nothing of {organization}."), soft_wrap=True)
    if undecipherable := erased.get("undecipherable", 0):
        console.print(
            f"{undecipherable} webhooks cannot be decrypted with DISPATCHER_ENCRYPTION_KEY: whether they are of this "
            "organization cannot be told. Add the key that they were written with, and run this again; if it is lost, "
            "`dispatcher webhooks remove` deletes them, whoever's they are.",
            style="yellow",
            soft_wrap=True,
        )
    if any(counts.values()):
        console.print("When the bytes are gone from the disks:")
        for store in stores(topics):
            console.print(Text.assemble("  ", (store.name, "bold"), f": {store.holds}, {store.now}"), soft_wrap=True)
            console.print(Text(f"      {store.gone}"), soft_wrap=True)
