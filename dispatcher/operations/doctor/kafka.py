"""Kafka: does it answer, are the topics as declared, are the groups at work, can webhooks be decrypted."""

import asyncio
import time
from collections.abc import Sequence

from aiokafka.errors import KafkaError

from dispatcher.errors import DispatcherError
from dispatcher.kafka.administration import connected, read_cluster
from dispatcher.kafka.broker_time import ClockDifference, clock_difference
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.compacted import read_once
from dispatcher.kafka.dead_letter_box import DeadLetterBox, Selection
from dispatcher.kafka.plan import AlterConfig, Plan, plan
from dispatcher.kafka.topics import Topics
from dispatcher.operations.doctor.finding import Finding, fine, notice, problem, split_advice
from dispatcher.operations.lag import GroupLag, Level
from dispatcher.operations.lag_meter import LagMeter
from dispatcher.operations.wording import counted, span
from dispatcher.webhooks.readability import Readability
from dispatcher.webhooks.vault import Vault

_CLOCKS_DIFFER_MS = 1_000
_CLOCKS_FAR_APART_MS = 60_000
_SLOW_MS = 500
_READ_WITHIN = 30.0
_NAMED = 3

START_ONE = "start it, or correct DISPATCHER_KAFKA_BOOTSTRAP_SERVERS and the security settings beside it"


async def check_broker(clients: KafkaClients) -> list[Finding]:
    """Whether a broker answers, how quickly, and what time it is there.

    Raises:
        KafkaUnavailable: none does.
    """
    async with connected(clients) as admin:
        before = time.perf_counter()
        cluster = await admin.describe_cluster()
        answered = (time.perf_counter() - before) * 1_000
        clock = await clock_difference(admin, time.time)
    security = clients.security["security_protocol"]
    found = (
        f"{counted(len(cluster['brokers']), 'broker')} at {clients.bootstrap_servers}, {security}, {answered:.0f} ms"
    )
    answer = (
        fine("Kafka", found)
        if answered < _SLOW_MS
        else notice("Kafka", f"{found}: slow", "look at its load and network")
    )
    return [answer, _clock(clock)]


def _clock(clock: ClockDifference | None) -> Finding:
    if clock is None:
        return fine("clocks", "this Kafka does not tell its time, or not to this user: not compared")
    off = abs(clock.ahead)
    if off <= _CLOCKS_DIFFER_MS + clock.within:
        return fine("clocks", f"this machine and Kafka differ by {off} ms")
    found = f"this machine is {span(off / 1_000)} {'behind' if clock.ahead > 0 else 'ahead of'} Kafka"
    remedy = "synchronize the clocks (chronyd, systemd-timesyncd) of this machine and the brokers"
    return problem("clocks", found, remedy) if off > _CLOCKS_FAR_APART_MS else notice("clocks", found, remedy)


async def topics_plan(clients: KafkaClients, topics: Topics) -> Plan:
    """What would have to change so that the topics are as declared."""
    return plan(topics, await read_cluster(clients, topics))


def check_topics(found: Plan, topics: Topics) -> list[Finding]:
    """The plan as findings: what is missing ends a role's start, what differs costs records or time."""
    findings = []
    apply = "run `dispatcher topics apply`, or `dispatcher doctor --apply`"
    missing = [change.topic for change in found.changes if change.action == "create"]
    if len(missing) == len(topics.declared):
        remedy = f"correct DISPATCHER_KAFKA_PREFIX or the servers; in a new installation {apply}"
        findings.append(problem("topics", f"all {len(missing)} missing", remedy))
    elif missing:
        findings.append(problem("topics", f"{_some(missing)} missing", apply))
    for change in found.changes:
        if change.action == "create":
            continue
        what = f"{change.topic}: {change.describe()}"
        findings.append(notice("topics", what, apply) if _harmless(change) else problem("topics", what, apply))
    findings += [notice("topics", *split_advice(f"{drift.topic} {drift.problem}")) for drift in found.drift]
    return findings or [fine("topics", f"all {len(topics.declared)} are as declared")]


def _harmless(change: object) -> bool:
    """Settings that cost no record and refuse none."""
    return isinstance(change, AlterConfig) and not change.entries.keys() & {
        *("max.message.bytes", "retention.ms", "cleanup.policy", "min.insync.replicas", "message.timestamp.type")
    }


async def check_groups(clients: KafkaClients, topics: Topics, seconds: float) -> list[Finding]:
    """Whether each group has members, and what waits for it."""
    measured = await LagMeter(clients, topics, seconds=seconds).measure()
    return [_group(group) for group in measured.groups]


def _group(group: GroupLag) -> Finding:
    level, words = group.verdict
    subject = f"group {group.reader.name}"
    later = sum(topic.total.not_due for topic in group.topics)
    waiting = f"{counted(group.behind, 'record')} waiting" + (f", {later:,} not due yet" if later else "")
    if not group.membership.members:
        remedy = f"start `dispatcher run {group.reader.role}`, or everything with `dispatcher up`"
        return problem(subject, f"no members, {waiting}", remedy)
    oldest = max((topic.total.oldest or 0 for topic in group.topics), default=0)
    waited = f", the oldest {'overdue ' if group.reader.name == 'relay' else ''}for {span(oldest)}" if oldest else ""
    found = f"{counted(group.membership.members, 'member')}, {waiting}{waited}"
    if level is Level.FINE:
        return fine(subject, found)
    told = [f"{topic.topic} {topic.verdict[1]}" for topic in group.topics if topic.verdict[0] is level]
    found = "; ".join([found, *filter(None, [words]), *told[:_NAMED]])
    remedy = f"see `dispatcher lag --group {group.reader.name} --partitions`"
    return Finding(subject, level, found, remedy)


async def check_dead_letters(clients: KafkaClients, topics: Topics) -> list[Finding]:
    """How many unreadable records nobody has sent again."""
    try:
        async with asyncio.timeout(_READ_WITHIN):
            letters = await DeadLetterBox(clients, topics).letters(Selection())
    except TimeoutError:
        found = f"more than can be read in {span(_READ_WITHIN)}"
        return [notice("dead letters", found, "run `dispatcher dead-letters list`")]
    if not letters:
        return [fine("dead letters", "none")]
    found = f"{counted(len(letters), 'record')} could not be understood; the newest: {letters[0].reason}"
    remedy = "run `dispatcher dead-letters list`, and `replay` once they can be read"
    return [notice("dead letters", found, remedy)]


async def check_webhooks(clients: KafkaClients, topics: Topics, vault: Vault) -> list[Finding]:
    """Whether every webhook can be decrypted and read."""
    found = Readability(vault)
    await read_once(clients, topics.config, found.apply)
    findings = []
    held = "; while one of them may want events, no event is matched"
    if found.undecipherable:
        remedy = (
            "add the key that they were written with to DISPATCHER_ENCRYPTION_KEY, after the first; is it lost, "
            "delete them with `dispatcher webhooks remove`"
        )
        findings.append(problem("webhooks", f"no key decrypts {_some(found.undecipherable)}{held}", remedy))
    if found.of_another_version:
        remedy = (
            "run the version that wrote them, or delete them with `dispatcher webhooks remove`; "
            "`dispatcher dead-letters list` has the reasons"
        )
        findings.append(
            problem("webhooks", f"this version cannot read {_some(found.of_another_version)}{held}", remedy)
        )
    if found.outdated:
        remedy = (
            "start a portal with these keys, which encrypts them anew; until then every process needs the old key too"
        )
        old = f"{counted(len(found.outdated), 'webhook')} of {len(found.states)} can be decrypted with an old key only"
        findings.append(notice("webhooks", old, remedy))
    return findings or [fine("webhooks", f"{counted(len(found.states), 'webhook')}, all can be decrypted")]


def _some(names: Sequence[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"


def failed(subject: str, error: DispatcherError | KafkaError) -> Finding:
    """A check that an error ended."""
    return problem(subject, *split_advice(str(error) or type(error).__name__))
