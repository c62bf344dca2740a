"""A report in a terminal."""

from datetime import datetime, timedelta

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dispatcher.reports import questions
from dispatcher.reports.plots import FAILED, SUCCESSFUL, Stack, bar, columns
from dispatcher.reports.report import Report
from dispatcher.reports.tables import NOT_ANSWERED, Listing, listings, milliseconds, percent, unanswered

_HEIGHT = 8
_BAR = 20
_FEW = 12


def show(report: Report, console: Console) -> None:
    """Print it, as wide as the console is."""
    console.print(_rendered(report, console.width))


def _rendered(report: Report, width: int) -> RenderableType:
    by_hour = report.period.step < timedelta(days=1)
    parts: list[RenderableType] = [_summary(report), Text()]
    if report.totals is None or report.totals.messages:
        legend = Text.assemble(("■ arrived ", SUCCESSFUL), ("■ failed", FAILED))
        parts += [Text.assemble((f"Messages {'an hour' if by_hour else 'a day'}  ", "bold"), legend)]
        parts += [*_plot(_over_time(report, by_hour=by_hour), width, _HEIGHT), Text()]
        parts += [Text("Messages by hour of the day (UTC)", "bold")]
        parts += [*_plot(_of_day(report), width, _HEIGHT // 2), Text()]
    for listing in listings(report):
        parts += [Text(listing.title, "bold"), _table(listing, width), Text()]
    return Group(*parts[:-1])


def _over_time(report: Report, *, by_hour: bool) -> list[Stack] | None:
    if report.over_time is None:
        return None
    shape = "%d %b" if not by_hour else "%H" if len(report.over_time) > _FEW else "%H:00"
    every = 6 if by_hour and len(report.over_time) > _FEW else 1
    return [
        Stack(each.successful, each.failed, "" if each.start.hour % every else f"{each.start:{shape}}")
        for each in report.over_time
    ]


def _of_day(report: Report) -> list[Stack] | None:
    if report.by_hour_of_day is None:
        return None
    return [Stack(number, 0, f"{hour:02}") for hour, number in enumerate(report.by_hour_of_day)]


def _plot(stacks: list[Stack] | None, width: int, height: int) -> list[Text]:
    return [Text(f"  {NOT_ANSWERED}", "dim")] if stacks is None else columns(stacks, width=width, height=height)


def _summary(report: Report) -> Text:
    totals, before = report.totals, report.before
    text = Text.assemble(
        (f"Deliveries of {report.subject}", "bold"),
        (f"\n{_moment(report.period.start)} to {_moment(report.period.end)} UTC", "dim"),
        "\n\n",
    )
    if totals is None:
        text.append(f"How much arrived is {NOT_ANSWERED}", "bold")
    elif totals.rate is None:
        text.append("No message arrived, and none failed for good", "bold")
    else:
        style = "green" if totals.rate >= 0.99 else "yellow" if totals.rate >= 0.95 else "red"
        text.append(f"{percent(totals.rate)} arrived", f"bold {style}")
        text.append(f", {totals.successful:,} of {totals.messages:,} messages")
    if before is not None:
        earlier = f"{percent(before.rate)} of {before.messages:,}" if before.messages else "none"
        text.append(f"; {earlier} in as long a time before")
    again, ended = report.tried_again or (0, 0)
    if ended:
        text.append(f"\n{percent(again / ended)} needed more than one attempt ({again:,})")
    for row in report.answers[questions.DURATIONS.name] or ():
        p50, p95, p99 = (milliseconds(row[name]) for name in ("p50_ms", "p95_ms", "p99_ms"))
        text.append(f"\n{row['attempts']:,} attempts took {p50} at the median, {p95} at p95, {p99} at p99")
    if lacking := unanswered(report):
        text.append(f"\nClickHouse did not answer: {lacking}", "yellow")
    return text


def _table(listing: Listing, width: int) -> RenderableType:
    if not listing.rows:
        return Text(f"  {listing.nothing}", "dim")
    table = Table(box=None, header_style="dim", pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(listing.headings):
        if listing.is_number(number):
            table.add_column(heading, justify="right", no_wrap=True)
        else:
            table.add_column(heading, overflow="fold")
    if listing.shares:
        table.add_column("", no_wrap=True)
    for number, row in enumerate(listing.rows):
        bars = [Text(bar(listing.shares[number], min(_BAR, width // 5)), "cyan")] if listing.shares else []
        table.add_row(*map(Text, row), *bars)
    return table


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
