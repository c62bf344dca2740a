"""A message with its attempts through the API."""

from datetime import UTC, datetime

from dispatcher.recording.clickhouse import ClickHouse
from tests.support.clickhouse import ON_A_SERVER_TOO, insert, outcome
from tests.support.portal import Api

pytestmark = ON_A_SERVER_TOO

NOW = int(datetime.now(UTC).timestamp() * 1000)


async def test_a_message_has_the_attempts_of_all_its_runs_and_the_one_to_come(api: Api, clickhouse: ClickHouse) -> None:
    id = (await api.create())["id"]
    await insert(
        clickhouse,
        [
            outcome("msg_1", 1, "failed", at=NOW - 9_000, webhook_id=id, next_attempt_at=NOW - 4_000),
            outcome("msg_1", 2, "failed", at=NOW - 4_000, webhook_id=id),
            outcome("msg_1", 1, "failed", at=NOW - 1_000, webhook_id=id, run=2, next_attempt_at=NOW + 60_000),
            outcome("msg_2", 1, "successful", at=NOW, webhook_id=id),
        ],
    )
    message = (await api("GET", f"/webhooks/{id}/messages/msg_1")).body
    assert (message["status"], message["runs"], message["finished_on"]) == ("pending", 2, None)
    told = [(one["run"], one["attempt"], one["status"]) for one in message["attempts"]]
    assert told == [(2, 2, "pending"), (2, 1, "failed"), (1, 2, "failed"), (1, 1, "failed")]
    assert message["attempts"][0]["next_attempt_at"] is not None


async def test_a_message_of_another_webhook_is_not_there(api: Api, clickhouse: ClickHouse) -> None:
    id, other = (await api.create())["id"], (await api.create(name="Other", items={"all": True}))["id"]
    await insert(clickhouse, [outcome("msg_1", 1, "successful", at=NOW, webhook_id=other)])
    assert (await api("GET", f"/webhooks/{other}/messages/msg_1")).status == 200
    assert (await api("GET", f"/webhooks/{id}/messages/msg_1")).status == 404
