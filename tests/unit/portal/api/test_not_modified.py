"""Who has what would be answered is told so, and is not sent it again."""

import aiohttp
import pytest
from pydantic import BaseModel

from dispatcher.portal.api.operation import Answer, Call, NoBody, NoQuery, Operation
from tests.support.serving import serving


class Done(BaseModel):
    done: bool = True


async def done(_: Call[NoQuery, NoBody]) -> Answer[Done]:
    return Answer(Done(), {"ETag": '"7"'})


OPERATIONS = [Operation(method, "/api/v1/one", "Do", done, NoQuery, NoBody, Done) for method in ("GET", "POST")]


@pytest.mark.parametrize(
    ("has", "status"),
    [('"7"', 304), ('W/"7"', 304), ('"6", "7"', 304), ("*", 304), ('"6"', 200), ("7", 200), ("", 200)],
)
async def test_an_answer_that_the_client_has_is_not_sent_again(has: str, status: int) -> None:
    async with serving(OPERATIONS) as url, aiohttp.ClientSession(headers={"If-None-Match": has}) as client:
        async with client.get(f"{url}/api/v1/one") as response:
            assert (response.status, response.headers["ETag"]) == (status, '"7"')
            assert bool(await response.read()) == (status == 200)
            assert "RateLimit" in response.headers
        # It is for reading: what changes something is done.
        async with client.post(f"{url}/api/v1/one") as response:
            assert response.status == 200
