"""The code that people copy to verify messages does what it says, in every language that runs here."""

import os
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

from dispatcher.delivery.signing import sign
from dispatcher.portal.pages.verifying import samples
from dispatcher.webhooks.secrets import key_of, rotate
from dispatcher.webhooks.webhook import SigningSecret

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
    # Not optimized, and without C: on a fresh machine Go compiles all of its net/http, which takes half a minute.
    build = [program, "build", "-gcflags=all=-N -l", "-o", "verify", "."]
    environment = {**os.environ, "CGO_ENABLED": "0"}
    subprocess.run(build, cwd=path, env=environment, check=True, capture_output=True)
    return runs([str(path / "verify")])


def csharp(path: Path) -> Asked:
    compiler, program = (shutil.which(name) or pytest.skip("no Mono is installed") for name in ("mcs", "mono"))
    (path / "verify.cs").write_text(code_of("csharp"))
    # Stands for ASP.NET's, which Mono lacks: a header that is missing is empty there too.
    (path / "main.cs").write_text(
        "using System;\nusing System.Collections.Generic;\nusing System.Text;\nusing Microsoft.AspNetCore.Http;\n\n"
        "namespace Microsoft.AspNetCore.Http {\n"
        "  public interface IHeaderDictionary { string this[string name] { get; } }\n}\n\n"
        "class Headers : Dictionary<string, string>, IHeaderDictionary {\n"
        '  string IHeaderDictionary.this[string name] => TryGetValue(name, out var value) ? value : "";\n}\n\n'
        "static class Program {\n  static int Main(string[] given) {\n    var headers = new Headers();\n"
        "    for (var i = 2; i < given.Length; i++) {\n      var parts = given[i].Split(new[] { '=' }, 2);\n"
        "      headers[parts[0]] = parts[1];\n    }\n"
        "    return Portal.IsFromPortal(given[0], headers, Encoding.UTF8.GetBytes(given[1])) ? 0 : 3;\n  }\n}\n"
    )
    command = [compiler, "-warnaserror", "-out:verify.exe", "verify.cs", "main.cs"]
    subprocess.run(command, cwd=path, check=True, capture_output=True)
    return runs([program, str(path / "verify.exe")])


def runs(command: list[str]) -> Asked:
    def ask(secret: str, headers: dict[str, str]) -> bool:
        named = [f"{name}={value}" for name, value in headers.items()]
        ran = subprocess.run([*command, secret, BODY, *named], check=False, capture_output=True, text=True)
        assert ran.returncode in {0, 3}, ran.stderr
        return ran.returncode == 0

    return ask


def code_of(id: str) -> str:
    return next(sample.code for sample in samples() if sample.id == id)


in_every_language = pytest.mark.parametrize("language", [python, node, go, csharp])


@in_every_language
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


@in_every_language
def test_the_code_refuses_what_is_malformed_and_does_not_fail(
    language: Callable[[Path], Asked], tmp_path: Path
) -> None:
    ask = language(tmp_path)
    timestamp = str(int(time.time()))
    signature = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(int(timestamp), UTC), BODY)
    right = {"webhook-id": "msg_1", "webhook-timestamp": timestamp, "webhook-signature": signature}
    assert ask(SECRET, right)
    assert not ask(SECRET, {})
    for name in right:
        assert not ask(SECRET, {other: value for other, value in right.items() if other != name}), name
    for name, values in {
        "webhook-id": ("", "ñ"),
        "webhook-timestamp": ("", "soon", "2026-11-23T10:15:04Z", "-", f"{timestamp}.5", "9" * 400, "ñ"),
        "webhook-signature": ("", " ", ",", "v1", "v1,%", "ñ"),
    }.items():
        for value in values:
            assert not ask(SECRET, {**right, name: value}), (name, value)


def test_the_code_in_python_refuses_bytes_that_its_server_could_not_read(tmp_path: Path) -> None:
    ask = python(tmp_path)
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,AAAA"}
        assert not ask(SECRET, {**headers, name: "\udcff"})


@in_every_language
def test_the_code_takes_what_is_signed_here_while_a_secret_is_rotated(
    language: Callable[[Path], Asked], tmp_path: Path
) -> None:
    ask = language(tmp_path)
    now = datetime.now(UTC)
    new, old = rotate([SigningSecret(value=SECRET)], now)

    def headers(secrets: list[SigningSecret], at: float) -> dict[str, str]:
        signature = sign([key_of(secret.value) for secret in secrets], "msg_1", int(at), BODY.encode())
        return {"webhook-id": "msg_1", "webhook-timestamp": str(int(at)), "webhook-signature": signature}

    both = headers([new, old], now.timestamp())
    assert ask(old.value, both)
    assert ask(new.value, both)
    assert not ask(old.value, headers([new], now.timestamp()))
    assert not ask(new.value, headers([new, old], now.timestamp() - 400))


def test_there_is_code_for_each_language() -> None:
    assert [sample.language for sample in samples()] == ["Python", "Node", "Go", "C#"]
