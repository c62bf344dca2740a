"""The webhooks of a demonstration: every event type, and every kind of target."""

from collections.abc import Sequence
from typing import Any

import aiohttp

from dispatcher.demo.targets import Addresses
from dispatcher.errors import DispatcherError
from dispatcher.events.examples import example_templates
from dispatcher.events.types import DESCRIPTIONS, EventType

_SECONDS = 30


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


async def create_webhooks(api: str, token: str, organization: str, webhooks: Sequence[dict[str, Any]]) -> int:
    """Create and enable them through the API at ``api``, if the organization has none yet; how many it has then.

    Raises:
        DispatcherError: the API refuses.
    """
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {token}"}, timeout=aiohttp.ClientTimeout(total=_SECONDS)
    ) as session:
        address = f"{api}/organizations/{organization}/webhooks"
        present = await _call(session, "GET", address)
        if present["items"]:
            return len(present["items"])
        for webhook in webhooks:
            created = await _call(session, "POST", address, webhook)
            await _call(session, "POST", f"{address}/{created['id']}/enable")
        return len(webhooks)


def _webhook(name: str, event_type: EventType, url: str, *, example: str = "Portal") -> dict[str, Any]:
    return {
        "name": f"{DESCRIPTIONS[event_type].display_name}: {name}",
        "event_type": event_type,
        "target_url": url,
        "items": {"all": True},
        "payload_template": example_templates(event_type)[example],
    }


async def _call(session: aiohttp.ClientSession, method: str, url: str, body: object = None) -> Any:
    try:
        async with session.request(method, url, json=body) as response:
            if not response.ok:
                raise DispatcherError(
                    f"the demonstration's webhooks cannot be made: {method} {url} gives {response.status}: "
                    f"{await response.text()}"
                )
            return await response.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise DispatcherError(
            f"the demonstration's webhooks cannot be made: {method} {url}: {type(error).__name__} {error}"
        ) from error
