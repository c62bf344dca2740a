"""The API's *test* calls what a sender would call, and nothing else."""

import pytest

from dispatcher.settings import Settings
from tests.integration.portal.conftest import MEMBERS, Api
from tests.support.raw_target import OK, answering, listening


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Nothing but the public internet may be called."""
    return settings.model_copy(update={"allowed_target_networks": ()})


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "0x7f.1", "2130706433", "localhost", "[::ffff:127.0.0.1]", "①②⑦.⓪.⓪.①", "x.localhost."]
)
async def test_no_address_of_this_machine_is_called(api: Api, host: str) -> None:
    async with listening(answering(OK)) as target:
        id = (await api.create(target_url=f"http://{host}:{target.port}/"))["id"]
        result = (await api("POST", f"/webhooks/{id}/test")).body
        assert target.connections == 0
    assert (result["status"], result["response_code"], result["response_body"]) == ("failed", None, "")
    assert result["error"].startswith("calls to addresses that are not public are not permitted: ")


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fd00:ec2::254]", "168.63.129.16", "100.100.100.200", "192.0.0.192"]
)
async def test_no_clouds_metadata_is_called(api: Api, host: str) -> None:
    id = (await api.create(target_url=f"http://{host}/latest/meta-data/"))["id"]
    result = (await api("POST", f"/webhooks/{id}/test")).body
    assert result["error"].startswith("calls to addresses that are not public are not permitted: ")
    assert result["duration_ms"] < 1_000


async def test_credentials_in_a_url_are_refused(api: Api) -> None:
    reply = await api("POST", "/webhooks", {**MEMBERS, "target_url": "http://me:secret@example.com/"})
    assert reply.status == 422
    assert "credentials" in str(reply.body)
