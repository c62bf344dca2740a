"""Two portals, a matcher's follower, and many who change the same webhooks at once.

What is done follows from a seed. What must have come of it is worked out from the log alone, record by record.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic
from typing import Literal, get_args

import aiohttp
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.compacted import CompactedTopic
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.portal.app import Portal
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.settings import Settings
from dispatcher.webhooks.change import Place, read_place, read_webhook
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.vault import Vault
from dispatcher.webhooks.webhook import DISPATCHER, Webhook
from tests.support.kafka import consume_all, create_topics, delete_topics, write_topics_file
from tests.support.portal import ORGANIZATION, Api, Reply, a_token
from tests.support.waiting import eventually
from tests.support.webhooks import disable_command

Kind = Literal["edit", "edit what was seen", "same as another", "enable", "disable", "rotate", "410", "delete"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_FREQUENT = (4, 2, 1, 6, 1, 1, 8, 1)
_WITHIN_SECONDS = (0.0, 0.3)
_EXPECTED = {200, 204, 404, 409, 412}
_SAME = "https://same.example/"

_AT_ONCE = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.001",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "100",
}


@dataclass(frozen=True)
class Operation:
    """Something that somebody does through one of the portals, or a sender by a command; ``number`` is unique."""

    kind: Kind
    portal: int
    webhook: str
    number: int

    @property
    def name(self) -> str:
        """What an edit calls the webhook."""
        return f"edit {self.number}"

    @property
    def reason(self) -> str:
        """What a sender says."""
        return f"the target answered 410 Gone ({self.number})"


@dataclass(frozen=True)
class Written:
    """A record of ``webhooks.config`` as it was when it was written."""

    offset: int
    place: Place
    webhook: Webhook | None


@dataclass
class Standing:
    """What the log says of a webhook."""

    revision: int
    webhook: Webhook | None
    named: Counter[str] = field(default_factory=Counter)
    deletions: int = 0
    told: list[str] = field(default_factory=list)
    """Why the dispatcher disabled it, each time."""
    versions: set[tuple[datetime, str]] = field(default_factory=set)
    """When it was changed, and by whom."""


class Contention:
    """The scene. ``changes`` counts what won, ``lost`` what did not."""

    def __init__(self, settings: Settings, topics: Topics, random: Random, stack: AsyncExitStack) -> None:
        self.changes = 0
        self.lost = 0
        self.slowest = 0.0
        """The longest that an answer took, in seconds."""
        self._settings = settings
        self._topics = topics
        self._random = random
        self._stack = stack
        self._clients = KafkaClients(settings)
        assert settings.encryption_key is not None
        self._vault = Vault(settings.encryption_key.get_secret_value())
        self._numbers = iter(range(1_000_000))
        self._log: list[Written] = []
        self._replies: list[tuple[Operation, Reply]] = []
        self._asked: dict[str, int] = {}
        self._seen: dict[str, str] = {}
        self._followers: list[ConfigFollower] = []
        self._apis: list[Api] = []
        self._resurrected: list[str] = []

    async def start(self) -> None:
        self._watched = CompactedTopic(self._clients, self._topics.config, self._watch)
        await self._watched.start()
        self._stack.push_async_callback(self._watched.stop)
        self._producer: AIOKafkaProducer = await self._stack.enter_async_context(self._clients.producer())
        matcher = await self._follow(KafkaClients(self._settings))
        self._followers = [await self._start_portal(), await self._start_portal(), matcher]
        self.sentinel = (await self._apis[0].create(target_url="https://sentinel.example/"))["id"]
        """A webhook that only this class changes, to tell when something has been carried out."""

    async def create(self, webhooks: int) -> list[str]:
        """Ids of new webhooks."""
        urls = [f"https://target.example/{next(self._numbers)}" for _ in range(webhooks)]
        made = await asyncio.gather(*(self._random.choice(self._apis).create(target_url=url) for url in urls))
        return [each["id"] for each in made]

    async def contend(self, webhooks: list[str], waves: int, at_once: int) -> None:
        """In each wave up to so many operations on each of the webhooks; then all of it has been carried out.

        In every other wave they are not at the same moment: a sender's command wins only where no change is later.
        """
        for wave in range(waves):
            operations = [
                Operation(kind, self._random.randrange(2), webhook, next(self._numbers))
                for webhook in webhooks
                for kind in self._random.choices(KINDS, _FREQUENT, k=self._random.randint(1, at_once))
            ]
            delays = [self._random.uniform(0, _WITHIN_SECONDS[wave % 2]) for _ in operations]
            await asyncio.gather(*(self._do_after(*each) for each in zip(delays, operations, strict=True)))
        await self._commands_are_carried_out()

    async def compact(self) -> int:
        """Have the broker compact the configuration; how many records that removed."""
        before = len(await consume_all(self._clients, self._topics.config))
        await self._configure(self._topics.config, _AT_ONCE)
        api = self._apis[0]

        async def each_key_has_one_record() -> bool:
            # A segment is closed by what is written after it.
            for verb in ("enable", "disable"):
                assert (await api("POST", f"/webhooks/{self.sentinel}/{verb}")).status == 200
            records = await consume_all(self._clients, self._topics.config)
            kept = Counter(record.key for record in records if record.key != self.sentinel.encode())
            return set(kept.values()) == {1}

        await eventually(each_key_has_one_record, timeout=60, every=0.1)
        after = len(await consume_all(self._clients, self._topics.config))
        await self._configure(self._topics.config, self._declared())
        return before - after

    async def check(self) -> dict[str, Standing]:
        """Everybody agrees with the log, which says that each revision had one winner; what stands."""
        fresh = await self._follow(KafkaClients(self._settings))
        for follower in (*self._followers, fresh):
            await follower.catch_up()
        await self._watched.catch_up()
        standing = self._standing()
        live = {id: each.webhook for id, each in standing.items() if each.webhook is not None}
        for follower in (*self._followers, fresh):
            _agrees(follower.directory, standing, live)
        assert not self._resurrected
        for api in self._apis:
            listed = (await api("GET", "/webhooks?limit=500")).body["items"]
            assert {each["id"]: (each["name"], each["status"]) for each in listed} == {
                id: (each.name, each.status) for id, each in live.items()
            }
        self._replies_are_true(standing)
        await self._everything_is_told(standing)
        await fresh.stop()
        return standing

    async def _do_after(self, seconds: float, operation: Operation) -> None:
        await asyncio.sleep(seconds)
        await self._do(operation)

    async def _do(self, operation: Operation) -> None:
        if operation.kind == "410":
            moment = round(datetime.now(UTC).timestamp() * 1000)
            self._asked[operation.reason] = moment
            command = disable_command(operation.webhook, operation.reason, moment)
            await self._producer.send_and_wait(self._topics.commands, command, key=operation.webhook.encode())
            return
        begun = monotonic()
        reply = await self._ask(operation)
        self.slowest = max(self.slowest, monotonic() - begun)
        assert reply.status in _EXPECTED, (operation, reply)
        if "ETag" in reply.headers:
            self._seen[operation.webhook] = reply.headers["ETag"]
        self._replies.append((operation, reply))

    async def _ask(self, operation: Operation) -> Reply:
        ask = self._apis[operation.portal]
        path = f"/webhooks/{operation.webhook}"
        match operation.kind:
            case "edit":
                return await ask("PATCH", path, {"name": operation.name})
            case "edit what was seen":
                seen = self._seen.get(operation.webhook, '"1"')
                return await ask("PATCH", path, {"name": operation.name}, If_Match=seen)
            case "same as another":
                return await ask("PATCH", path, {"target_url": _SAME})
            case "delete":
                return await ask("DELETE", path)
            case "rotate":
                return await ask("POST", f"{path}/rotate-secret")
            case verb:
                return await ask("POST", f"{path}/{verb}")

    async def _commands_are_carried_out(self) -> None:
        """Commands are carried out in their order: the sentinel's comes last."""
        api = self._apis[0]
        assert (await api("POST", f"/webhooks/{self.sentinel}/enable")).status == 200
        last = Operation("410", 0, self.sentinel, next(self._numbers))
        await self._do(last)

        async def is_disabled() -> bool:
            return bool((await api("GET", f"/webhooks/{self.sentinel}")).body["disabled_reason"] == last.reason)

        await eventually(is_disabled, timeout=60)

    def _standing(self) -> dict[str, Standing]:
        """What the log comes to. The first record that was written on a revision wins; everything else is ignored."""
        assert [each.offset for each in self._log] == list(range(len(self._log))), "the log was not watched in full"
        standing: dict[str, Standing] = {}
        self.changes = self.lost = 0
        for each in self._log:
            place, webhook = each.place, each.webhook
            known = standing.setdefault(place.webhook_id, Standing(0, None))
            if place.base != known.revision:
                assert place.base < known.revision
                self.lost += 1
                continue
            if place.revision == place.base:
                assert webhook == known.webhook
                continue
            self.changes += 1
            assert known.revision == 0 or known.webhook is not None, f"{place.webhook_id} was resurrected"
            self._take_in(known, webhook)
            known.revision, known.webhook = place.revision, webhook
        return standing

    def _take_in(self, known: Standing, webhook: Webhook | None) -> None:
        before = known.webhook
        if webhook is None:
            known.deletions += 1
            return
        if before is None or before.name != webhook.name:
            known.named[webhook.name] += 1
        version = webhook.updated_on, webhook.updated_by.id
        # Whoever finds after an edit that another webhook was faster writes again what stood before it.
        taken_back = version in known.versions
        known.versions.add(version)
        if before is not None and webhook.updated_by == DISPATCHER and not taken_back:
            reason = webhook.disabled_reason
            assert reason is not None
            assert before.enabled
            # Whoever changed it after the target's answer has had the last word.
            assert round(before.updated_on.timestamp() * 1000) <= self._asked[reason]
            known.told.append(reason)

    def _replies_are_true(self, standing: dict[str, Standing]) -> None:
        deleted: defaultdict[str, int] = defaultdict(int)
        for operation, reply in self._replies:
            known = standing[operation.webhook]
            if operation.kind in {"edit", "edit what was seen"}:
                assert known.named[operation.name] == (reply.status == 200), (operation, reply)
            if operation.kind == "delete":
                deleted[operation.webhook] += reply.status == 204
        for id, known in standing.items():
            assert known.deletions == (deleted[id] > 0)

    async def _everything_is_told(self, standing: dict[str, Standing]) -> None:
        """Operators heard of each webhook that the dispatcher disabled; where twice, with the same id."""
        expected = sorted((id, reason) for id, known in standing.items() for reason in known.told)

        async def all_of_them() -> bool:
            notices = [json.loads(each.value) for each in await consume_all(self._clients, self._topics.notices)]
            told = {each["id"]: (each["data"]["webhook_id"], each["data"]["reason"]) for each in notices}
            return sorted(told.values()) == expected

        await eventually(all_of_them, timeout=30)

    async def _start_portal(self) -> ConfigFollower:
        clients = KafkaClients(self._settings)
        follower = await self._follow(clients)
        # Nobody asks what was recorded, and nothing connects before somebody does.
        nowhere = ClickHouse("http://127.0.0.1:1/webhooks")
        self._stack.push_async_callback(nowhere.close)
        portal = Portal(self._settings, clients, self._topics, follower, self._vault, nowhere)
        await portal.start()
        self._stack.push_async_callback(portal.stop)
        session = await self._stack.enter_async_context(aiohttp.ClientSession(base_url=portal.url))
        self._apis.append(Api(session, a_token(self._settings)))
        return follower

    async def _follow(self, clients: KafkaClients) -> ConfigFollower:
        follower = ConfigFollower(clients, self._topics, self._vault)
        deleted: set[str] = set()
        await follower.start()
        follower.subscribe(partial(self._changed, deleted))
        self._stack.push_async_callback(follower.stop)
        return follower

    def _changed(self, deleted: set[str], id: str, webhook: Webhook | None) -> None:
        if webhook is None:
            deleted.add(id)
        elif id in deleted:
            self._resurrected.append(id)

    def _watch(self, record: ConsumerRecord) -> None:
        place = read_place(record.key, record.headers)
        self._log.append(Written(record.offset, place, read_webhook(place, record.value, self._vault)))

    def _declared(self) -> dict[str, str]:
        return next(dict(each.config) for each in self._topics.declared if each.name == self._topics.config)

    async def _configure(self, topic: str, config: dict[str, str]) -> None:
        admin = self._clients.admin()
        await admin.start()
        try:
            topic_config = ConfigResource(ConfigResourceType.TOPIC, topic, config)
            # A broker's cleaner looks for work now and then; by default every 15 s.
            cleaners = [
                ConfigResource(ConfigResourceType.BROKER, str(each["node_id"]), {"log.cleaner.backoff.ms": "100"})
                for each in (await admin.describe_cluster())["brokers"]
            ]
            for response in await admin.alter_configs([topic_config, *cleaners]):
                assert not [each for each in response.resources if each[0]], response
        finally:
            await admin.close()


def _agrees(directory: Directory, standing: dict[str, Standing], live: dict[str, Webhook]) -> None:
    assert not directory.unsettled
    assert {each.id: each for each in directory.of_organization(ORGANIZATION)} == live
    wanting = directory.wanting(ORGANIZATION, EventType.ACTIVE_ALERT)
    assert {each.id for each in wanting} == {each.id for each in live.values() if each.enabled}
    for id, known in standing.items():
        assert directory.revision(id) == known.revision
        assert directory.get(id) == known.webhook


@asynccontextmanager
async def a_contention(settings: Settings, directory: Path, seed: int) -> AsyncIterator[Contention]:
    """Everything started, with topics of one partition. The cluster's cleaner is told to hurry."""
    own = settings.model_copy(
        update={"topics_file": write_topics_file(directory / "topics.yaml", partitions=1, event_partitions=1)}
    )
    clients = KafkaClients(own)
    topics = load_topics(own.topics_file, own.kafka_prefix)
    async with AsyncExitStack() as stack:
        await create_topics(clients, topics)
        stack.push_async_callback(delete_topics, clients, topics)
        contention = Contention(own, topics, Random(seed), stack)
        await contention.start()
        yield contention
