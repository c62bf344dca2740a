"""``dispatcher lag``: how far the consumer groups are behind."""

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from dispatcher.cli.cluster import open_cluster
from dispatcher.durations import parse_duration
from dispatcher.operations.consumers import NAMES
from dispatcher.operations.lag import GroupLag, Level, PartitionLag, TopicLag, worst_first
from dispatcher.operations.lag_meter import LagMeter, Measured
from dispatcher.operations.wording import count, counted, per_second, span
from dispatcher.rfc3339 import rfc3339

app = typer.Typer()

TOO_MUCH = 2
"""The exit status where more waits, or for longer, than was allowed."""

_WIDE = 100
_IN = "In/s"
_COLUMNS = ("Waiting", "Oldest", _IN, "Done/s", "Drains")
_FIGURE_WIDTH = 9
_NAMED = 4
_CLOCKS_DIFFER_MS = 2_000
_STYLES = {Level.FINE: "green", Level.NOTICE: "yellow", Level.PROBLEM: "bold red"}
_MARKS = {Level.FINE: "✓", Level.NOTICE: "!", Level.PROBLEM: "✗"}


@app.command()
def lag(
    *,
    partitions: Annotated[bool, typer.Option("--partitions", "-p", help="Show each partition.")] = False,
    all_topics: Annotated[bool, typer.Option("--all", "-a", help="Show also the topics where nothing waits.")] = False,
    group: Annotated[
        list[str] | None, typer.Option(help="Only this group, such as sender; may be repeated.", show_default=False)
    ] = None,
    interval: Annotated[str, typer.Option(help="How long to measure rates.")] = "2s",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C.")] = False,
    fail_above: Annotated[
        int | None,
        typer.Option(min=0, help="Exit with 2 when more records wait in a topic.", show_default=False),
    ] = None,
    fail_older: Annotated[
        str | None,
        typer.Option(help="Exit with 2 when a record has waited longer, such as 5m.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON on standard output.")] = False,
) -> None:
    """Show what waits in each consumer group, for how long, and when it will be done with; the worst first.

    Records that are not due yet, in retry topics, are shown apart and count as waiting nowhere else. Rates are measured
    for two seconds. Exit status: 0 whatever is found, unless --fail-above or --fail-older is given; 1 when Kafka does
    not answer.
    """
    seconds = _seconds(interval, "--interval")
    oldest = None if fail_older is None else _seconds(fail_older, "--fail-older")
    clients, topics = open_cluster()
    wanted = frozenset(group or NAMES)
    if unknown := wanted.difference(NAMES):
        raise typer.BadParameter(f"{min(unknown)} is none of {', '.join(NAMES)}", param_hint="--group")
    meter = LagMeter(clients, topics, seconds=seconds)

    def show(measured: Measured, console: Console) -> RenderableType:
        chosen = _chosen(measured, wanted)
        return _report(measured, chosen, width=console.width, partitions=partitions, all_topics=all_topics)

    if watch:
        asyncio.run(_watch(meter, None if as_json else show, lambda found: _as_json(found, wanted)))
        return
    with Console(stderr=True).status(f"Looking for {span(seconds)}"):
        measured = asyncio.run(meter.measure())
    if as_json:
        typer.echo(json.dumps(_as_json(measured, wanted), ensure_ascii=False, indent=2))
    else:
        console = Console(highlight=False)
        console.print(show(measured, console))
    if _too_much(_chosen(measured, wanted), fail_above, oldest):
        raise typer.Exit(TOO_MUCH)


async def _watch(
    meter: LagMeter,
    show: Callable[[Measured, Console], RenderableType] | None,
    as_json: Callable[[Measured], dict[str, Any]],
) -> None:
    """Measure again and again: on a terminal in place, elsewhere one report below the other, as JSON a line each."""
    console = Console(highlight=False)
    if show is None or not console.is_terminal:
        while True:
            measured = await meter.measure()
            if show is None:
                typer.echo(json.dumps(as_json(measured), ensure_ascii=False))
            else:
                console.print(show(measured, console))
    with Live(Text("Looking"), console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(show(await meter.measure(), console), refresh=True)


def _chosen(measured: Measured, wanted: Collection[str]) -> list[GroupLag]:
    return worst_first(group for group in measured.groups if group.reader.name in wanted)


def _seconds(text: str, option: str) -> float:
    try:
        seconds = parse_duration(text).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    if not seconds:
        raise typer.BadParameter("must be longer than nothing", param_hint=option)
    return seconds


def _too_much(groups: Iterable[GroupLag], most: int | None, oldest: float | None) -> bool:
    totals = [topic.total for group in groups for topic in group.topics]
    return any(
        (most is not None and total.behind > most) or (oldest is not None and (total.oldest or 0) > oldest)
        for total in totals
    )


def _report(
    measured: Measured, groups: Sequence[GroupLag], *, width: int, partitions: bool, all_topics: bool
) -> RenderableType:
    columns = [column for column in _COLUMNS if width >= _WIDE or column != _IN]
    body: list[_Line] = []
    for group in groups:
        body += _lines_of_group(group, columns, partitions=partitions, all_topics=all_topics)
    names = max((line.name.cell_len for line in body if line.figures), default=0)
    names = min(names, width - _FIGURE_WIDTH * len(columns))
    head = _Line(Text("Group and topic", "bold"), [Text(column, "bold") for column in columns])
    table = (head, *body) if names else body
    return Text("\n").join([_headline(measured, groups), Text(), *(line.text(names) for line in table)])


@dataclass(frozen=True, slots=True)
class _Line:
    """A name with figures behind it in columns, or without any."""

    name: Text
    figures: Sequence[Text] = ()

    def text(self, width: int) -> Text:
        line = self.name.copy()
        if self.figures:
            line.truncate(width, overflow="ellipsis", pad=True)
        for figure in self.figures:
            line.append(" " * (_FIGURE_WIDTH - figure.cell_len)).append_text(figure)
        return line


def _headline(measured: Measured, groups: Sequence[GroupLag]) -> Text:
    worst = max((group.verdict[0] for group in groups), default=Level.FINE)
    behind = sum(group.behind for group in groups)
    later = sum(topic.total.not_due for group in groups for topic in group.topics)
    said = {
        Level.FINE: "Nothing is behind",
        Level.NOTICE: "Worth a look: " + _names(groups, Level.NOTICE),
        Level.PROBLEM: "Behind: " + _names(groups, Level.PROBLEM),
    }[worst]
    text = Text()
    if measured.missing:
        text.append(_missing(measured), style=_STYLES[Level.PROBLEM])
    text.append(f"{_MARKS[worst]} {said}", _STYLES[worst]).append(f"\n  {counted(behind, 'record')} waiting")
    if later:
        text.append(f", {later:,} not due yet")
    text.append(f"  {datetime.fromtimestamp(measured.now / 1000, UTC):%H:%M:%S} UTC", style="dim")
    if measured.clock is not None and abs(measured.clock.ahead) > _CLOCKS_DIFFER_MS:
        text.append(f"\n! this machine's clock is {_off(measured.clock.ahead)}; ages are by Kafka's", style="yellow")
    return text


def _missing(measured: Measured) -> str:
    if any(group.topics for group in measured.groups):
        return f"✗ {counted(len(measured.missing), 'topic')} missing: run `dispatcher topics apply`\n"
    return (
        "✗ None of our topics is there: is DISPATCHER_KAFKA_PREFIX right?\n"
        "  In a new installation run `dispatcher topics apply`\n"
    )


def _off(ahead: int) -> str:
    return f"{span(abs(ahead) / 1000)} {'behind' if ahead > 0 else 'ahead of'} Kafka's"


def _names(groups: Iterable[GroupLag], level: Level) -> str:
    names = [group.reader.name for group in groups if group.verdict[0] is level]
    return ", ".join(names) if len(names) <= _NAMED else f"{len(names)} groups"


def _lines_of_group(group: GroupLag, columns: Sequence[str], *, partitions: bool, all_topics: bool) -> Iterator[_Line]:
    level, words = group.verdict
    style = _STYLES[level]
    shown = [each for each in group.topics if all_topics or each.total.lag or each.verdict[0] > _known(group)]
    quiet = len(group.topics) - len(shown)
    nothing = f"nothing waits in {counted(quiet, 'other topic' if shown else 'topic')}"
    about = (words, style) if words else (counted(group.membership.members, "member"), "dim")
    name = Text.assemble((f"{_MARKS[level]} ", style), (group.reader.name, "bold"), "  ", about)
    if not shown and not words:
        name.append(f", {nothing}", "dim")
    yield _Line(name)
    for topic in shown:
        yield from _lines_of_topic(topic, columns, known=_known(group))
        if partitions:
            some = [each for each in topic.partitions if all_topics or each.lag or each.member is None]
            yield from (_line_of_partition(each, topic.verdict[0], columns) for each in some)
    if shown and quiet:
        yield _Line(Text(f"    {nothing}", "dim"))


def _known(group: GroupLag) -> Level:
    """What the line of the group has said already about each of its topics."""
    return Level.FINE if group.membership.members else Level.NOTICE


def _lines_of_topic(topic: TopicLag, columns: Sequence[str], *, known: Level) -> Iterator[_Line]:
    level, words = topic.verdict
    style = _STYLES[level] if level else ""
    yield _Line(Text(f"    {topic.topic}", style), _figures(topic.total, level, columns))
    if topic.total.not_due:
        yield _Line(Text(f"      {topic.total.not_due:,} more wait until they are due", "dim"))
    if level > known:
        yield _Line(Text(f"      {_MARKS[level]} {words}", style))


def _line_of_partition(each: PartitionLag, level: Level, columns: Sequence[str]) -> _Line:
    name = Text(f"      {each.partition:>4}", "dim")
    if each.member is None:
        name.append("  unassigned", "yellow")
    elif each.host is not None:
        name.append(f"  {each.host}", "dim")
    if each.not_due:
        name.append(f"  {each.not_due:,} not due yet")
    return _Line(name, _figures(each, level, columns))


def _figures(total: PartitionLag, level: Level, columns: Sequence[str]) -> list[Text]:
    shown = {
        "Waiting": Text(count(total.behind)),
        "Oldest": Text("-" if total.oldest is None else span(total.oldest)),
        _IN: Text(per_second(total.arriving)),
        "Done/s": Text(per_second(total.done)),
        "Drains": Text(_drains(total, level)),
    }
    return [shown[column] for column in columns]


def _drains(total: PartitionLag, level: Level) -> str:
    if not total.behind:
        return "-"
    if total.drains_in is not None:
        return span(total.drains_in)
    # What arrived at this moment is always there.
    return "steady" if level is Level.FINE else "never"


def _as_json(measured: Measured, wanted: Collection[str]) -> dict[str, Any]:
    clock = measured.clock
    return {
        "time": rfc3339(datetime.fromtimestamp(measured.now / 1000, UTC)),
        "broker_clock_ahead_ms": None if clock is None else clock.ahead,
        "missing_topics": list(measured.missing),
        "groups": [group.as_json() for group in _chosen(measured, wanted)],
    }
