"""Commands beside a cluster."""

from pathlib import Path

import pytest

from dispatcher.settings import Settings
from tests.support.commands import Command


@pytest.fixture
def command(settings: Settings, tmp_path: Path) -> Command:
    return Command(settings, tmp_path)
