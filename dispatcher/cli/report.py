"""``dispatcher report``: delivery metrics of a period, with plots."""

import asyncio
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dispatcher.cli.arguments import utf_8
from dispatcher.durations import parse_duration
from dispatcher.errors import DispatcherError
from dispatcher.recording.beside import clickhouse_beside
from dispatcher.recording.clickhouse import QueryFailed
from dispatcher.reports.page import page
from dispatcher.reports.report import MESSAGES_KEPT, QUESTIONS, Period, Report, Subject, make_report
from dispatcher.reports.tables import unanswered
from dispatcher.reports.terminal import show
from dispatcher.settings import Settings, load_settings

app = typer.Typer()

_PATIENCE_SECONDS = 600
"""Whoever asks about very many attempts would rather wait than learn that it takes long."""


@app.command()
def report(
    *,
    organization: Annotated[
        str | None, typer.Option(help="Only this organization, by its id.", show_default=False, callback=utf_8)
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(help="Only this webhook, by its id.", show_default=False, callback=utf_8)
    ] = None,
    since: Annotated[str, typer.Option(help="How long a time up to now, such as 24h, 7d or 90d.")] = "7d",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Rows of each list.")] = 10,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one HTML page that needs nothing else.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON on standard output.")] = False,
) -> None:
    """Show what arrived and what failed: success rates, plots, durations, reasons, and what got worse.

    Asks ClickHouse where the settings say, or a running `dispatcher up` through its port. Attempts are kept for 28
    days: of a longer time, durations, reasons and targets are those of the last 28.

    What ClickHouse does not answer within ten minutes is named and left out. Exit status: 0 when it answered
    everything, 1 otherwise.
    """
    try:
        length = parse_duration(since)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    if not length or length > MESSAGES_KEPT:
        raise typer.BadParameter(f"must be longer than nothing, at most {MESSAGES_KEPT.days}d", param_hint="--since")
    settings = load_settings()
    # What it says of a server that does not answer is in the error that ends the command.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    period = Period.since(datetime.now(UTC), length)
    with Console(stderr=True).status("Asking ClickHouse"):
        found = asyncio.run(_ask(settings, Subject(organization, webhook), period, limit))
    if html is not None:
        _write(html, page(found))
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
    elif html is not None:
        typer.echo(f"Written to {html}.")
    else:
        show(found, Console(highlight=False))
    if found.unanswered:
        why = next(iter(found.unanswered.values()))
        raise DispatcherError(
            f"ClickHouse did not answer {len(found.unanswered)} of {QUESTIONS} questions ({unanswered(found)}): {why}"
        )


async def _ask(settings: Settings, subject: Subject, period: Period, limit: int) -> Report:
    async with clickhouse_beside(settings, patience=_PATIENCE_SECONDS) as beside:
        try:
            return await make_report(beside.clickhouse, subject, period, limit=limit)
        except QueryFailed as error:
            raise DispatcherError(f"ClickHouse refuses a question: {error}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DispatcherError(f"{path} cannot be written: {error.strerror}") from None
