"""The ``dispatcher`` command."""

import os
import signal
import sys
from importlib.metadata import version
from typing import Annotated, Never

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError, UsageError

from dispatcher.cli.lazy import LazyGroup
from dispatcher.errors import DispatcherError


class _Commands(LazyGroup):
    """Each command is the Typer ``app`` of the module of its name."""

    package = "dispatcher.cli"
    summaries = {  # noqa: RUF012 - one table, never changed
        "up": "Run every role on this machine, with an embedded Kafka and ClickHouse.",
        "run": "Run one or several roles against configured servers.",
        "topics": "Compare topics.yaml with the cluster, or make the cluster match it.",
        "lag": "Show what waits in each consumer group, for how long, and when it will be done with.",
        "doctor": "Check settings, Kafka, topics, ClickHouse, and say how to put right what is wrong.",
        "report": "Show what arrived and what failed, with plots, in the terminal or as an HTML page.",
        "events": "Publish events from a file, or simulate Portal.",
        "dead-letters": "Look at records that could not be understood, or send them again.",
        "organizations": "Erase an organization.",
        "webhooks": "Delete webhooks that cannot be read any more.",
        "token": "Print a bearer token for the API.",
        "schemas": "Write, or check, the JSON Schemas and the AsyncAPI document.",
    }


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Calls the URLs that organizations configured about what happens in Portal. "
    "Settings are environment variables, DISPATCHER_…, also read from a .env file.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dispatcher {version('portal-webhook-dispatcher')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> Never:
    """Run the command line and exit.

    1 with one line where something is wrong, 2 where the command line is, 130 after Ctrl-C.
    """
    try:
        sys.exit(app(prog_name="dispatcher", standalone_mode=False))
    except NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "dispatcher"
        _fail(f"{error.format_message()} (see {where} --help)", error.exit_code)
    except ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except DispatcherError as error:
        _fail(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(128 + signal.SIGINT)
    except UnicodeError as error:
        _fail(f"a text cannot be read, or not be written: {error}", 1)
    except OSError as error:
        _give_up_output()
        said = error.strerror or type(error).__name__
        _fail(f"{error.filename or 'reading or writing failed'}: {said}", 1)


def _fail(message: str, status: int) -> Never:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(status)


def _give_up_output() -> None:
    """Drop what standard output does not take: Python would try once more at its end, and end with another status."""
    try:
        typer.echo(nl=False)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
