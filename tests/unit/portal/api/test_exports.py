"""Exports whose client does not read, and exports that break off."""

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from dispatcher.errors import ClickHouseUnavailable
from dispatcher.portal.api import attempts
from dispatcher.portal.api.attempts import AttemptsApi, Log
from dispatcher.portal.feed import AttemptFeed
from dispatcher.recording.history import Attempt, Page
from tests.support.serving import serving
from tests.support.waiting import eventually
from tests.support.webhooks import a_webhook, named_webhooks

PATH = "/api/v1/organizations/org-contoso/webhooks/wh-1/attempts.csv"
REQUEST = f"GET {PATH} HTTP/1.1\r\nHost: portal\r\nConnection: close\r\n\r\n".encode()
ATTEMPT = Attempt("msg_1", 1, 1, "failed", 40, 503, datetime(2026, 11, 23, tzinfo=UTC), "answered 503" * 500, None)


def api(page: Callable[[str | None], Page]) -> AttemptsApi:
    async def pages(*_: str, cursor: str | None, **__: Any) -> Page:
        return page(cursor)

    return AttemptsApi(
        named_webhooks(a_webhook()),
        cast("Log", SimpleNamespace(attempts=pages)),
        cast("AttemptFeed", None),
        lambda: datetime.now(UTC),
        lambda: 0.0,
    )


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


async def test_whoever_reads_nothing_does_not_keep_others_from_exporting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_EXPORTS_AT_ONCE", 1)
    monkeypatch.setattr(attempts, "_UNREAD_SECONDS", 0.3)
    endless = api(lambda _: Page([ATTEMPT] * 500, "more"))
    async with serving(endless.operations()) as url:
        host, port = address(url)
        with socket.create_connection((host, port)) as silent:
            silent.sendall(REQUEST)

            async def exports() -> bool:
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(REQUEST)
                status = (await reader.readline()).split()[1]
                writer.close()
                return status == b"200"

            await eventually(exports, every=0.1)


async def test_an_export_that_breaks_off_ends_and_has_no_second_answer_in_it() -> None:
    def page(cursor: str | None) -> Page:
        if cursor is None:
            return Page([ATTEMPT], "more")
        raise ClickHouseUnavailable("gone")

    async with serving(api(page).operations()) as url:
        reader, writer = await asyncio.open_connection(*address(url))
        writer.write(REQUEST)
        received = b""
        async with asyncio.timeout(10):
            try:
                while piece := await reader.read(65_536):
                    received += piece
            except ConnectionResetError:
                pass
        writer.close()
    assert received.count(b"HTTP/1.1") == 1
    assert b"msg_1-1-1" in received
    assert not received.endswith(b"0\r\n\r\n")
