"""Answers are counted by the class of their status, but for those to probes and to who scrapes."""

import aiohttp
from prometheus_client import REGISTRY
from pydantic import BaseModel

from dispatcher.errors import ClickHouseUnavailable
from dispatcher.observability import endpoint
from dispatcher.portal.api.operation import Answer, Call, NoBody, NoQuery, Operation
from tests.support.serving import serving


class Figure(BaseModel):
    figure: int = 1


async def told(_: Call[NoQuery, NoBody]) -> Answer[Figure]:
    return Answer(Figure())


async def away(_: Call[NoQuery, NoBody]) -> Answer[Figure]:
    raise ClickHouseUnavailable("ClickHouse does not let anybody in")


TOLD = Operation("GET", "/api/v1/told", "A figure", told, NoQuery, NoBody, Figure)
AWAY = Operation("GET", "/api/v1/away", "No figure", away, NoQuery, NoBody, Figure)


def counted() -> dict[str, float]:
    name = "dispatcher_http_responses_total"
    return {status: REGISTRY.get_sample_value(name, {"status": status}) or 0 for status in ("2xx", "4xx", "5xx")}


async def test_by_the_class_of_their_status() -> None:
    before = counted()
    paths = [TOLD.path, AWAY.path, AWAY.path, "/nothing", endpoint.LIVE, endpoint.READY, endpoint.METRICS]
    async with serving([TOLD, AWAY]) as url, aiohttp.ClientSession() as session:
        for path in paths:
            async with session.get(f"{url}{path}") as response:
                await response.read()
    after = counted()
    assert {status: after[status] - before[status] for status in after} == {"2xx": 1, "4xx": 1, "5xx": 2}
