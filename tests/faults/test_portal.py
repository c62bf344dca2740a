"""The portal is killed while people change webhooks and send messages again: what it has answered, it has done."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import cycle
from time import monotonic

import aiohttp
import orjson
import pytest

from dispatcher.assembly import RoleName
from dispatcher.portal.audit import AuditRecord, read_audit_record
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.vault import Vault
from dispatcher.webhooks.webhook import Webhook
from tests.support.dispatcher import free_port
from tests.support.fault_table import FaultTable, Row
from tests.support.fleet import Fleet, RoleProcess
from tests.support.kafka import consume_all
from tests.support.mixed_targets import ROLES
from tests.support.portal import Api, Reply, a_token
from tests.support.tally import always, ok
from tests.support.traffic import Traffic
from tests.support.waiting import eventually

KILLS = 5
PEOPLE = 6
MESSAGES = 240
EDITED, RESENT = "org-edited", "org-resent"
GONE = 3
"""Webhooks of each organization whose targets are gone."""

pytestmark = pytest.mark.faults_full


@dataclass(frozen=True)
class State:
    """A webhook as the test left it; its name, URL, template and header all carry the same number."""

    number: int
    enabled: bool = False
    deleted: bool = False


DELETED = State(0, deleted=True)


@dataclass
class Known:
    """What a webhook may be: what was answered is certain, and of what was not either was done or nothing."""

    states: set[State]
    answered: Counter[str] = field(default_factory=Counter)
    """Changes that were answered, as the audit calls them."""

    def did(self, action: str, change: Callable[[State], State], *, certain: bool) -> None:
        after = {state if state.deleted else change(state) for state in self.states}
        self.states = after if certain else self.states | after
        if certain:
            self.answered[action] += 1


class Portal:
    """A portal that is killed and comes back at the same address."""

    def __init__(self, fleet: Fleet, settings: Settings) -> None:
        self._fleet = fleet
        self._settings = settings
        self._port = free_port()
        self._up = asyncio.Event()
        self._process: RoleProcess

    async def start(self) -> None:
        self._process = await self._fleet.start(RoleName.PORTAL, HTTP_PORT=str(self._port))
        self._up.set()

    async def kill(self) -> None:
        self._up.clear()
        await self._process.kill()

    @property
    def process(self) -> RoleProcess:
        return self._process

    @asynccontextmanager
    async def someone(self, name: str, organization: str) -> AsyncIterator["Ask"]:
        """Asks it; None for an answer that did not come, and nobody knows whether it was done."""
        token = a_token(
            self._settings, sub=name, organizations={organization: {"name": "O", "role": "organization_admin"}}
        )
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{self._port}", connector=connector) as session:
            api = Api(session, token, organization)

            async def ask(method: str, path: str, body: object = None) -> Reply | None:
                while True:
                    await self._up.wait()
                    try:
                        reply = await api(method, path, body)
                    except aiohttp.ClientError as error:
                        # aiohttp asks again by itself for a deletion: not connecting says nothing of the first time.
                        if method == "DELETE" or not isinstance(error, aiohttp.ClientConnectorError):
                            return None
                        await asyncio.sleep(0.01)
                        continue
                    if reply.status != 429:
                        return reply
                    await asyncio.sleep(0.1)

            yield ask


Ask = Callable[..., Awaitable[Reply | None]]


class Person:
    """Makes webhooks and changes them, one thing after the other, and sees which of it is answered."""

    def __init__(self, ask: Ask, chance: random.Random, number: int) -> None:
        self.webhooks: dict[str, Known] = {}
        self.answered = 0
        self.unanswered = 0
        self._ask = ask
        self._chance = chance
        self._number = number * 1_000_000

    async def work(self, over: asyncio.Event) -> None:
        while not over.is_set():
            living = [id for id, known in self.webhooks.items() if known.states != {DELETED}]
            if len(living) < 5 or self._chance.random() < 0.1:
                await self._create()
            else:
                await self._change(self._chance.choice(living))

    async def _create(self) -> None:
        self._number += 1
        while True:
            reply = await self._do("POST", "/webhooks", {**configuration(self._number), "event_type": "active_alert"})
            if reply is None:
                continue  # perhaps it was made: then the same again is refused, and names it
            if reply.status == 409:
                self.webhooks[reply.body["webhook"]["id"]] = Known({State(self._number)})
            else:
                assert reply.status == 201, reply
                self.webhooks[reply.body["id"]] = Known({State(self._number)}, Counter(created=1))
            return

    async def _change(self, id: str) -> None:
        known, path = self.webhooks[id], f"/webhooks/{id}"
        self._number += 1
        ways: list[tuple[str, str, object, str, Callable[[State], State]]] = [
            ("PATCH", path, configuration(self._number), "updated", partial(replace, number=self._number)),
            ("POST", f"{path}/enable", None, "enabled", partial(replace, enabled=True)),
            ("POST", f"{path}/disable", None, "disabled", partial(replace, enabled=False)),
            ("DELETE", path, None, "deleted", lambda _: DELETED),
        ]
        method, where, body, action, change = self._chance.choices(ways, (6, 3, 3, 1))[0]
        reply = await self._do(method, where, body)
        if reply is None:
            known.did(action, change, certain=False)
        elif reply.status == 404:
            known.states &= {DELETED}
            assert known.states, f"{id} was lost"
        else:
            assert reply.status in {200, 204}, reply
            known.did(action, change, certain=True)

    async def shown(self) -> dict[str, State]:
        """All webhooks, as the portal shows them."""
        reply = await self._ask("GET", "/webhooks?limit=500")
        assert reply is not None
        assert reply.body["next_cursor"] is None
        return {
            each["id"]: State(each["payload_template"]["number"], each["status"] == "enabled")
            for each in reply.body["items"]
        }

    async def _do(self, method: str, path: str, body: object = None) -> Reply | None:
        reply = await self._ask(method, path, body)
        if reply is None:
            self.unanswered += 1
        else:
            self.answered += 1
        return reply


class Again:
    """Somebody who sends messages again, one after the other, over and over."""

    def __init__(self, ask: Ask, webhook_id: str, messages: list[str]) -> None:
        self.runs: list[tuple[str, int]] = []
        """What was answered."""
        self.unanswered = 0
        self._ask = ask
        self._webhook_id = webhook_id
        self._messages = messages

    async def work(self, over: asyncio.Event) -> None:
        for id in cycle(self._messages):
            if over.is_set():
                return
            reply = await self._ask("POST", f"/webhooks/{self._webhook_id}/messages/{id}/resend")
            if reply is None:
                self.unanswered += 1
            elif reply.status != 409:
                assert reply.status == 202, reply
                self.runs.append((id, reply.body["run"]))


def configuration(number: int) -> dict[str, object]:
    return {
        "name": f"name {number}",
        "target_url": f"https://target.example/{number}",
        "items": {"all": True},
        "payload_template": {"number": number},
        "headers": {"X-Number": str(number)},
    }


def state_of(webhook: Webhook) -> State:
    """What it is, provided that all of it is of one change."""
    (number,) = webhook.payload_template.values()
    assert isinstance(number, int)
    shown = webhook.name, webhook.target_url, webhook.headers["X-Number"]
    assert shown == (f"name {number}", f"https://target.example/{number}", str(number)), "half of a change"
    return State(number, webhook.enabled)


async def test_sigkill_of_the_portal(
    fleet: Fleet, traffic: Traffic, table: FaultTable, settings: Settings, seed: int
) -> None:
    chance, over = random.Random(seed), asyncio.Event()
    resent = await traffic.webhook("resent", ok, RESENT)
    gone = [
        [await traffic.webhook(f"gone-{kill}-{number}-{when}", always(410), f"{when}-{kill}") for number in range(GONE)]
        for kill in range(KILLS)
        for when in ("before", "after")
    ]
    others = await fleet.start(*ROLES)
    portal = Portal(fleet, settings)
    await portal.start()
    await traffic.publish(MESSAGES, [RESENT], 400)
    await traffic.have_arrived()
    await traffic.metrics_are_exact()
    messages = [call.message_id for call in traffic.tally.calls]

    async with AsyncExitStack() as stack:
        key = settings.encryption_key
        assert key is not None
        follower = ConfigFollower(traffic.clients, traffic.topics, Vault(key.get_secret_value()))
        await follower.start()
        stack.push_async_callback(follower.stop)
        people = [
            Person(await stack.enter_async_context(portal.someone(f"user-{n}", EDITED)), chance, n)
            for n in range(1, PEOPLE + 1)
        ]
        again = [
            Again(
                await stack.enter_async_context(portal.someone(f"resender-{part}", RESENT)),
                resent.id,
                messages[part::3],
            )
            for part in range(3)
        ]
        working = [
            *(asyncio.create_task(person.work(over)) for person in people),
            *(asyncio.create_task(each.work(over)) for each in again),
        ]

        def answered() -> int:
            for task in working:
                if task.done():
                    task.result()
            return sum(person.answered for person in people) + sum(len(each.runs) for each in again)

        async def more_are_answered(count: int) -> None:
            until = answered() + count
            await eventually(lambda: answered() >= until, timeout=60, every=0.002, what=f"{count} answers")

        delays = []
        for kill in range(KILLS):
            await more_are_answered(chance.randint(50, 150))
            calls = len(traffic.tally.calls)
            await traffic.publish(1, [f"before-{kill}"])
            await traffic.calls(calls + chance.randint(1, 30))
            await portal.kill()
            await traffic.publish(1, [f"after-{kill}"])
            await traffic.have_arrived()
            await portal.start()
            back = monotonic()
            ended = [webhook.id for webhooks in gone[2 * kill : 2 * kill + 2] for webhook in webhooks]
            await eventually(partial(_none_enabled, follower, ended), timeout=30, what="all are disabled")
            delays.append(monotonic() - back)
        await more_are_answered(100)
        over.set()
        await asyncio.gather(*working)

        await traffic.quiet()
        await follower.catch_up()
        everything = {id: known for person in people for id, known in person.webhooks.items()}
        lost = [id for id, known in everything.items() if _state(follower, id) not in known.states]
        made = {webhook.id for webhook in follower.directory.of_organization(EDITED)}
        twice_audited = await check_audit(traffic, follower, everything)
        shown = await people[0].shown()

    assert not lost
    # A creation that nobody heard of is asked for again, and found.
    assert made <= everything.keys()
    assert shown == {id: _state(follower, id) for id in made}
    unanswered = sum(person.unanswered for person in people) + sum(each.unanswered for each in again)

    runs = [run for each in again for run in each.runs]
    queued = await queued_runs(traffic)
    assert len(set(runs)) == len(runs)
    missing = [run for run in runs if run not in queued]
    twice = sum(times - 1 for times in queued.values())
    assert len(queued) - len(runs) <= sum(each.unanswered for each in again)
    assert await told(traffic) == {webhook.id: 1 for webhooks in gone for webhook in webhooks}
    table.add(
        Row(
            f"SIGKILL of the portal, {KILLS} x, while webhooks are changed and messages sent again",
            messages=sum(person.answered for person in people) + len(runs),
            lost=len(lost) + len(missing),
            twice=twice,
            worst_delay=max(delays),
            notes=(
                f"answered requests, {len(runs):,} of them resends; {unanswered} without an answer, "
                f"each change is in the audit, {twice_audited} of them twice under one id; "
                f"the delay is from the portal's return until "
                f"{2 * GONE} webhooks with 410 are disabled; seed {seed}"
            ),
        )
    )
    assert not missing
    assert twice == 0
    made_again = Counter(call.message_id for call in traffic.tally.calls if call.path == resent.id)
    assert made_again == {id: 1 + sum(message == id for message, _ in queued) for id in messages}
    await traffic.metrics_are_exact(failing=[webhook.id for webhooks in gone for webhook in webhooks])
    fleet.assert_running(others, portal.process)


def _none_enabled(follower: ConfigFollower, ids: Sequence[str]) -> bool:
    webhooks = [follower.directory.get(id) for id in ids]
    return not any(webhook is None or webhook.enabled for webhook in webhooks)


def _state(follower: ConfigFollower, id: str) -> State:
    webhook = follower.directory.get(id)
    return state_of(webhook) if webhook is not None else DELETED


async def check_audit(traffic: Traffic, follower: ConfigFollower, known: Mapping[str, Known]) -> int:
    """Each change that was made is in the audit, answered or not, and nothing else; how many are there twice."""
    made = {id: follower.directory.revision(id) for id in known}
    records: list[AuditRecord] = []

    async def are_all_there() -> bool:
        records[:] = [
            record
            for each in await consume_all(traffic.clients, traffic.topics.audit)
            if (record := read_audit_record(each.value)).webhook_id in known
        ]
        return len({record.entry.id for record in records}) >= sum(made.values())

    await eventually(are_all_there, timeout=60, every=1, what="the audit has every change")
    entries = {record.entry.id: record for record in records}
    assert Counter(record.webhook_id for record in entries.values()) == made
    counted = Counter((record.webhook_id, record.entry.action) for record in entries.values())
    for id, each in known.items():
        for action in ("created", "updated", "deleted"):
            assert counted[id, action] >= each.answered[action], (id, action)
    return len(records) - len(entries)


async def queued_runs(traffic: Traffic) -> Counter[tuple[str, int]]:
    """How often each message was queued anew, by run."""
    topics = traffic.topics.deliveries, traffic.topics.bulk
    records = [record for name in topics for record in await consume_all(traffic.clients, name, timeout=60)]
    headers = [dict(record.headers) for record in records]
    return Counter(
        (each["message"].decode(), int(each["run"]))
        for each in headers
        if each["attempt"] == b"1" and each["run"] != b"1"
    )


async def told(traffic: Traffic) -> Counter[str]:
    """How many different notices there are of each webhook that was disabled."""
    records = [orjson.loads(each.value) for each in await consume_all(traffic.clients, traffic.topics.notices)]
    disabled = {each["id"]: each["data"]["webhook_id"] for each in records if each["type"] == "webhook_disabled"}
    return Counter(disabled.values())
