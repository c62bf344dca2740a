import io
import json
import logging

import pytest
import structlog

from dispatcher.observability.logs import configure_logging
from dispatcher.settings import load_settings

pytestmark = pytest.mark.usefixtures("restored_logging")


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def log_a_failure(secret: str) -> None:
    """From a frame that has a secret in a local variable."""
    try:
        int(secret[:0])
    except ValueError:
        structlog.get_logger("dispatcher.x").exception("failed")


def test_ours_and_the_libraries_are_json_lines_where_nobody_watches() -> None:
    stream = io.StringIO()
    configure_logging(load_settings(), stream)
    structlog.get_logger("dispatcher.x").info("delivered", webhook_id="wh_1")
    logging.getLogger("aiokafka.consumer").warning("no %s", "coordinator")
    ours, theirs = lines(stream)
    assert (ours["event"], ours["webhook_id"], ours["level"], ours["logger"]) == (
        "delivered",
        "wh_1",
        "info",
        "dispatcher.x",
    )
    assert str(ours["timestamp"]).endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("no coordinator", "warning", "aiokafka.consumer")


def test_a_traceback_is_part_of_the_line() -> None:
    stream = io.StringIO()
    configure_logging(load_settings(), stream)
    log_a_failure("seven")
    [line] = lines(stream)
    assert "ValueError: invalid literal" in str(line["exception"])


def test_the_console_shows_no_local_variables() -> None:
    stream = io.StringIO()
    configure_logging(load_settings(log_format="console"), stream)
    log_a_failure("whsec_" + "x" * 8)
    assert "ValueError: invalid literal" in stream.getvalue()
    assert "xxxxxxxx" not in stream.getvalue()


def test_what_libraries_say_of_themselves_is_for_debugging() -> None:
    stream = io.StringIO()
    configure_logging(load_settings(), stream)
    logging.getLogger("aiokafka").info("joined group")
    logging.getLogger("mode.timers").warning("Timer commit is overlapping (interval=%r)", 0.1)
    assert not stream.getvalue()
    configure_logging(load_settings(log_level="debug"), stream)
    logging.getLogger("aiokafka").info("joined group")
    assert len(lines(stream)) == 1


def test_the_level_holds_for_all() -> None:
    stream = io.StringIO()
    configure_logging(load_settings(log_level="error"), stream)
    structlog.get_logger("dispatcher.x").warning("no")
    logging.getLogger("aiokafka").warning("no")
    assert not stream.getvalue()
