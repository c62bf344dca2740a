"""``dispatcher dead-letters``: look at records that could not be understood, and send them again."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from dispatcher.cli.cluster import open_cluster
from dispatcher.kafka.dead_letter_box import DeadLetterBox, Letter, Place, Selection, Sorted
from dispatcher.moments import moment
from dispatcher.operations.wording import counted
from dispatcher.rfc3339 import rfc3339

app = typer.Typer(no_args_is_help=True, help="Look at records that could not be understood, or send them again.")

_SHOWN_CHARACTERS = 100
_DEFAULT_LIMIT = 50

Json = Annotated[bool, typer.Option("--json", help="Report as JSON on standard output.")]
Topic = Annotated[
    str | None,
    typer.Option(help="Only what was read from this topic, such as portal.active-alert.", show_default=False),
]
Reason = Annotated[
    str | None, typer.Option(help="Only what was set aside for a reason with this text in it.", show_default=False)
]


@app.command("list")
def list_letters(
    *,
    topic: Topic = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="Show so many at most, the newest.")] = _DEFAULT_LIMIT,
    replayed: Annotated[bool, typer.Option("--all", help="Show also those that were sent again.")] = False,
    as_json: Json = False,
) -> None:
    """Show what could not be understood, why, and where it comes from, the newest first.

    Those that were sent again are left out, unless --all is given. Control characters are shown as escapes.
    """
    clients, topics = open_cluster()
    selection = Selection(topic=topic, reason=reason, replayed_too=replayed)
    letters = asyncio.run(DeadLetterBox(clients, topics).letters(selection))
    if as_json:
        typer.echo(json.dumps([_as_json(letter) for letter in letters[:limit]], ensure_ascii=False, indent=2))
    else:
        _show(letters, limit)


@app.command("replay")
def replay_letters(
    *,
    topic: Topic = None,
    reason: Reason = None,
    partition: Annotated[
        int | None, typer.Option(min=0, help="With --offset: a dead letter's place, as list shows it.")
    ] = None,
    offset: Annotated[
        list[int] | None, typer.Option(min=0, help="With --partition; may be repeated.", show_default=False)
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Send also those that were sent again before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be sent, and send nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Send records again, as they came, to the topic and partition that they came from.

    Without options that choose: all that were not sent again yet. What still cannot be understood comes back as a new
    dead letter. Ends with 1 when nothing of what was chosen can be sent.
    """
    places = _places(partition, offset)
    clients, topics = open_cluster()
    box = DeadLetterBox(clients, topics)
    selection = Selection(topic=topic, reason=reason, places=places, replayed_too=again)
    found, sent = asyncio.run(_replay(box, selection, dry_run=dry_run))
    seen = {letter.place for letter in (*found.sendable, *(letter for letter, _ in found.left))}
    for of_partition, at in sorted(places - seen):
        why = "no such dead letter was chosen; it may have been sent again before, which --again does once more"
        typer.echo(f"{of_partition}/{at} is left: {why}", err=True)
    if as_json:
        left = [{**_as_json(letter), "left_because": why} for letter, why in found.left]
        chosen = [_as_json(letter) for letter in found.sendable]
        typer.echo(json.dumps({"sent": sent, "chosen": chosen, "left": left}, ensure_ascii=False, indent=2))
    else:
        _report(found, sent, dry_run=dry_run)
    if (found.left or places) and not found.sendable:
        raise typer.Exit(1)


async def _replay(box: DeadLetterBox, selection: Selection, *, dry_run: bool) -> tuple[Sorted, int]:
    found = await box.sort(await box.letters(selection))
    if dry_run:
        return found, 0
    with _progress(len(found.sendable)) as show:
        return found, await box.replay(found.sendable, show)


def _places(partition: int | None, offsets: Sequence[int] | None) -> frozenset[Place]:
    if (partition is None) != (not offsets):
        raise typer.BadParameter("name both, such as --partition 0 --offset 12", param_hint="--partition, --offset")
    return frozenset() if partition is None else frozenset((partition, offset) for offset in offsets or ())


@contextmanager
def _progress(count: int) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("sent again"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=count)
        yield lambda sent: progress.update(task, completed=sent)


def _report(found: Sorted, sent: int, *, dry_run: bool) -> None:
    for letter, why in found.left:
        typer.echo(f"{_place(letter)} is left: {why}", err=True)
    if dry_run:
        for letter in found.sendable:
            typer.echo(f"{_place(letter)} would be sent to {_origin(letter)}: {letter.reason}")
        typer.echo(f"{len(found.sendable)} would be sent again.")
    elif found.sendable:
        typer.echo(f"{sent} sent again.")
    else:
        typer.echo("Nothing to send again.")


def _show(letters: Sequence[Letter], limit: int) -> None:
    console = Console(highlight=False)
    for letter in letters[:limit]:
        mark = ("  sent again", "green") if letter.replayed else ""
        console.print(
            Text.assemble((_place(letter), "bold"), f"  {_moment(letter.time)}  ", (_origin(letter), "cyan"), mark),
            soft_wrap=True,
        )
        kept = f"({letter.omitted} not kept)" if letter.omitted else f"({letter.size} bytes)"
        value = letter.value
        if len(value) > _SHOWN_CHARACTERS:
            value = f"{value[:_SHOWN_CHARACTERS]}…"
        rows = (("reason", letter.reason), ("key", letter.key or "(null)"), ("value", f"{value}  {kept}"))
        for name, content in rows:
            console.print(Text.assemble((f"    {name:<7}", "dim"), content), soft_wrap=True)
    if len(letters) > limit:
        console.print(f"{len(letters):,} dead letters; the newest {limit} are shown (--limit shows more).")
    else:
        console.print(f"{counted(len(letters), 'dead letter')}.")


def _place(letter: Letter) -> str:
    partition, offset = letter.place
    return f"{partition}/{offset}"


def _origin(letter: Letter) -> str:
    origin = letter.origin
    return "of unknown origin" if origin is None else f"{origin.topic} {origin.partition}/{origin.offset}"


def _moment(milliseconds: int) -> str:
    return rfc3339(moment(milliseconds))


def _as_json(letter: Letter) -> dict[str, Any]:
    partition, offset = letter.place
    origin = letter.origin
    return {
        "partition": partition,
        "offset": offset,
        "time": _moment(letter.time),
        "reason": letter.reason,
        "origin": None
        if origin is None
        else {
            "topic": origin.topic,
            "partition": origin.partition,
            "offset": origin.offset,
            "time": _moment(origin.time),
        },
        "key": letter.key,
        "value": letter.value,
        "value_bytes": letter.size,
        "omitted": letter.omitted or None,
        "replayed": letter.replayed,
    }
