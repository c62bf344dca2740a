"""The API's *test* calls what a sender would call, and nothing else."""

from typing import Any

import pytest

from dispatcher.settings import Settings
from tests.support.portal import MEMBERS, Api
from tests.support.raw_target import OK, answering, listening


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Nothing but the public internet may be called."""
    return settings.model_copy(update={"allowed_target_networks": ()})


HERE = ["127.0.0.1", "0x7f.1", "2130706433", "localhost", "[::ffff:127.0.0.1]", "①②⑦.⓪.⓪.①", "x.localhost."]
METADATA = ["169.254.169.254", "[fd00:ec2::254]", "168.63.129.16", "100.100.100.200", "192.0.0.192"]

REFUSED = "calls to addresses that are not public are not permitted: "


async def result_of(api: Api, url: str) -> Any:
    """What a test of a webhook with that URL is answered."""
    id = (await api.create(target_url=url))["id"]
    return (await api("POST", f"/webhooks/{id}/test")).body


async def test_no_address_of_this_machine_is_called(api: Api) -> None:
    async with listening(answering(OK)) as target:
        for number, host in enumerate(HERE):
            # A path each: they are one URL in many spellings.
            result = await result_of(api, f"http://{host}:{target.port}/{number}")
            shown = result["status"], result["response_code"], result["response_body"]
            assert shown == ("failed", None, ""), host
            assert result["error"].startswith(REFUSED), host
        assert target.connections == 0


async def test_no_clouds_metadata_is_called(api: Api) -> None:
    for host in METADATA:
        result = await result_of(api, f"http://{host}/latest/meta-data/")
        assert result["error"].startswith(REFUSED), host
        assert result["duration_ms"] < 1_000, host


async def test_credentials_in_a_url_are_refused(api: Api) -> None:
    reply = await api("POST", "/webhooks", {**MEMBERS, "target_url": "http://me:secret@example.com/"})
    assert reply.status == 422
    assert "credentials" in str(reply.body)
