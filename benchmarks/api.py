"""The API of a dispatcher that runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from benchmarks.events import ORGANIZATION, TEMPLATE


@dataclass(frozen=True)
class Api:
    """Asks for the organization of the benchmarks, at a URL and with a token."""

    url: str
    token: str

    async def request(self, method: str, path: str, body: object = None) -> Any:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.token}"}) as session,
            session.request(method, f"{self.url}/api/v1/organizations/{ORGANIZATION}{path}", json=body) as response,
        ):
            answer = await response.read()
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {response.status} {answer.decode()}")
            return orjson.loads(answer) if answer else None

    async def create_webhook(self, name: str, url: str, entity_types: Sequence[str] = ()) -> str:
        """A webhook for objects of these types, or of all; enabled."""
        webhook = await self.request(
            "POST",
            "/webhooks",
            {
                "name": name,
                "event_type": "object_created",
                "target_url": url,
                "items": {"ids": list(entity_types)} if entity_types else {"all": True},
                "payload_template": TEMPLATE,
            },
        )
        await self.request("POST", f"/webhooks/{webhook['id']}/enable")
        return str(webhook["id"])
