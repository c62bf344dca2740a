"""A group of commands that imports a command's module only when it is run, so that help and ``token`` are quick."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer._click import Command, Context
from typer.core import TyperCommand, TyperGroup


class LazyGroup(TyperGroup):
    """Each command is the Typer ``app`` of the module of its name in ``package``, with _ for -.

    ``summaries`` has the names, in the order of the group's help, with the line that it shows for each.
    """

    package: ClassVar[str]
    summaries: ClassVar[Mapping[str, str]]

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, summary in self.summaries.items():
            self.add_command(TyperCommand(name, help=summary))

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """The command itself in the place of the line that describes it."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and command is not None:
            app: typer.Typer = import_module(f"{self.package}.{name.replace('-', '_')}").app
            app._add_completion = False  # noqa: SLF001 - an option of the whole program, not of each command
            command = typer.main.get_command(app)
            command.name = name
        return name, command, rest
