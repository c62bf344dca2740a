import time
from pathlib import Path

import jwt
import pytest
from typer.testing import CliRunner

from dispatcher.cli.token import app
from dispatcher.errors import ConfigurationError
from dispatcher.local_secrets import local_secrets
from dispatcher.portal.auth import Authentication, SharedSecret
from dispatcher.settings import load_settings

SECRET = "a secret of more than thirty-two bytes"


def run(*arguments: str) -> str:
    return CliRunner().invoke(app, arguments, catch_exceptions=False).output.strip()


async def test_the_portal_believes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DISPATCHER_DATA_DIR", str(tmp_path / "data"))
    secret = local_secrets(load_settings(), generate=True).auth_secret
    assert secret is not None
    token = run("--user", "u", "--name", "Ada", "--email", "a@b.example", "--organization", "org-a=Contoso")
    caller = await Authentication(SharedSecret(secret)).caller(f"Bearer {token}")
    assert (caller.id, caller.name, caller.email) == ("u", "Ada", "a@b.example")
    assert caller.organizations["org-a"].name == "Contoso"
    caller.require_admin("org-a")


def test_says_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCHER_AUTH_SECRET", SECRET)
    monkeypatch.setenv("DISPATCHER_AUTH_ISSUER", "https://id.example")
    token = run("--organization", "a", "--organization", "b=B", "--role", "reader", "--ttl", "15m")
    claims = jwt.decode(token, SECRET.encode(), algorithms=["HS256"])
    assert claims["iss"] == "https://id.example"
    assert claims["organizations"] == {"a": {"name": "a", "role": "reader"}, "b": {"name": "B", "role": "reader"}}
    assert 890 < claims["exp"] - time.time() <= 900
    for wrong in (("--ttl", "soon"), ("--ttl", "0s"), ("--ttl", f"{10**9}d"), ("--organization", "=A")):
        assert CliRunner().invoke(app, wrong).exit_code == 2


def test_says_that_there_is_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DISPATCHER_DATA_DIR", str(tmp_path))
    with pytest.raises(ConfigurationError, match="DISPATCHER_AUTH_SECRET"):
        run()


@pytest.mark.parametrize("option", ["--user", "--role"])
def test_a_token_of_nobody_is_not_made(option: str) -> None:
    assert "is empty; such a token opens nothing" in run(option, "")
