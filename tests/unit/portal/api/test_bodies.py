"""Bodies that are not as the request's headers say are the client's fault, and are told so."""

import aiohttp
import pytest
from aiohttp import web
from pydantic import BaseModel

from dispatcher.portal.api.operation import Answer, Body, Call, NoQuery, Operation
from dispatcher.portal.pages.visit import Visit
from dispatcher.portal.pages.wiring import Page
from tests.support.serving import serving


class Number(Body):
    number: int = 0


class Done(BaseModel):
    done: bool = True


async def number(_: Call[NoQuery, Number]) -> Answer[Done]:
    return Answer(Done())


async def form(visit: Visit) -> web.Response:
    return web.Response(text=visit.fields.get("a", ""))


NUMBERS = Operation("POST", "/api/v1/numbers", "Take a number", number, NoQuery, Number, Done)
FORM = Page("/form", post=form, open=True)
MULTIPART = "multipart/form-data; boundary=abc"
PART = b"--abc\r\nContent-Disposition: form-data; name=a\r\n"


@pytest.mark.parametrize(
    ("path", "body", "content_type", "encoding"),
    [
        (NUMBERS.path, b"not compressed", "application/json", "gzip"),
        (NUMBERS.path, b"not compressed", "application/json", "deflate"),
        (FORM.path, b"not compressed", "application/x-www-form-urlencoded", "gzip"),
        (FORM.path, b"a=\xff", "application/x-www-form-urlencoded", None),
        (FORM.path, b"a=1", "application/x-www-form-urlencoded; charset=nonsense", None),
        (FORM.path, b"a=1", "multipart/form-data", None),
        (FORM.path, b"a=1", MULTIPART, None),
        (FORM.path, b"--abc\r\nno header", MULTIPART, None),
        (FORM.path, PART + b"Content-Transfer-Encoding: nonsense\r\n\r\n1\r\n--abc--\r\n", MULTIPART, None),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_bad_request(
    path: str, body: bytes, content_type: str, encoding: str | None
) -> None:
    headers = {"Content-Type": content_type, **({"Content-Encoding": encoding} if encoding else {})}
    async with (
        serving([NUMBERS], [FORM]) as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}{path}", data=body, headers=headers) as response,
    ):
        text = await response.text()
    assert response.status == 400
    assert "not as its headers say" in text or "did not arrive whole" in text


@pytest.mark.parametrize("path", [NUMBERS.path, FORM.path, "/nowhere"])
async def test_an_expectation_that_nobody_meets_is_a_problem(path: str) -> None:
    async with (
        serving([NUMBERS], [FORM]) as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}{path}", json={"number": 1}, headers={"Expect": "wonders"}) as response,
    ):
        assert (response.status, response.content_type) == (417, "application/problem+json")
        assert (await response.json())["status"] == 417


async def test_who_asks_whether_to_go_on_is_told_so() -> None:
    async with (
        serving([NUMBERS]) as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}{NUMBERS.path}", json={"number": 1}, expect100=True) as response,
    ):
        assert (response.status, await response.json()) == (200, {"done": True})


async def test_a_form_is_read() -> None:
    async with serving(pages=[FORM]) as url, aiohttp.ClientSession() as session:
        for form in (aiohttp.FormData({"a": "1"}), aiohttp.FormData({"a": "1"}, default_to_multipart=True)):
            async with session.post(f"{url}{FORM.path}", data=form) as response:
                assert (response.status, await response.text()) == (200, "1")
