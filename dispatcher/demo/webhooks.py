"""The webhooks of a demonstration: every event type, and every kind of target."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp

from dispatcher.demo.targets import Addresses
from dispatcher.errors import DispatcherError
from dispatcher.events.examples import example_templates
from dispatcher.events.types import DESCRIPTIONS, EventType

_SECONDS = 30
_AGAIN_SECONDS = 5.0


def demo_webhooks(organization: str, targets: Addresses) -> list[dict[str, Any]]:
    """What to create for one of the demonstration's organizations, as the API takes it."""
    match organization:
        case "org-contoso":
            return [
                *(_webhook("All is well", event_type, targets.well) for event_type in EventType),
                _webhook("Chat", EventType.EXECUTED_MICROSERVICE, targets.well, example="Slack"),
            ]
        case "org-fabrikam":
            return [
                _webhook("Fails at times", EventType.ACTIVE_ALERT, targets.badly),
                _webhook("Fails at times", EventType.OBJECT_MODIFIED, targets.badly),
                _webhook("Slow", EventType.OPERATION_EXECUTED, targets.slowly),
                _webhook("Never answers", EventType.OBJECT_CREATED, targets.hanging),
            ]
        case _:
            return [
                _webhook("Nobody listens", EventType.EXECUTED_MICROSERVICE, targets.nobody),
                _webhook("Chat", EventType.ACTIVE_ALERT, targets.well, example="Microsoft Teams"),
                _webhook("All is well", EventType.OBJECT_DELETED, targets.well),
                _webhook("Gone", EventType.OBJECT_MODIFIED, targets.gone),
                _webhook("Slow", EventType.OPERATION_EXECUTED_IN_WORKSPACE, targets.slowly),
            ]


class _NotNow(DispatcherError):
    """The API does not answer, or cannot do it at the moment."""


async def create_webhooks(
    api: str,
    token: Callable[[], str],
    organization: str,
    webhooks: Sequence[dict[str, Any]],
    say: Callable[[str], None],
) -> int:
    """Create and enable them through the API at ``api``, if the organization has none yet; how many it has then.

    What cannot be done at the moment is tried again every few seconds, until it is done; ``say`` is told.

    Raises:
        DispatcherError: the API refuses.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as session:

        async def call(method: str, url: str, body: object = None) -> Any:
            while True:
                try:
                    return await _call(session, token(), method, url, body)
                except _NotNow as error:
                    say(f"{error}; trying again in {_AGAIN_SECONDS:g} s")
                    await asyncio.sleep(_AGAIN_SECONDS)

        address = f"{api}/organizations/{organization}/webhooks"
        present = await call("GET", address)
        if present["items"]:
            return len(present["items"])
        for webhook in webhooks:
            created = await call("POST", address, webhook)
            await call("POST", f"{address}/{created['id']}/enable")
        return len(webhooks)


def _webhook(name: str, event_type: EventType, url: str, *, example: str = "Portal") -> dict[str, Any]:
    return {
        "name": f"{DESCRIPTIONS[event_type].display_name}: {name}",
        "event_type": event_type,
        "target_url": url,
        "items": {"all": True},
        "payload_template": example_templates(event_type)[example],
    }


async def _call(session: aiohttp.ClientSession, token: str, method: str, url: str, body: object) -> Any:
    what = f"the demonstration's webhooks cannot be made: {method} {url}"
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with session.request(method, url, json=body, headers=headers) as response:
            if response.ok:
                return await response.json()
            if response.status == 409 and "webhook" in (problem := await response.json(content_type=None)):
                return problem["webhook"]  # an earlier try made it, and its answer was lost
            refused = f"{what} gives {response.status}: {await response.text()}"
            raise _NotNow(refused) if response.status == 429 or response.status >= 500 else DispatcherError(refused)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _NotNow(f"{what}: {type(error).__name__} {error}") from error
