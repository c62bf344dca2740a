"""The role ``portal``: the HTTP API and the pages, and what they need behind them."""

import asyncio
import errno
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.metadata import version

import aiohttp
import structlog
from aiohttp import web
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from dispatcher.background import Background
from dispatcher.delivery.guard import TargetGuard
from dispatcher.delivery.target import TargetClient
from dispatcher.errors import ConfigurationError
from dispatcher.events.resources import Resources, UnreadableResource
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.compacted import CompactedTopic
from dispatcher.kafka.topics import Topics
from dispatcher.observability import endpoint
from dispatcher.observability.exposition import Beside, Exposition
from dispatcher.operations.cluster_watch import ClusterWatch
from dispatcher.portal import api_docs
from dispatcher.portal.api.apis import Apis
from dispatcher.portal.api.attempts import AttemptsApi
from dispatcher.portal.api.audit_log import AuditApi
from dispatcher.portal.api.choices import ChoicesApi
from dispatcher.portal.api.idempotency import IdempotencyKeys
from dispatcher.portal.api.malformed import ProblemRunner
from dispatcher.portal.api.named_webhooks import NamedWebhooks
from dispatcher.portal.api.openapi import openapi_document
from dispatcher.portal.api.rate_limits import RateLimits
from dispatcher.portal.api.resending import ResendingApi
from dispatcher.portal.api.server import application
from dispatcher.portal.api.testing import TestingApi
from dispatcher.portal.api.webhooks import WebhooksApi
from dispatcher.portal.audit import Audit, AuditTrail
from dispatcher.portal.auth import Authentication, Caller, Keys, SharedSecret, check_authentication_settings
from dispatcher.portal.changes import Changes
from dispatcher.portal.disabled_notices import DisabledNotices
from dispatcher.portal.ended_sessions import EndedSessions
from dispatcher.portal.erasure import Erasure, Sweeping
from dispatcher.portal.failing_webhooks import FailingWebhooks
from dispatcher.portal.feed import AttemptFeed
from dispatcher.portal.inspection import Inspection
from dispatcher.portal.jwks import Jwks
from dispatcher.portal.missing_entries import MissingEntries
from dispatcher.portal.pages.all_pages import all_pages
from dispatcher.portal.pages.oidc import Provider
from dispatcher.portal.pages.wiring import Site
from dispatcher.portal.recovery import Recoveries
from dispatcher.portal.resending import Resender
from dispatcher.portal.webhook_commands import WebhookCommands
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.delivery_log import DeliveryLog
from dispatcher.recording.overview import RecentDeliveries
from dispatcher.recording.recoverable import RecoverableMessages
from dispatcher.settings import Settings
from dispatcher.webhooks.failing import FailingPolicy
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.store import WebhookStore
from dispatcher.webhooks.vault import Vault

_REPAIR_EVERY_SECONDS = 300.0
_SHUTDOWN_SECONDS = 2.0

# A service provider's token names hundreds of organizations, and is one header.
_MAX_HEADER_BYTES = 64 * 1024

log = structlog.get_logger()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Portal:
    """Serves API and pages on ``DISPATCHER_HTTP_HOST`` and ``DISPATCHER_HTTP_PORT`` (0: any free port, see ``url``).

    ``people`` of a demonstration sign in at a click. ``beside`` are processes whose metrics it tells too.
    ``monotonic`` counts the seconds in which limits and keys are kept.
    ``follower`` is started, stopped and watched by whoever shares it.
    """

    name = "portal"

    def __init__(
        self,
        settings: Settings,
        clients: KafkaClients,
        topics: Topics,
        follower: ConfigFollower,
        vault: Vault,
        clickhouse: ClickHouse,
        *,
        people: Sequence[Caller] = (),
        beside: Beside = dict,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        check_authentication_settings(settings)
        self._settings = settings
        self._clients = clients
        self._topics = topics
        self._follower = follower
        self._vault = vault
        self._clickhouse = clickhouse
        self._log = DeliveryLog(clickhouse)
        self._people = people
        self._monotonic = monotonic
        self._exposition = Exposition(beside)
        self._stack = AsyncExitStack()
        self._background: dict[str, asyncio.Task[None]] = {}
        self._url: str | None = None

    @property
    def url(self) -> str:
        """Where the portal listens, once it has started."""
        if self._url is None:
            raise RuntimeError("the portal has not started")
        return self._url

    async def start(self) -> None:
        """Return when the API answers.

        Raises:
            ConfigurationError: the port is taken, or a topic is missing.
            KafkaUnavailable: no broker answers.
        """
        clients, topics, directory = self._clients, self._topics, self._follower.directory
        async with AsyncExitStack() as stack:
            producer = clients.producer(enable_idempotence=True)
            store = WebhookStore(producer, topics, self._vault, self._follower)
            audit = Audit(producer, topics.audit, _utc_now)
            changes = Changes(directory, store, audit, _utc_now)
            trail, resources = AuditTrail(), Resources()
            ended = EndedSessions(producer, topics.sessions, _utc_now)
            audit_topic = CompactedTopic(clients, topics.audit, trail.apply, often_asked=True)
            missing = MissingEntries(audit, trail, audit_topic.catch_up, self._vault, self._follower, _utc_now)
            clickhouse = self._clickhouse
            erasure = Erasure(clients, topics, producer, self._follower, changes, audit, clickhouse, _utc_now)
            resender = Resender(self._log, directory, producer, topics, self._monotonic)
            recoveries = Recoveries(
                RecoverableMessages(clickhouse), resender, directory, producer, topics, _utc_now, self._monotonic
            )
            services: dict[str, CompactedTopic | Background] = {
                "audit": audit_topic,
                "resources": CompactedTopic(clients, topics.resources, _applied_to(resources)),
                "ended sessions": CompactedTopic(clients, topics.sessions, ended.apply),
                "missing entries": missing.work(clients, producer, topics),
                "webhook commands": WebhookCommands(topics, producer, changes).work(clients),
                "recovery": recoveries.work(clients),
                "inspection": Inspection(producer, topics, self._vault).work(clients),
                "erasure": erasure.work(),
                "sweeping": Sweeping(clickhouse),
                "cluster watch": ClusterWatch(clients, topics),
                "disabled notices": DisabledNotices(producer, topics, self._vault, self._follower).work(clients),
            }
            window = self._settings.disable_failing_after
            if window is not None:
                policy = FailingPolicy(window, self._settings.disable_failing_rate)
                services["failing webhooks"] = FailingWebhooks(policy, changes, clickhouse, _utc_now)
            try:
                stack.push_async_callback(producer.stop)
                await producer.start()
                stack.push_async_callback(ended.stop)
                for service in services.values():
                    stack.push_async_callback(service.stop)
                    await service.start()
            except KafkaError as error:
                raise clients.unavailable(error) from error
            target = TargetClient(self._settings, TargetGuard(self._settings.allowed_target_networks))
            stack.push_async_callback(target.close)
            feed = AttemptFeed(clients, topics, producer)
            named = NamedWebhooks(directory, self._follower.catch_up)
            apis = Apis(
                ChoicesApi(resources),
                WebhooksApi(named, changes, IdempotencyKeys(self._monotonic), _utc_now),
                TestingApi(named, target.call, audit),
                AttemptsApi(named, self._log, feed, _utc_now, self._monotonic),
                AuditApi(named, trail, audit_topic.catch_up),
                ResendingApi(named, resender, recoveries, audit, _utc_now),
            )
            await self._serve(stack, apis, ended)
            stack.push_async_callback(feed.stop)
            self._background = {name: asyncio.create_task(service.wait()) for name, service in services.items()}
            self._background["repair"] = asyncio.create_task(self._repair(store))
            self._stack = stack.pop_all()

    async def wait(self) -> None:
        """Run until a part of the portal ends; raise what ended it, unless that was ``stop``."""
        if self._background:
            done, _ = await asyncio.wait(self._background.values(), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled():
                    task.result()

    async def stop(self) -> None:
        """End the live streams, answer what was asked, let go of everything."""
        for task in self._background.values():
            task.cancel()
        if self._background:
            await asyncio.wait(self._background.values())
        await self._stack.aclose()

    async def _serve(self, stack: AsyncExitStack, apis: Apis, ended: EndedSessions) -> None:
        settings = self._settings
        keys = await self._keys(stack)
        authentication = Authentication(keys, issuer=settings.auth_issuer, audience=settings.auth_audience)
        public_url = None if settings.public_url is None else str(settings.public_url)
        limits = RateLimits(self._monotonic)
        site = Site(self._vault, public_url, limits, ended, _utc_now, without_secret=bool(self._people))
        app = application(apis.operations(), site.callers(authentication), limits)
        provider = self._provider(public_url)
        if provider is not None:
            stack.push_async_callback(provider.close)
        recent = RecentDeliveries(self._clickhouse)
        waits = self._topics.schedule.delays
        site.add_to(app, all_pages(site, apis, authentication, recent, self._people, provider, _utc_now, waits))
        document = openapi_document(apis.operations(), version("portal-webhook-dispatcher"))
        endpoint.add_routes(app, self._unready, self._exposition)
        api_docs.add_routes(app, document, site.sessions.read)
        runner = ProblemRunner(
            app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS, max_field_size=_MAX_HEADER_BYTES
        )
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        try:
            await web.TCPSite(runner, settings.http_host, settings.http_port).start()
        except OSError as error:
            raise cannot_listen(settings, error) from error
        port = runner.addresses[0][1]
        host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
        self._url = f"http://{host}:{port}"

    def _provider(self, public_url: str | None) -> Provider | None:
        settings = self._settings
        client_id, secret = settings.oidc_client_id, settings.oidc_client_secret
        if settings.oidc_issuer is None or client_id is None or secret is None or public_url is None:
            return None
        return Provider(settings.oidc_issuer, client_id, secret, public_url, clock=_utc_now, monotonic=self._monotonic)

    async def _keys(self, stack: AsyncExitStack) -> Keys:
        settings = self._settings
        if settings.auth_secret is not None:
            return SharedSecret(settings.auth_secret)
        session = await stack.enter_async_context(aiohttp.ClientSession(trust_env=False))
        return Jwks(str(settings.auth_jwks_url), session, self._monotonic)

    def _unready(self) -> Iterable[str]:
        return [name for name, task in self._background.items() if task.done()] if self._background else ["start"]

    async def _repair(self, store: WebhookStore) -> None:
        current = False
        while True:
            try:
                if repaired := await store.repair():
                    log.info("changes that lost were made good", webhooks=repaired)
                # Only at the start: a portal whose keys still stand in the old order would encrypt them back.
                if not current and (anew := await store.encrypt_anew()):
                    log.info("webhooks were encrypted anew, with the first key", webhooks=anew)
                current = True
            except KafkaError as error:
                log.warning("webhooks.config is repaired later", error=repr(error))
            await asyncio.sleep(_REPAIR_EVERY_SECONDS)


def _applied_to(resources: Resources) -> Callable[[ConsumerRecord], None]:
    def apply(record: ConsumerRecord) -> None:
        try:
            resources.apply(record.key, record.value)
        except UnreadableResource as error:
            log.warning("a resource cannot be read", topic=record.topic, offset=record.offset, reason=str(error))

    return apply


def cannot_listen(settings: Settings, error: OSError) -> ConfigurationError:
    """The error to show when the API's address cannot be had."""
    where = f"{settings.http_host}:{settings.http_port}"
    if error.errno == errno.EADDRINUSE:
        return ConfigurationError(
            f"DISPATCHER_HTTP_PORT: {where} is taken; stop what listens there, or choose another port"
        )
    if error.errno == errno.EACCES:
        return ConfigurationError(f"DISPATCHER_HTTP_PORT: this user may not listen on {where}; choose a port from 1024")
    return ConfigurationError(
        f"DISPATCHER_HTTP_HOST: cannot listen on {where} ({error.strerror or error}); name an address of this machine"
    )
