"""``dispatcher doctor``: what is wrong with an installation, and how to put it right."""

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dispatcher.operations.doctor.checkup import Section, check_up
from dispatcher.operations.doctor.finding import Finding
from dispatcher.operations.lag import Level
from dispatcher.operations.wording import counted

app = typer.Typer()

_SECONDS = 1.0
_WORDS = {
    Level.FINE: ("✓", "fine", "green"),
    Level.NOTICE: ("!", "look", "yellow"),
    Level.PROBLEM: ("✗", "wrong", "bold red"),
}
_WORD = 7
_SUBJECT = 16


@app.command()
def doctor(
    *,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="First create and alter topics, and apply migrations to ClickHouse."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON on standard output.")] = False,
) -> None:
    """Check settings, Kafka, topics, consumer groups and ClickHouse, and say how to put right what is wrong.

    Without --apply nothing is changed. --apply does what `dispatcher topics apply` and the start of a recorder do; it
    deletes nothing. Exit status: 0 when nothing is wrong, even if something is worth a look; 1 otherwise.
    """
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sections = asyncio.run(_check(applying=apply, console=None if as_json else Console(highlight=False)))
    findings = [finding for section in sections for finding in section.findings]
    wrong = [finding for finding in findings if finding.level is Level.PROBLEM]
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "ok": not wrong,
                    "problems": len(wrong),
                    "findings": [
                        {"section": section.title, **finding.as_json()}
                        for section in sections
                        for finding in section.findings
                    ],
                },
                ensure_ascii=False,
                indent=2,
            )
        )
    else:
        _conclude(findings, wrong)
    if wrong:
        raise typer.Exit(1)


async def _check(*, applying: bool, console: Console | None) -> list[Section]:
    sections = []
    status = Console(stderr=True).status("Checking")
    with status:
        async for section in check_up(_SECONDS, applying=applying):
            sections.append(section)
            if console is not None:
                status.stop()
                _show(console, section)
                status.start()
    return sections


def _show(console: Console, section: Section) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(width=_WORD)
    table.add_column(overflow="fold")
    for finding in section.findings:
        mark, word, color = _WORDS[finding.level]
        said = Text.assemble((f"{finding.subject:<{_SUBJECT}}", "bold"), f" {finding.found}")
        if finding.remedy is not None:
            said.append(f"\n→ {finding.remedy}", color)
        table.add_row(Text(f"{mark} {word}", color), said)
    console.print(Text(section.title, "bold"))
    console.print(table)
    console.print()


def _conclude(findings: Sequence[Finding], wrong: Sequence[Finding]) -> None:
    looks = sum(finding.level is Level.NOTICE for finding in findings)
    worst = max((finding.level for finding in findings), default=Level.FINE)
    mark, _, color = _WORDS[worst]
    told = f"{counted(len(wrong), 'thing')} wrong" if wrong else "Nothing is wrong"
    if looks:
        told += f", {looks} worth a look"
    Console(highlight=False).print(Text(f"{mark} {told}.", color))
