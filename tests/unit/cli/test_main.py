import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
import typer
from aiokafka.errors import TopicAuthorizationFailedError

from dispatcher import cli
from dispatcher.cli import organizations
from dispatcher.errors import ConfigurationError
from dispatcher.kafka.dead_letter_box import DeadLetterBox
from tests.support.dispatcher import DISPATCHER, environment, run


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit status of the command line, in this process."""
    monkeypatch.setattr(sys, "argv", ["dispatcher", *arguments])
    with pytest.raises(SystemExit) as exited:
        cli.main()
    return int(exited.value.code or 0)


def test_help_names_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("up", "run", "topics", "events", "token", "schemas"))


@pytest.mark.parametrize("name", ["up", "run", "topics", "events", "token", "schemas"])
def test_every_command_has_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert call(monkeypatch, name, "--help") == 0
    assert f"dispatcher {name}" in capsys.readouterr().out


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("dispatcher 0.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tokn"], "Did you mean 'token'? (see dispatcher --help)"),
        (["--nope"], "--nope"),
        (["run", "postman"], "'postman' is not one of 'matcher', 'sender', 'relay', 'recorder', 'portal'"),
        (["run"], "see dispatcher run --help"),
        (["up", "--senders", "-1"], "--senders"),
        (["token", "--ttl", "soon"], "such as 15s"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert call(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert said in error


def test_an_error_of_ours_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> None:
        raise ConfigurationError("DISPATCHER_X:\n   is wrong")

    monkeypatch.setattr(cli, "app", fail)
    assert call(monkeypatch) == 1
    assert capsys.readouterr().err == "error: DISPATCHER_X: is wrong\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied"),
        (OSError(28, "No space left on device"), "reading or writing failed: No space left on device"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"), "surrogates not allowed"),
    ],
)
def test_an_error_of_the_system_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert call(monkeypatch) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.endswith(f"{said}\n")
    assert told.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_under_the_output_is_one_line(tmp_path: Path, unbuffered: str) -> None:
    env = {**environment(AUTH_SECRET="s" * 40), "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [DISPATCHER, "token"], env=env, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "error: reading or writing failed: No space left on device\n"


def test_standard_input_that_is_closed_holds_no_events(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISPATCHER_KAFKA_BOOTSTRAP_SERVERS", "kafka.test:9092")
    monkeypatch.setattr(sys, "stdin", None)
    assert call(monkeypatch, "events", "publish", "-") == 1
    assert capsys.readouterr().err == "error: standard input is closed: give it events, or name a file\n"


def test_where_standard_input_is_closed_nobody_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    erase = AsyncMock(return_value={})
    monkeypatch.setattr(organizations, "erase", erase)
    monkeypatch.setenv("DISPATCHER_KAFKA_BOOTSTRAP_SERVERS", "kafka.test:9092")
    monkeypatch.setattr(sys, "stdin", None)
    assert call(monkeypatch, "organizations", "remove", "org-a") == 0
    assert capsys.readouterr().out == "There was nothing of org-a.\n"
    erase.assert_awaited_once()


@pytest.mark.parametrize(
    "command",
    [
        ("organizations", "remove"),
        ("webhooks", "remove"),
        ("events", "simulate", "--organization"),
        ("report", "--organization"),
        ("token", "--user"),
    ],
)
def test_bytes_that_are_no_text_are_no_argument(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert call(monkeypatch, *command, os.fsdecode(b"\xff")) == 2
    assert "is not UTF-8" in capsys.readouterr().err


def test_what_kafka_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = TopicAuthorizationFailedError("webhooks.dead-letter")
    monkeypatch.setattr(DeadLetterBox, "letters", AsyncMock(side_effect=refusal))
    monkeypatch.setenv("DISPATCHER_KAFKA_BOOTSTRAP_SERVERS", "kafka.test:9092")
    assert call(monkeypatch, "dead-letters", "list") == 1
    told = capsys.readouterr().err
    assert told.startswith("error: Kafka's user may not use a topic (")
    assert "webhooks.dead-letter): grant it DESCRIBE on that topic" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, typer.Abort])
def test_ctrl_c_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], interruption: type[BaseException]
) -> None:
    def interrupt(**_: object) -> None:
        raise interruption

    monkeypatch.setattr(cli, "app", interrupt)
    assert call(monkeypatch) == 130
    assert capsys.readouterr().err == ""


def test_help_imports_no_command() -> None:
    script = "import sys; from dispatcher.cli import app; app(['--help'], standalone_mode=False); "
    script += "sys.exit(', '.join(sorted({'aiokafka', 'aiohttp', 'faust', 'chdb', 'pydantic'} & set(sys.modules))))"
    done = run_python(script)
    assert done == ""


def test_a_sender_imports_neither_faust_nor_the_embedded_engine_nor_pages() -> None:
    script = "import sys, dispatcher.cli.run, dispatcher.delivery.sender; "
    script += "sys.exit(', '.join(sorted({'faust', 'chdb', 'clickhouse_connect'} & set(sys.modules))))"
    assert run_python(script) == ""


def run_python(script: str) -> str:
    """What a script in a fresh interpreter exits with."""
    return subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    ).stderr.strip()


def test_a_bad_setting_ends_a_real_process_with_one_line(tmp_path: Path) -> None:
    done = run("up", env=environment(HTTP_PORT="eighty"), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: DISPATCHER_HTTP_PORT: ")
    assert done.stderr.count("\n") == 1
