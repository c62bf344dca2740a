"""The runbook's commands exist with their options, and its links lead somewhere."""

import re
import shlex

import pytest
from typer.testing import CliRunner

from dispatcher.cli import app
from tests.support.runbook import GUIDE, RUNBOOK

COMMANDS = sorted(
    {
        *re.findall(r"`(dispatcher [^`…]+)`", RUNBOOK),
        *(line.partition("#")[0].strip() for line in RUNBOOK.splitlines() if line.startswith("dispatcher ")),
    }
)
LINKS = re.findall(r"\]\(#([^)]+)\)", RUNBOOK)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_and_their_options_exist(command: str) -> None:
    done = CliRunner().invoke(app, [*shlex.split(command)[1:], "--help"])
    assert done.exit_code == 0, done.output


def test_links_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", GUIDE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(LINKS) <= anchors
