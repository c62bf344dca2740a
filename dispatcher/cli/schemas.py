"""``dispatcher schemas``: write, or check, the JSON Schemas and the AsyncAPI document."""

from pathlib import Path
from typing import Annotated

import typer

from dispatcher.errors import DispatcherError
from dispatcher.kafka.topics import load_topics
from dispatcher.schemas import files
from dispatcher.settings import default_topics_file

app = typer.Typer(no_args_is_help=True, help="Write, or check, the JSON Schemas and the AsyncAPI document.")

Directory = Annotated[
    Path, typer.Option("--directory", file_okay=False, help="Where the files are.", show_default="the checkout's")
]

_DIRECTORY = Path(__file__).parents[2] / "schemas"


def _generated() -> dict[str, str]:
    # Whatever an installation's own topics.yaml says, these files are about the one that comes with the program.
    return files.generated_files(load_topics(default_topics_file()))


@app.command("write")
def write_schemas(directory: Directory = _DIRECTORY) -> None:
    """Generate the files anew."""
    try:
        changed = files.write(directory, _generated())
    except OSError as error:
        raise DispatcherError(f"{directory} cannot be written: {error.strerror}") from None
    for name in changed:
        typer.echo(f"changed {directory / name}")
    if not changed:
        typer.echo("nothing to change")


@app.command("check")
def check_schemas(directory: Directory = _DIRECTORY) -> None:
    """Fail, naming the files, where they are not what the code says."""
    names = files.drifted(directory, _generated())
    if names:
        raise DispatcherError(f"not as the code says: {', '.join(names)}; run: dispatcher schemas write")
    typer.echo("as the code says")
