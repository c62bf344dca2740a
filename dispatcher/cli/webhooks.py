"""``dispatcher webhooks``: delete those that nobody can read any more."""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated

import typer

from dispatcher.cli.arguments import utf_8
from dispatcher.cli.asking import somebody_to_ask
from dispatcher.cli.cluster import open_cluster
from dispatcher.durations import parse_duration
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.local_secrets import local_secrets
from dispatcher.operations.wording import counted
from dispatcher.settings import load_settings
from dispatcher.webhooks.removal import looking
from dispatcher.webhooks.vault import Vault

app = typer.Typer(no_args_is_help=True, help="Delete webhooks that cannot be read any more.")

_SHOWN = 20


@app.callback()
def _group() -> None:
    """Keeps `remove` a command of its own while it is the only one."""


@app.command("remove")
def remove_webhooks(
    *,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]…", help="The webhooks' ids.", show_default=False, callback=utf_8)
    ] = None,
    unreadable: Annotated[
        bool, typer.Option("--unreadable", help="All that cannot be decrypted or read, instead of ids.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Annotated[str, typer.Option(help="How long to wait for it to be done.")] = "1m",
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON on standard output.")] = False,
) -> None:
    """Delete webhooks that no key decrypts, or that this version cannot read. All others are deleted in the portal.

    A running portal does it, and deletes only what it cannot read itself. What waits for them ends as failed.
    """
    if bool(ids) == unreadable:
        raise typer.BadParameter("name webhooks, or give --unreadable", param_hint="ID")
    try:
        within = parse_duration(wait).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--wait") from None
    clients, topics = open_cluster()
    vault = _vault()
    removed = asyncio.run(_remove(clients, topics, vault, list(dict.fromkeys(ids or ())), within, yes=yes))
    if as_json:
        typer.echo(json.dumps({"removed": removed}, indent=2))
    else:
        typer.echo(f"{counted(len(removed), 'webhook')} removed." if removed else "There is none that cannot be read.")


def _vault() -> Vault:
    key = local_secrets(load_settings(), generate=False).encryption_key
    return Vault(key.get_secret_value() if key is not None else "")


async def _remove(
    clients: KafkaClients, topics: Topics, vault: Vault, ids: Sequence[str], within: float, *, yes: bool
) -> Sequence[str]:
    async with looking(clients, topics, vault) as removal:
        removal.check(ids)
        chosen = ids or removal.unreadable
        if chosen and not yes:
            _ask(chosen)
        if chosen:
            await removal.remove(chosen, within)
        return chosen


def _ask(ids: Sequence[str]) -> None:
    if not somebody_to_ask():
        raise typer.BadParameter("there is no terminal to ask at; add --yes", param_hint="--yes")
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    typer.echo(", ".join(ids[:_SHOWN]) + more)
    typer.confirm(f"Delete {counted(len(ids), 'webhook')} that cannot be read? They cannot be had back.", abort=True)
