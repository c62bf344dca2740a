"""``dispatcher events``: publish events from a file, or simulate Portal."""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dispatcher.cli.arguments import utf_8
from dispatcher.cli.cluster import open_cluster
from dispatcher.errors import DispatcherError
from dispatcher.events.lines import Line, LineSplitter
from dispatcher.events.publishing import Publication, Publisher, open_producer
from dispatcher.events.simulator.portal import DEFAULT_ORGANIZATIONS, Portal
from dispatcher.events.simulator.running import parse_rate, simulate
from dispatcher.events.types import EventType
from dispatcher.kafka.clients import MAX_RECORD_BYTES, KafkaClients
from dispatcher.kafka.topics import Topics

app = typer.Typer(no_args_is_help=True, help="Publish events from a file, or simulate Portal.")

_PIECE_BYTES = 256 * 1024
_SHOW_EVERY_SECONDS = 0.2

Json = Annotated[bool, typer.Option("--json", help="Report as JSON on standard output.")]


@app.command("publish")
def publish(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON Lines, one event a line; - for standard input.")],
    as_json: Json = False,
) -> None:
    """Publish the events of a file, each to the topic of its type.

    A line that is not an event is named on standard error and left out; the exit status is 1 then. An operation with
    devices that lack what tells them apart is published, and named too: nobody will be told of those devices.
    """
    clients, topics = open_cluster()
    console = Console(stderr=True)
    publication = Publication()
    with ExitStack() as opened:
        descriptor = _open(file, opened)
        with _reporting(lambda: _report_publication(publication, as_json=as_json), publication.anything):
            asyncio.run(_publish(descriptor, clients, topics, publication, console))
    if publication.rejected:
        raise typer.Exit(1)


@app.command("simulate")
def simulate_portal(
    rate: Annotated[str, typer.Option(help="How many events, such as 20/s, 90/m or 500/h.")] = "5/s",
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many events.", show_default="none")] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="The same seed gives the same events, ids included.", show_default="another each time"),
    ] = None,
    organization: Annotated[
        list[str] | None,
        typer.Option(
            help="Id of an organization; may be repeated.",
            show_default=", ".join(DEFAULT_ORGANIZATIONS),
            callback=utf_8,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Be Portal: organizations whose devices, users and operations make events of all seven types.

    Before the first event, everything that people can choose from is written to portal.resources. Ends after --count
    events, or on Ctrl-C.
    """
    try:
        per_second = parse_rate(rate)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--rate") from None
    clients, topics = open_cluster()
    seed = secrets.randbelow(2**32) if seed is None else seed
    portal = Portal(seed, _organizations(organization))
    published = Counter[EventType]()
    started = monotonic()
    with _reporting(
        lambda: _report_simulation(published, seed, monotonic() - started, as_json=as_json), lambda: bool(published)
    ):
        asyncio.run(_simulate(clients, topics, portal, per_second=per_second, count=count, published=published))


async def _publish(
    descriptor: int, clients: KafkaClients, topics: Topics, publication: Publication, console: Console
) -> None:
    def name_line(number: int, reason: str) -> None:
        console.print(f"line {number}: {reason}", markup=False, highlight=False, soft_wrap=True)

    async with open_producer(clients, topics.events.values()) as producer:
        publisher = Publisher(producer, topics, publication, name_line)
        with _progress(console, "published") as show:
            await _showing(publisher.publish(_lines(descriptor)), lambda: show(publication.published))


async def _simulate(
    clients: KafkaClients,
    topics: Topics,
    portal: Portal,
    *,
    per_second: float,
    count: int | None,
    published: Counter[EventType],
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    console = Console(stderr=True)
    async with open_producer(clients, [*topics.events.values(), topics.resources]) as producer:
        with _progress(console, "events") as show:
            running = simulate(producer, topics, portal, rate=per_second, count=count, stop=stop, published=published)
            await _showing(running, lambda: show(published.total()))


async def _showing(doing: Coroutine[Any, Any, object], show: Callable[[], None]) -> None:
    """Wait for the work to end, and show how it goes."""
    work = asyncio.ensure_future(doing)
    try:
        while not (await asyncio.wait({work}, timeout=_SHOW_EVERY_SECONDS))[0]:
            show()
    except asyncio.CancelledError:
        work.cancel()
        await asyncio.wait({work})
        raise
    finally:
        show()
    work.result()


@contextmanager
def _progress(console: Console, of: str) -> Iterator[Callable[[int], None]]:
    """On a terminal, how many there are by now and how many a second."""
    if not console.is_terminal:
        yield lambda _: None
        return
    started = monotonic()
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(of, total=None)

        def show(count: int) -> None:
            rate = count / max(monotonic() - started, 0.001)
            progress.update(task, completed=count, description=f"{of}, {rate:,.1f} a second")

        yield show


def _organizations(chosen: list[str] | None) -> Mapping[str, str]:
    if not chosen:
        return DEFAULT_ORGANIZATIONS
    return {id: DEFAULT_ORGANIZATIONS.get(id) or id.removeprefix("org-").replace("-", " ").title() for id in chosen}


def _open(file: str, opened: ExitStack) -> int:
    if file == "-":
        if sys.stdin is None:
            raise DispatcherError("standard input is closed: give it events, or name a file")
        return sys.stdin.fileno()
    try:
        return opened.enter_context(Path(file).open("rb", buffering=0)).fileno()
    except OSError as error:
        raise DispatcherError(f"{file} cannot be read: {error.strerror}") from None


async def _lines(descriptor: int) -> AsyncIterator[Line]:
    splitter = LineSplitter(MAX_RECORD_BYTES)
    while piece := await _read(descriptor):
        for line in splitter.feed(piece):
            yield line
    for line in splitter.end():
        yield line


async def _read(descriptor: int) -> bytes:
    """The bytes that are there, as soon as there are any.

    The thread is a daemon and uses the descriptor itself, so that Ctrl-C ends a command that waits for its input.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()

    def settle(piece: bytes, error: OSError | None) -> None:
        if not answer.done():
            if error is None:
                answer.set_result(piece)
            else:
                answer.set_exception(DispatcherError(f"the input cannot be read: {error.strerror}"))

    def read() -> None:
        piece, failed = b"", None
        try:
            piece = os.read(descriptor, _PIECE_BYTES)
        except OSError as error:
            failed = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, piece, failed)

    Thread(target=read, daemon=True).start()
    return await answer


@contextmanager
def _reporting(report: Callable[[], None], worth_it: Callable[[], bool]) -> Iterator[None]:
    """Report at the end; where the work broke off, only if there is something to report."""
    try:
        yield
    except BaseException:
        if worth_it():
            report()
        raise
    report()


def _report_publication(publication: Publication, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(publication)))
    else:
        incomplete = f", {publication.incomplete} of them incomplete" if publication.incomplete else ""
        rejected = f", {publication.rejected} rejected" if publication.rejected else ""
        typer.echo(f"{publication.published} published{incomplete}{rejected}")


def _report_simulation(published: Counter[EventType], seed: int, seconds: float, *, as_json: bool) -> None:
    by_type = {event_type.value: published[event_type] for event_type in EventType}
    if as_json:
        typer.echo(json.dumps({"seed": seed, "published": published.total(), "by_type": by_type}))
        return
    for name, count in by_type.items():
        typer.echo(f"{count:>9}  {name}")
    rate = published.total() / max(seconds, 0.001)
    typer.echo(f"{published.total():>9}  in all, {rate:.1f} a second (seed {seed})")
