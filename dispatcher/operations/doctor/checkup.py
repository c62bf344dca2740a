"""The whole check, section by section: what cannot be checked because of what is wrong before it is left out."""

import os
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

from dispatcher.errors import ConfigurationError, DispatcherError, KafkaUnavailable
from dispatcher.kafka.administration import apply
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.embedded import running_servers
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.local_secrets import local_secrets
from dispatcher.operations.doctor import kafka
from dispatcher.operations.doctor.clickhouse import apply_migrations, check_clickhouse
from dispatcher.operations.doctor.configuration import (
    check_authentication,
    check_encryption_key,
    check_names,
    check_schedule,
    environment_with_file,
    read_settings,
)
from dispatcher.operations.doctor.finding import Finding, fine, notice, problem, split_advice
from dispatcher.operations.doctor.machine import check_data_dir
from dispatcher.recording.beside import NothingStored
from dispatcher.recording.clickhouse import ClickHouseUrl, QueryFailed
from dispatcher.settings import Settings
from dispatcher.webhooks.vault import Vault


@dataclass(frozen=True, slots=True)
class Section:
    """Findings about one thing."""

    title: str
    findings: tuple[Finding, ...]


async def check_up(seconds: float, *, applying: bool) -> AsyncIterator[Section]:
    """Check everything; groups are watched for so many seconds. ``applying`` first makes topics and schema right."""
    try:
        names = check_names(environment_with_file(os.environ))
    except ConfigurationError as error:
        yield Section("Settings", (problem(".env", *split_advice(str(error))),))
        return
    settings, wrong = read_settings()
    if settings is None:
        yield Section("Settings", (*wrong, *(name for name in names if name.remedy)))
        return
    checkup = _Checkup(settings, seconds, applying=applying)
    yield Section("Settings", (*names, *await checkup.settings()))
    yield Section("Kafka", tuple(await checkup.kafka()))
    yield Section("ClickHouse", tuple(await checkup.clickhouse()))
    if checkup.embedded:
        yield Section("Disk", (check_data_dir(settings.data_dir),))


class _Checkup:
    def __init__(self, settings: Settings, seconds: float, *, applying: bool) -> None:
        self._settings = settings
        self._seconds = seconds
        self._applying = applying
        self._topics: Topics | None = None
        self._vault: Vault | None = None

    @property
    def embedded(self) -> bool:
        """Whether anything is stored on this machine."""
        return self._settings.kafka_bootstrap_servers is None or self._settings.clickhouse.startswith("chdb:")

    async def settings(self) -> list[Finding]:
        settings = self._settings
        try:
            self._topics = load_topics(settings.topics_file, settings.kafka_prefix)
            findings = [check_schedule(self._topics)]
        except ConfigurationError as error:
            wrong = str(error).removeprefix("DISPATCHER_TOPICS_FILE: ")
            findings = [problem("topics.yaml", wrong, "correct that file, or DISPATCHER_TOPICS_FILE")]
        of_up = settings.kafka_bootstrap_servers is None
        try:
            secrets = local_secrets(settings, generate=False)
        except ConfigurationError as error:
            return [*findings, problem("secrets", *split_advice(str(error)))]
        self._vault, key = check_encryption_key(secrets, embedded=of_up)
        return [*findings, key, await check_authentication(secrets.applied_to(settings), embedded=of_up)]

    async def kafka(self) -> list[Finding]:
        settings, topics = self._settings, self._topics
        running = None
        if settings.kafka_bootstrap_servers is None:
            running = running_servers(settings.data_dir)
            if running is None:
                return [
                    problem(
                        "Kafka",
                        f"none is configured, and no `dispatcher up` runs on {settings.data_dir}",
                        "set DISPATCHER_KAFKA_BOOTSTRAP_SERVERS, or start `dispatcher up`",
                    )
                ]
        try:
            clients = KafkaClients(settings, running)
            findings = await kafka.check_broker(clients)
        except ConfigurationError as error:
            return [problem("Kafka", *split_advice(str(error)))]
        except KafkaUnavailable as error:
            return [problem("Kafka", str(error).partition(": ")[0], kafka.START_ONE)]
        if topics is None:
            return findings
        try:
            findings += await self._of_topics(clients, topics)
        except DispatcherError as error:
            findings.append(kafka.failed("topics", error))
        return findings

    async def _of_topics(self, clients: KafkaClients, topics: Topics) -> list[Finding]:
        plan = await kafka.topics_plan(clients, topics)
        findings = []
        if self._applying and plan.changes:
            await apply(clients, plan)
            made = f"{len(plan.changes)} changes were made, as `dispatcher topics apply` makes them"
            findings.append(fine("topics", made))
            plan = await kafka.topics_plan(clients, topics)
        findings += kafka.check_topics(plan, topics)
        missing = {change.topic for change in plan.changes if change.action == "create"}
        if self._vault is not None and topics.config not in missing:
            findings += await _found("webhooks", kafka.check_webhooks(clients, topics, self._vault))
        findings += await _found("groups", kafka.check_groups(clients, topics, self._seconds))
        if topics.dead_letter not in missing:
            findings += await _found("dead letters", kafka.check_dead_letters(clients, topics))
        return findings

    async def clickhouse(self) -> list[Finding]:
        try:
            ClickHouseUrl.parse(self._settings.clickhouse)
        except ConfigurationError as error:
            return [problem("ClickHouse", str(error), "correct DISPATCHER_CLICKHOUSE_URL")]
        findings = []
        if self._applying:
            try:
                applied = await apply_migrations(self._settings)
            except NothingStored as error:
                findings.append(notice("schema", *split_advice(str(error))))
            except (DispatcherError, QueryFailed) as error:
                findings.append(problem("schema", *split_advice(str(error))))
            else:
                findings += [fine("schema", f"migration {name} was applied") for name in applied]
        return [*findings, *await check_clickhouse(self._settings)]


async def _found(subject: str, check: Awaitable[list[Finding]]) -> list[Finding]:
    # Kafka's user may lack an ACL for one check alone.
    try:
        return await check
    except DispatcherError as error:
        return [kafka.failed(subject, error)]
