"""The code that people copy to verify messages does what it says, in every language that runs here."""

import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes

import pytest
from standardwebhooks.webhooks import Webhook

from dispatcher.portal.pages.verifying import samples

BODY = '{"text": "Ñandú #1 <&>"}'
SECRET = "whsec_" + b64encode(token_bytes(32)).decode()

Asked = Callable[[str, dict[str, str]], bool]


def python(_: Path) -> Asked:
    namespace: dict[str, Callable[[str, dict[str, str], bytes], bool]] = {}
    exec(code_of("python"), namespace)
    return lambda secret, headers: namespace["is_from_portal"](secret, headers, BODY.encode())


def node(path: Path) -> Asked:
    program = shutil.which("node") or pytest.skip("no Node is installed")
    (path / "verify.mjs").write_text(code_of("node"))
    (path / "main.mjs").write_text(
        "import { isFromPortal } from './verify.mjs';\n"
        "const [secret, body, ...headers] = process.argv.slice(2);\n"
        "const named = Object.fromEntries(headers.map((one) => one.split(/=(.*)/s)));\n"
        "process.exit(isFromPortal(secret, named, Buffer.from(body)) ? 0 : 3);\n"
    )
    return runs([program, str(path / "main.mjs")])


def go(path: Path) -> Asked:
    program = shutil.which("go") or pytest.skip("no Go is installed")
    (path / "go.mod").write_text("module example\n\ngo 1.19\n")
    (path / "verify.go").write_text(code_of("go").replace("package portal", "package main"))
    (path / "main.go").write_text(
        'package main\n\nimport (\n\t"net/http"\n\t"os"\n\t"strings"\n)\n\nfunc main() {\n\theader := http.Header{}\n'
        '\tfor _, one := range os.Args[3:] {\n\t\tname, value, _ := strings.Cut(one, "=")\n'
        "\t\theader.Set(name, value)\n\t}\n\tif !IsFromPortal(os.Args[1], header, []byte(os.Args[2])) {\n"
        "\t\tos.Exit(3)\n\t}\n}\n"
    )
    subprocess.run([program, "build", "-o", "verify", "."], cwd=path, check=True, capture_output=True)
    return runs([str(path / "verify")])


def runs(command: list[str]) -> Asked:
    def ask(secret: str, headers: dict[str, str]) -> bool:
        named = [f"{name}={value}" for name, value in headers.items()]
        ran = subprocess.run([*command, secret, BODY, *named], check=False, capture_output=True, text=True)
        assert ran.returncode in {0, 3}, ran.stderr
        return ran.returncode == 0

    return ask


def code_of(id: str) -> str:
    return next(sample.code for sample in samples() if sample.id == id)


@pytest.mark.parametrize("language", [python, node, go])
def test_the_code_takes_what_standard_webhooks_signs_and_nothing_else(
    language: Callable[[Path], Asked], tmp_path: Path
) -> None:
    ask = language(tmp_path)
    now = time.time()

    def headers(at: float, id: str = "msg_1", secret: str = SECRET, body: str = BODY) -> dict[str, str]:
        signature = Webhook(secret).sign(id, datetime.fromtimestamp(int(at), UTC), body)
        return {"webhook-id": id, "webhook-timestamp": str(int(at)), "webhook-signature": signature}

    right = headers(now)
    assert ask(SECRET, right)
    assert ask(SECRET, {**right, "webhook-signature": f"v1,AAAA {right['webhook-signature']}"})
    assert not ask(SECRET, {**right, "webhook-id": "msg_2"})
    assert not ask(SECRET, {**right, "webhook-signature": right["webhook-signature"].replace("v1,", "v2,")})
    assert not ask(SECRET, {**right, "webhook-signature": "v1,"})
    assert not ask(SECRET, headers(now, body=f"{BODY} "))
    assert not ask(SECRET, headers(now, secret="whsec_" + b64encode(token_bytes(32)).decode()))
    assert not ask(SECRET, headers(now - 400))
    assert not ask(SECRET, headers(now + 400))


def test_there_is_code_for_each_language() -> None:
    assert [sample.language for sample in samples()] == ["Python", "Node", "Go", "C#"]
