"""What analysts reach on loopback: the real client, curl's requests, and nothing beyond the database."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import clickhouse_connect
import pytest

from dispatcher.errors import ConfigurationError
from dispatcher.recording.clickhouse import ClickHouse, QueryFailed
from dispatcher.recording.delivery_log import DeliveryLog
from dispatcher.recording.http_port import HttpPort
from tests.support.clickhouse import ORGANIZATION, WEBHOOK, insert, outcome

NOW = int(time.time() * 1000)


@pytest.fixture
async def port(embedded: ClickHouse) -> AsyncIterator[HttpPort]:
    await insert(embedded, [outcome("m", 1, "successful", at=NOW)])
    port = HttpPort(embedded, 0)
    await port.start()
    yield port
    await port.stop()


@pytest.fixture
async def http(port: HttpPort) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port.port}") as session:
        yield session


async def ask(http: aiohttp.ClientSession, query: str, **parameters: str) -> tuple[int, str]:
    async with http.get("/", params={"query": query, **parameters}) as answer:
        return answer.status, (await answer.text()).strip()


async def test_the_real_client_asks(port: HttpPort, embedded: ClickHouse) -> None:
    def session() -> Any:
        client = clickhouse_connect.get_client(host="127.0.0.1", port=port.port, database=embedded.database)
        try:
            bound = client.query("SELECT {x:String} AS x, {n:UInt8} AS n", parameters={"x": "a'b", "n": 3}).result_rows
            return client.query("SELECT message_id, status, attempts FROM messages").result_rows, bound
        finally:
            client.close()

    assert await asyncio.to_thread(session) == ([("m", "successful", 1)], [("a'b", 3)])


async def test_parameters_that_are_too_long_for_an_address(
    port: HttpPort, http: aiohttp.ClientSession, embedded: ClickHouse
) -> None:
    store = ClickHouse(f"http://127.0.0.1:{port.port}", database=embedded.database)
    ids = [f"msg_{number:026}" for number in range(2_000)]
    try:
        [row] = await store.query(
            "SELECT length({ids:Array(String)}) AS n, {ids:Array(String)}[-1] AS last", {"ids": ids}
        )
    finally:
        await store.close()
    assert row == {"n": 2_000, "last": ids[-1]}

    external = aiohttp.FormData({"query": "SELECT * FROM t"})
    external.add_field("t", b"1", filename="t")
    async with http.post("/", data=external) as answer:
        assert answer.status == 500
        assert "takes no external data, and t is such" in await answer.text()
    written = aiohttp.FormData({"query": "DROP TABLE outcomes"}, default_to_multipart=True)
    async with http.post("/", data=written) as answer:
        assert answer.status == 403


async def test_our_own_client_asks_as_doctor_and_report_do(port: HttpPort, embedded: ClickHouse) -> None:
    store = ClickHouse(f"http://127.0.0.1:{port.port}", database=embedded.database)
    assert (await DeliveryLog(store).metrics(ORGANIZATION, WEBHOOK)).successful == 1
    with pytest.raises(QueryFailed, match="READONLY"):
        await store.command("DROP TABLE outcomes")
    await store.close()


async def test_plain_requests(http: aiohttp.ClientSession) -> None:
    for path in ("/ping", "/"):
        async with http.get(path) as answer:
            assert await answer.text() == "Ok.\n"
    assert await ask(http, "SELECT status FROM messages") == (200, "successful")
    assert await ask(http, "SELECT {x:UInt8} + 1", param_x="4") == (200, "5")
    assert await ask(http, "SELECT 1 AS a", default_format="JSONEachRow") == (200, '{"a":1}')
    assert await ask(http, "SELECT number FROM numbers(3)", max_result_rows="2", result_overflow_mode="break")
    async with http.post("/", data="SELECT 2 FORMAT CSV", params={"user": "x", "password": "y"}) as answer:
        assert await answer.text() == "2\n"
        assert answer.headers["X-ClickHouse-Format"] == "CSV"
        assert "read_rows" in answer.headers["X-ClickHouse-Summary"]
    async with http.post("/", params={"query": "SELECT 3"}, data="\n+ 4") as answer:
        assert await answer.text() == "7\n"


@pytest.mark.parametrize(
    ("query", "parameters", "status", "code"),
    [
        ("SELECT * FROM nowhere", {}, 404, 60),
        ("SELECT 1 FORM", {"database": "nowhere"}, 404, 81),
        ("SELECT (", {}, 400, 62),
        ("SELECT 1", {"no_such_setting": "1"}, 404, 115),
        ("SELECT 1", {"a-b": "1"}, 404, 115),
        ("INSERT INTO queued (run) VALUES (1)", {}, 403, 164),
        ("SELECT 1 SETTINGS readonly = 0", {}, 403, 164),
        ("SELECT sleepEachRow(1) FROM numbers(9)", {"max_execution_time": "0.1", "max_block_size": "1"}, 408, 159),
    ],
)
async def test_errors_are_the_engines_own(
    http: aiohttp.ClientSession, query: str, parameters: dict[str, str], status: int, code: int
) -> None:
    async with http.get("/", params={"query": query, **parameters}) as answer:
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
        assert f"Code: {code}." in await answer.text()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT file('{path}')",
        "SELECT arrayMap(file, ['{path}'])",
        "SELECT * FROM file('{path}', 'LineAsString')",
        "SELECT * FROM '{path}'",
        "SELECT * FROM `{path}`",
        "DESCRIBE TABLE file('{path}')",
        "EXPLAIN SELECT file('{path}')",
        "SELECT * FROM executable('cat {path}', 'TSV', 'a String')",
        "SELECT * FROM url('file://{path}', 'LineAsString')",
        "SELECT * FROM sqlite('{path}', 't')",
        "SELECT * FROM loop(file('{path}'))",
        "SELECT * FROM view(SELECT file('{path}'))",
        "SELECT * FROM viewExplain('', '', (SELECT file('{path}')))",
        "WITH (SELECT file('{path}')) AS x SELECT x",
    ],
)
async def test_no_file_is_read(http: aiohttp.ClientSession, tmp_path: Path, query: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the-secret")
    asked = query.replace("{path}", str(secret))
    for status, text in (await ask(http, asked, readonly="0"), await ask(http, asked, database="default")):
        assert status in {403, 404}
        assert "the-secret" not in text


async def test_nothing_is_written(http: aiohttp.ClientSession, embedded: ClickHouse, tmp_path: Path) -> None:
    for statement in (
        f"SELECT 1 INTO OUTFILE '{tmp_path}/out'",
        f"INSERT INTO FUNCTION file('{tmp_path}/out', 'CSV', 'a Int8') VALUES (1)",
        "CREATE TEMPORARY TABLE t (a Int8)",
        "TRUNCATE TABLE attempt_states",
        "SYSTEM STOP MERGES",
        "KILL QUERY WHERE 1",
        "OPTIMIZE TABLE attempt_states",
    ):
        assert (await ask(http, statement))[0] == 403
    assert not os.listdir(tmp_path)  # noqa: PTH208
    assert await embedded.query("SELECT status FROM messages") == [{"status": "successful"}]


async def test_one_query_changes_nothing_for_the_next(http: aiohttp.ClientSession) -> None:
    assert (await ask(http, "SELECT getSetting('max_threads')", max_threads="1"))[1] == "1"
    assert (await ask(http, "SELECT getSetting('readonly')", readonly="0")) == (200, "1")
    assert (await ask(http, "SELECT getSetting('max_result_rows')"))[1] == "0"


async def test_a_page_elsewhere_cannot_point_its_own_name_here(http: aiohttp.ClientSession) -> None:
    async with http.get("/", params={"query": "SELECT 1"}, headers={"Host": "evil.test"}) as answer:
        assert answer.status == 403
    async with http.get("/", params={"query": "SELECT 1"}, headers={"Host": "localhost:8123"}) as answer:
        assert answer.status == 200


async def test_a_port_that_is_taken_is_one_clear_error(port: HttpPort, embedded: ClickHouse) -> None:
    other = HttpPort(embedded, port.port)
    with pytest.raises(ConfigurationError, match="DISPATCHER_CLICKHOUSE_HTTP_PORT"):
        await other.start()
    assert other._sessions._held is None


def test_a_server_has_its_own_port() -> None:
    with pytest.raises(ValueError, match="server"):
        HttpPort(ClickHouse("http://ch:8123"))
