"""``dispatcher topics``: compare ``topics.yaml`` with the cluster, and make the cluster match it."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dispatcher.cli.cluster import open_cluster
from dispatcher.kafka.administration import apply, read_cluster
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.plan import Plan, plan
from dispatcher.kafka.topics import Topics
from dispatcher.operations.wording import counted

app = typer.Typer(no_args_is_help=True, help="Compare topics.yaml with the cluster, or make the cluster match it.")

Json = Annotated[bool, typer.Option("--json", help="Report as JSON on standard output.")]

_DIFFERENT = 2


@app.command("plan")
def plan_topics(
    as_json: Json = False,
    detailed_exitcode: Annotated[
        bool,
        typer.Option("--detailed-exitcode", help="Exit with 2 when the cluster is not as declared."),
    ] = False,
) -> None:
    """Show what `apply` would change, and change nothing.

    The exit status is 0 whether there is something to change or not, and 1 when it cannot be told.
    """
    clients, topics = open_cluster()
    found = asyncio.run(_plan(clients, topics))
    if as_json:
        typer.echo(json.dumps(found.as_json()))
    else:
        _show(found, done=False)
    if detailed_exitcode and (found.changes or found.drift):
        raise typer.Exit(_DIFFERENT)


@app.command("apply")
def apply_topics(as_json: Json = False) -> None:
    """Create and alter topics until they are as declared. Nothing is deleted.

    Differences that this cannot put right, such as partitions too many, are told; the exit status is 0 then too.
    """
    clients, topics = open_cluster()
    found = asyncio.run(_apply(clients, topics))
    if as_json:
        typer.echo(json.dumps(found.as_json()))
    else:
        _show(found, done=True)


async def _plan(clients: KafkaClients, topics: Topics) -> Plan:
    return plan(topics, await read_cluster(clients, topics))


async def _apply(clients: KafkaClients, topics: Topics) -> Plan:
    found = await _plan(clients, topics)
    await apply(clients, found)
    return found


def _show(found: Plan, *, done: bool) -> None:
    console = Console()
    if found.changes:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("Topic", "Done" if done else "To do"):
            table.add_column(heading, no_wrap=True)
        table.add_column("")
        for change in found.changes:
            table.add_row(Text(change.topic), Text(change.action, style="green"), Text(change.describe()))
        console.print(table)
    for drift in found.drift:
        console.print(Text.assemble((drift.topic, "yellow"), f" {drift.problem}"), soft_wrap=True)
    count = counted(len(found.changes), "change")
    if found.changes:
        console.print(f"{count} made." if done else f"{count} to make: run `dispatcher topics apply`.")
    elif not found.drift:
        console.print("Nothing to change: the topics are as declared.")
    else:
        console.print("Nothing to change.")
