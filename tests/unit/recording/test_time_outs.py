"""A ClickHouse that does not answer in time, and one that is not there, can be told apart."""

import socket
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from dispatcher.errors import ClickHouseUnavailable
from dispatcher.recording import clickhouse
from dispatcher.recording.clickhouse import ClickHouse, ClickHouseTimedOut


async def error_of(port: int) -> ClickHouseUnavailable:
    """What an insert ends with; a question ends with the same, and is counted."""
    asked = ClickHouse(f"http://127.0.0.1:{port}/webhooks")
    before = failed_reads()
    try:
        with pytest.raises(ClickHouseUnavailable) as raised:
            await asked.insert("outcomes", b"{}")
        assert failed_reads() == before
        with pytest.raises(type(raised.value)):
            await asked.query("SELECT 1")
    finally:
        await asked.close()
    kind = "timeout" if isinstance(raised.value, ClickHouseTimedOut) else "error"
    assert failed_reads() == {**before, kind: before[kind] + 1}
    return raised.value


def failed_reads() -> dict[str, float]:
    name = "dispatcher_clickhouse_read_failures_total"
    return {reason: REGISTRY.get_sample_value(name, {"reason": reason}) or 0 for reason in ("timeout", "error")}


async def test_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clickhouse, "_CLIENT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert isinstance(await error_of(silent.getsockname()[1]), ClickHouseTimedOut)


async def test_nobody_there() -> None:
    with socket.socket() as bound:  # and never listening
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        error = await error_of(port)
    assert not isinstance(error, ClickHouseTimedOut)
    assert str(error) == (
        f"ClickHouse does not answer at http://127.0.0.1:{port}/webhooks (Connection refused): start it, or correct "
        "DISPATCHER_CLICKHOUSE_URL"
    )


@pytest.mark.parametrize(("patience", "seconds", "upkeep"), [(None, 25, 600), (900, 900, 900)])
async def test_a_statement_may_take_as_long_as_who_asks_is_patient_and_upkeep_takes_minutes(
    tmp_path: Path, patience: int | None, seconds: int, upkeep: int
) -> None:
    limit = "toUInt32(getSetting('max_execution_time')) AS seconds"
    asked = ClickHouse(f"chdb://{tmp_path}", database="default", patience=patience)
    try:
        rows = await asked.query(f"SELECT {limit}")
        await asked.command("CREATE TABLE kept (seconds UInt32) ENGINE = MergeTree ORDER BY seconds")
        await asked.maintain(f"INSERT INTO kept SELECT {limit}")
        rows += await asked.query("SELECT seconds FROM kept")
    finally:
        await asked.close()
    assert rows == [{"seconds": seconds}, {"seconds": upkeep}]
