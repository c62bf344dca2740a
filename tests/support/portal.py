"""Asking a portal's API."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import aiohttp
import jwt

from dispatcher.portal.app import Portal
from dispatcher.settings import Settings
from dispatcher.webhooks.vault import Vault

ORGANIZATION = "org-contoso"
OTHER_ORGANIZATION = "org-fabrikam"

MEMBERS: dict[str, Any] = {
    "name": "Tickets",
    "event_type": "active_alert",
    "target_url": "https://tickets.example/hook",
    "items": {"ids": ["alert-1", "alert-2"]},
    "payload_template": {"text": "#alert_name", "n": 1},
}


def a_token(settings: Settings, **claims: Any) -> str:
    """A token of an admin of both organizations, but for what is given."""
    assert settings.auth_secret is not None
    content = {
        "sub": "user-1",
        "name": "Ada",
        "email": "ada@contoso.example",
        "exp": datetime.now(UTC) + timedelta(hours=1),
        "organizations": {
            ORGANIZATION: {"name": "Contoso", "role": "organization_admin"},
            OTHER_ORGANIZATION: {"name": "Fabrikam", "role": "organization_admin"},
            "org-reader": {"name": "Reader", "role": "reader"},
        },
        **claims,
    }
    return jwt.encode(content, settings.auth_secret.get_secret_value().encode(), algorithm="HS256")


@dataclass(frozen=True)
class Reply:
    """An answer, read."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class Api:
    """Asks the portal."""

    session: aiohttp.ClientSession
    token: str
    organization: str = ORGANIZATION
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        everything = {"Authorization": f"Bearer {self.token}", **self.headers, **named}
        what = {"data": body} if isinstance(body, bytes | BytesIO) else {"json": body} if body is not None else {}
        url = f"/api/v1/organizations/{self.organization}{path}"
        async with self.session.request(method, url, headers=everything, **what) as response:
            is_json = "json" in response.content_type
            return Reply(response.status, response.headers.copy(), await response.json() if is_json else None)

    async def create(self, **members: Any) -> dict[str, Any]:
        """A webhook that differs from the others by its URL."""
        reply = await self("POST", "/webhooks", {**MEMBERS, **members})
        assert reply.status == 201, reply
        created: dict[str, Any] = reply.body
        return created


def vault_of(settings: Settings) -> Vault:
    assert settings.encryption_key is not None
    return Vault(settings.encryption_key.get_secret_value())


NewPortal = Callable[[], AbstractAsyncContextManager[Portal]]
