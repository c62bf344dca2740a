"""The commands in docs/api.md do what they say."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from dispatcher.portal.app import Portal
from dispatcher.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "api.md"

# Fails where an answer is an error, and shows each answer.
CURL = 'curl() { command curl --silent --show-error --fail-with-body --write-out "\\n%{http_code}\\n" "$@"; }'


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: install it, and the examples are run")
async def test_the_examples_on_the_page(portal: Portal, settings: Settings, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    script = "\n".join((CURL, "set -e -u -o pipefail", *blocks))
    script = script.replace("http://127.0.0.1:8080", portal.url)
    create = re.search(r"curl [^\n]*\$ORG/webhooks -d '.*?\n}'", script, re.DOTALL)
    assert create is not None
    script = script.replace(create[0], f"{create[0]} | tee created")
    script = re.sub(
        r"^ID=.*$", r"""ID=$(grep -o '"id":"wh_[0-9a-f]*' created | cut -d'"' -f4)""", script, flags=re.MULTILINE
    )
    assert settings.auth_secret is not None
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DISPATCHER_AUTH_SECRET": settings.auth_secret.get_secret_value(),
    }
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script, cwd=tmp_path, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    statuses = re.findall(r"^(\d{3})$", output, re.MULTILINE)
    assert statuses == ["200", "200", "201", *["200"] * 6, "202", *["200"] * 4, "204"], output
    assert (tmp_path / "attempts.csv").read_text(encoding="utf-8").startswith("id,message_id")
