"""``dispatcher up`` as a person has it: real processes, real signals."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from dispatcher.events.simulator.portal import DEFAULT_ORGANIZATIONS
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import load_topics
from dispatcher.operations.lag_meter import LagMeter
from dispatcher.rfc3339 import rfc3339
from dispatcher.settings import default_topics_file, load_settings
from tests.support.dispatcher import Api, Up, descendants, is_alive, running
from tests.support.exposed import samples, total
from tests.support.kafka import consume_all
from tests.support.receiver import Received, Receiver, receiver
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)

ORGANIZATION = "org-acceptance"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One for all tests that only use it."""
    with running(Up(tmp_path_factory.mktemp("up") / "data", ("--senders", "1"))) as up:
        yield up
        assert up.interrupt() == 0, "".join(up.output)


def event(name: str) -> str:
    """A line for ``events publish``."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "/portal/objects",
            "type": "object_created",
            "time": rfc3339(datetime.now(UTC)),
            "data": {"organization_id": ORGANIZATION, "entity_type": "Workspace", "entity_name": name},
        }
    )


async def enabled_webhook(api: Api, url: str) -> dict[str, Any]:
    webhook: dict[str, Any] = await api(
        "POST",
        "/webhooks",
        {
            "name": "Acceptance",
            "event_type": "object_created",
            "target_url": url,
            "items": {"all": True},
            "payload_template": {"text": "#entity_name was created", "type": "#event_type"},
        },
    )
    assert webhook["status"] == "disabled"
    assert (await api("POST", f"/webhooks/{webhook['id']}/enable"))["status"] == "enabled"
    return webhook


async def publish_and_receive(up: Up, target: Receiver) -> Received:
    """Publish an event; the call that it leads to."""
    name = f"WS-{uuid4()}"
    up.succeed("events", "publish", "-", given=event(name))
    [call] = await eventually(lambda: target.about(name), timeout=30, what="the call of the target")
    assert json.loads(call.body) == {"text": f"{name} was created", "type": "Object created"}
    return call


async def test_an_event_reaches_its_target_signed_and_shows_in_the_api(up: Up) -> None:
    api = Api(up, ORGANIZATION)
    async with receiver() as target:
        webhook = await enabled_webhook(api, f"{target.url}/signed")
        call = await publish_and_receive(up, target)
    Verifier(webhook["secret"]).verify(call.body, call.headers)
    assert call.headers["webhook-event"] == "object_created"
    assert call.headers["webhook-attempt"] == "1"

    async def shown() -> bool:
        metrics = await api("GET", f"/webhooks/{webhook['id']}/metrics")
        assert metrics["successful"] == 1
        [attempt] = (await api("GET", f"/webhooks/{webhook['id']}/attempts"))["items"]
        assert attempt["status"] == "successful"
        assert attempt["response_code"] == 200
        assert attempt["message_id"] == call.headers["webhook-id"]
        return True

    await eventually(shown, timeout=45)
    sql = f"SELECT status, attempts FROM messages WHERE webhook_id = '{webhook['id']}'"
    assert await up.ask(sql) == [["successful", "1"]]


def test_says_where_to_look_and_how_to_sign_in(up: Up) -> None:
    printed = "".join(up.output)
    assert up.api in printed
    assert "token --organization" in printed
    assert str(up.data_dir) in printed
    assert f"127.0.0.1:{up.clickhouse_port}" in printed


async def test_makes_up_nothing_without_demo(up: Up) -> None:
    token = up.token(*DEFAULT_ORGANIZATIONS)
    for organization in DEFAULT_ORGANIZATIONS:
        assert (await Api(up, organization, token)("GET", "/webhooks"))["items"] == []
    assert await up.ask(f"SELECT count() FROM messages WHERE organization_id != '{ORGANIZATION}'") == [["0"]]
    servers = next(line.split()[-1] for line in up.output if line.strip().startswith("Kafka "))
    clients, topics = KafkaClients(load_settings(), servers), load_topics(default_topics_file())
    assert await consume_all(clients, topics.resources) == []
    for topic in topics.events.values():
        for record in await consume_all(clients, topic):
            assert json.loads(record.value)["data"]["organization_id"] == ORGANIZATION


def test_the_topics_are_as_declared(up: Up) -> None:
    assert "Nothing to change" in up.succeed("topics", "plan")


async def test_lag_knows_who_reads_what(up: Up) -> None:
    servers = next(line.split()[-1] for line in up.output if line.strip().startswith("Kafka "))
    clients, topics = KafkaClients(load_settings(), servers), load_topics(default_topics_file())
    meter = LagMeter(clients, topics, seconds=0.1)

    async def all_at_work() -> bool:
        for group in (await meter.measure()).groups:
            assert group.membership.members, group.reader
            assert {topic for topic, _ in group.membership.assigned} == set(group.reader.topics)
            assert not any(topic.unassigned for topic in group.topics)
        return True

    await eventually(all_at_work, timeout=30, every=0.5)


def test_what_operators_ask_beside_it(up: Up) -> None:
    assert "sender" in up.succeed("lag", "--interval", "200ms")
    told = json.loads(up.run("doctor", "--json").stdout)
    wrong = [each for each in told["findings"] if each["level"] == "problem" and "disk" not in each["subject"]]
    assert wrong == []
    assert {"topics", "webhooks", "ClickHouse", "schema"} <= {each["subject"] for each in told["findings"]}
    assert json.loads(up.succeed("report", "--json"))["totals"]["failed"] == 0


async def test_the_portal_tells_what_the_sender_processes_count(up: Up) -> None:
    async with receiver() as target:
        await enabled_webhook(Api(up, ORGANIZATION), f"{target.url}/counted")
        await publish_and_receive(up, target)

    async def told() -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"{up.api}/metrics") as response:
            found = samples(await response.text())
        assert total(found, "dispatcher_process_up", process="sender process 1") == 1
        assert total(found, "dispatcher_ready") == 5
        assert total(found, "dispatcher_group_members", group="sender") == 1
        return total(found, "dispatcher_attempts_total", status="successful", process="sender process 1") >= 1

    await eventually(told, timeout=60, every=0.5, what="the attempt that the sender process made")


def test_a_second_one_on_the_same_data_is_one_clear_error(up: Up) -> None:
    done = up.run("up")
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "DISPATCHER_DATA_DIR" in errors[0]
    assert "Traceback" not in done.stderr


async def test_a_sender_that_was_killed_is_replaced(up: Up) -> None:
    def senders() -> list[int]:
        return [pid for pid, command in descendants(up.process.pid).items() if "run sender" in command]

    [killed] = senders()
    os.kill(killed, signal.SIGKILL)
    await eventually(lambda: any(pid != killed for pid in senders()), timeout=30, what="another sender")
    async with receiver() as target:
        await enabled_webhook(Api(up, ORGANIZATION), f"{target.url}/replaced")
        await publish_and_receive(up, target)


async def test_a_demonstration_stops_cleanly_and_the_next_start_goes_on_with_its_data(tmp_path: Path) -> None:
    demo_organization = next(iter(DEFAULT_ORGANIZATIONS))
    async with receiver() as target:
        with running(Up(tmp_path / "data", ("--demo", "--senders", "0"))) as up:
            printed = "".join(up.output)
            assert f"{up.api}/api/v1/organizations/{demo_organization}/webhooks" in printed
            assert f"token --organization {demo_organization}" in printed
            token = up.token(ORGANIZATION, demo_organization)
            webhook = await enabled_webhook(Api(up, ORGANIZATION, token), target.url)
            await publish_and_receive(up, target)
            await eventually(lambda: shows_every_outcome(up), timeout=60, every=0.5)
            demonstrated = await ids(Api(up, demo_organization, token))
            assert demonstrated
            children = descendants(up.process.pid)
            assert any("kafka.Kafka" in command for command in children.values())
            assert not any("run sender" in command for command in children.values())
            assert up.interrupt() == 0, "".join(up.output)
            assert not {pid: command for pid, command in children.items() if is_alive(pid)}, "".join(up.output)
            said = up.everything_said()
            assert "given up" not in said
            assert "Event loop is closed" not in said
        with running(Up(tmp_path / "data", ("--senders", "1"))) as up:
            api = Api(up, ORGANIZATION, token)
            assert await ids(api) == [webhook["id"]]
            assert await ids(Api(up, demo_organization, token)) == demonstrated
            await eventually(lambda: counted(api, webhook["id"], 1), timeout=45)
            await publish_and_receive(up, target)
            children = descendants(up.process.pid)
            assert any("run sender" in command for command in children.values())
            up.process.kill()
            await eventually(lambda: not [pid for pid in children if is_alive(pid)], timeout=30, what="the end of all")


async def shows_every_outcome(up: Up) -> bool:
    """Whether what has been recorded succeeded, failed and waits, each of several event types."""
    by_status = dict(await up.ask("SELECT status, uniq(event_type) FROM messages GROUP BY status"))
    [[failed]] = await up.ask("SELECT uniq(event_type) FROM attempts WHERE status = 'failed'")
    assert int(by_status.get("successful", 0)) > 2, by_status
    assert int(by_status.get("pending", 0)) > 1, by_status
    assert int(failed) > 1, failed
    return True


async def ids(api: Api) -> list[str]:
    return [webhook["id"] for webhook in (await api("GET", "/webhooks"))["items"]]


async def counted(api: Api, webhook_id: str, messages: int) -> bool:
    return bool((await api("GET", f"/webhooks/{webhook_id}/metrics"))["successful"] == messages)
