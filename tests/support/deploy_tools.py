"""The programs of requirements-deploy.txt that look at files of deploy/."""

import shutil
import sys
from pathlib import Path

import pytest


def deploy_tool(name: str) -> str:
    """The path of one, in this environment or on the PATH; a test that needs it is skipped where it is missing."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here: uv pip install --require-hashes -r requirements-deploy.txt")
    return found
