"""The webhooks of an organization: list, create, read, change, delete, enable, disable, rotate the secret."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from secrets import token_hex
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field

from dispatcher.events.types import EventType
from dispatcher.folding import folded, found_in
from dispatcher.portal.api.concurrency import (
    ETAG_DESCRIPTION,
    IF_MATCH,
    IF_MATCH_HEADER,
    IF_NONE_MATCH,
    IF_NONE_MATCH_HEADER,
    changed_meanwhile,
    check_if_match,
    etag,
    names_another,
)
from dispatcher.portal.api.idempotency import HEADER as IDEMPOTENCY_KEY
from dispatcher.portal.api.idempotency import KEPT, IdempotencyKeys, KeyedIds, unquoted, used_for_another
from dispatcher.portal.api.idempotency import MAX_LENGTH as MAX_IDEMPOTENCY_KEY
from dispatcher.portal.api.named_webhooks import NamedWebhooks
from dispatcher.portal.api.operation import (
    ORGANIZATION,
    Answer,
    AnyOperation,
    Call,
    Header,
    NoAnswer,
    NoBody,
    NoQuery,
    Operation,
    Query,
    not_found,
)
from dispatcher.portal.api.paging import DEFAULT_LIMIT, Cursor, Limit, read_cursor, write_cursor
from dispatcher.portal.api.problems import BadField, OtherWebhook, Problem, bad_member, bad_members, invalid
from dispatcher.portal.api.webhook_views import (
    CreatedWebhook,
    NewWebhook,
    RotatedSecret,
    WebhookChange,
    WebhookList,
    WebhookView,
    created_view,
    items_of,
    view,
)
from dispatcher.portal.audit import Action
from dispatcher.portal.changes import ChangedAllTheTime, Changes
from dispatcher.rfc3339 import rfc3339
from dispatcher.webhooks.secrets import MAX_SECRETS, TooManySecrets, new_secret, rotate
from dispatcher.webhooks.store import FIRST_REVISION, Preceded, SameConfiguration, StaleRevision
from dispatcher.webhooks.target_headers import merge_masked
from dispatcher.webhooks.target_url import MAX_LENGTH as MAX_URL
from dispatcher.webhooks.webhook import Person, SigningSecret, Webhook

WEBHOOKS = f"{ORGANIZATION}/webhooks"
WEBHOOK = f"{WEBHOOKS}/{{webhook_id}}"

_PREFIX = "wh_"
_LONGEST_PAGE = 4 * 1024 * 1024


class WebhookQuery(Query):
    """Which webhooks to list."""

    search: Annotated[str, Field(max_length=MAX_URL, description="Part of the name or of the target URL")] = ""
    event_type: EventType | None = None
    status: Literal["enabled", "disabled"] | None = None
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class WebhooksApi:
    """The operations on webhooks."""

    def __init__(
        self,
        webhooks: NamedWebhooks,
        changes: Changes,
        idempotency: IdempotencyKeys[CreatedWebhook],
        clock: Callable[[], datetime],
    ) -> None:
        self._webhooks = webhooks
        self._changes = changes
        self._directory = changes.directory
        self._idempotency = idempotency
        self._clock = clock

    def operations(self) -> Sequence[AnyOperation]:
        """What is served."""
        tag = {"ETag": ETAG_DESCRIPTION}
        match = {IF_MATCH: IF_MATCH_HEADER}
        return (
            Operation(
                "GET",
                WEBHOOKS,
                "List the webhooks, newest first",
                self.list_webhooks,
                WebhookQuery,
                NoBody,
                WebhookList,
            ),
            Operation(
                "POST",
                WEBHOOKS,
                "Create a webhook, disabled",
                self.create_webhook,
                NoQuery,
                NewWebhook,
                CreatedWebhook,
                status=201,
                problems=(409,),
                request_headers={
                    IDEMPOTENCY_KEY: Header(
                        "Sent again with the same key, the request is answered as before", MAX_IDEMPOTENCY_KEY
                    )
                },
                response_headers={**tag, "Location": "Where the webhook is"},
            ),
            Operation(
                "GET",
                WEBHOOK,
                "Get a webhook",
                self.get_webhook,
                NoQuery,
                NoBody,
                WebhookView,
                problems=(404,),
                request_headers={IF_NONE_MATCH: IF_NONE_MATCH_HEADER},
                response_headers=tag,
            ),
            Operation(
                "PATCH",
                WEBHOOK,
                "Replace members of a webhook",
                self.change_webhook,
                NoQuery,
                WebhookChange,
                WebhookView,
                problems=(404, 409, 412),
                request_headers=match,
                response_headers=tag,
                also_wrong=self._also_wrong,
            ),
            Operation(
                "DELETE",
                WEBHOOK,
                "Delete a webhook; it cannot be undone",
                self.delete_webhook,
                NoQuery,
                NoBody,
                NoAnswer,
                status=204,
                problems=(404, 409, 412),
                request_headers=match,
            ),
            *(
                Operation(
                    "POST",
                    f"{WEBHOOK}/{verb}",
                    summary,
                    handler,
                    NoQuery,
                    NoBody,
                    WebhookView,
                    problems=(404, 409, 412),
                    request_headers=match,
                    response_headers=tag,
                )
                for verb, summary, handler in (
                    ("enable", "Send events to the webhook from now on", self.enable_webhook),
                    ("disable", "Send nothing to the webhook until it is enabled", self.disable_webhook),
                )
            ),
            Operation(
                "POST",
                f"{WEBHOOK}/rotate-secret",
                "Make a new signing secret; the one before signs too for 24 hours",
                self.rotate_secret,
                NoQuery,
                NoBody,
                RotatedSecret,
                problems=(404, 409, 412),
                request_headers=match,
            ),
        )

    async def list_webhooks(self, call: Call[WebhookQuery, NoBody]) -> Answer[WebhookList]:
        """A page of the organization's webhooks."""
        query = call.query
        found = [(_position(webhook), webhook) for webhook in self.found(call.organization_id, query)]
        found.sort(key=lambda one: one[0], reverse=True)
        if query.cursor is not None:
            before = read_cursor(query.cursor)
            found = [one for one in found if one[0] < before]
        page = list(_one_answer(found[: query.limit]))
        next_cursor = write_cursor(page[-1][0]) if len(found) > len(page) else None
        return Answer(WebhookList(items=[view(webhook) for _, webhook in page], next_cursor=next_cursor))

    def found(self, organization_id: str, query: WebhookQuery) -> list[Webhook]:
        """The organization's webhooks that a query is about, in no order, however many there are."""
        text = folded(query.search.strip())
        return [
            webhook
            for webhook in self._directory.of_organization(organization_id)
            if (query.event_type is None or webhook.event_type == query.event_type)
            and (query.status is None or webhook.status == query.status)
            and found_in(text, webhook.name, webhook.target_url)
        ]

    async def create_webhook(self, call: Call[NoQuery, NewWebhook]) -> Answer[CreatedWebhook]:
        """A new webhook, disabled, with its secret."""
        key = call.header(IDEMPOTENCY_KEY, limit=MAX_IDEMPOTENCY_KEY)
        if key is None:
            created = await self._create(call, token_hex(12))
        else:
            whole = (call.caller.id, call.organization_id, unquoted(key))
            created = await self._idempotency.once(whole, call.raw_body, lambda: self._create_once(call, whole))
        location = f"{WEBHOOKS.format(organization_id=quote(call.organization_id, safe=''))}/{created.id}"
        # Of what is answered, and not of what has become of it since: a creation may be asked for again.
        return Answer(created, {"Location": location, "ETag": etag(FIRST_REVISION)})

    async def _create(
        self, call: Call[NoQuery, NewWebhook], id: str, *, instead_of: Callable[[Webhook], bool] = lambda _: False
    ) -> CreatedWebhook:
        webhook = _new(call, f"{_PREFIX}{id}", new_secret(), self._clock(), call.caller.person)
        try:
            await self._changes.create(webhook, instead_of=instead_of)
        except SameConfiguration as same:
            raise _same_configuration(same.other) from None
        return created_view(webhook)

    async def _create_once(self, call: Call[NoQuery, NewWebhook], key: tuple[str, ...]) -> CreatedWebhook:
        """As ``_create``, unless another portal did it, or this one before it was restarted."""
        ids = KeyedIds(key, call.raw_body, self._clock())
        if (before := self._created(call, ids)) is not None:
            return before
        taken = self._directory.revision(f"{_PREFIX}{ids.today}")
        try:
            return await self._create(
                call, token_hex(12) if taken else ids.today, instead_of=lambda other: self._is_of_key(other, ids)
            )
        except (StaleRevision, Preceded, Problem) as lost:
            if (before := self._created(call, ids)) is not None:
                return before
            if isinstance(lost, Problem):
                raise
            return await self._create(call, token_hex(12))

    def _created(self, call: Call[NoQuery, NewWebhook], ids: KeyedIds) -> CreatedWebhook | None:
        """What a request created before, as it was then.

        Of several with its key the first in the log counts, though the others have not been taken back yet.

        Raises:
            Problem: 422, it was another request with the same key.
        """

        def of_key(webhook: Webhook) -> bool:
            return self._is_of_key(webhook, ids)

        found = filter(of_key, self._directory.of_organization(call.organization_id))
        first = next((webhook for webhook in found if not self._directory.told_before(webhook, of_key)), None)
        if first is None:
            return None
        if first.id.removeprefix(_PREFIX) not in ids:
            raise used_for_another()
        # One that was rotated away signs for a day, which is longer than the key is known.
        secret = first.secrets[-1].value
        return created_view(_new(call, first.id, secret, first.created_on, first.created_by))

    def _is_of_key(self, webhook: Webhook, ids: KeyedIds) -> bool:
        return ids.of_key(webhook.id.removeprefix(_PREFIX)) and webhook.created_on > self._clock() - KEPT

    async def get_webhook(self, call: Call[NoQuery, NoBody]) -> Answer[WebhookView]:
        """The webhook."""
        return self._shown(await self._webhooks.of(call))

    def revision(self, webhook_id: str) -> int:
        """The revision of a webhook that this portal knows of."""
        return self._directory.revision(webhook_id)

    async def read_to(self, webhook_id: str, revision: int) -> None:
        """Have a webhook shown at this revision or a later one, where another portal wrote that a moment ago."""
        await self._webhooks.read_to(webhook_id, revision)

    async def change_webhook(self, call: Call[NoQuery, WebhookChange]) -> Answer[WebhookView]:
        """The webhook with other members."""

        given = {name: getattr(call.body, name) for name in call.body.model_fields_set}

        def members(webhook: Webhook, _: int) -> dict[str, Any]:
            wrong = _wrong_for(webhook, given)
            if wrong:
                raise invalid(wrong)
            try:
                return call.body.members(webhook)
            except ValueError as error:
                raise invalid(bad_members(("headers",), error)) from None

        return await self._change(call, "updated", members)

    async def _also_wrong(self, call: Call[NoQuery, NoBody], given: Mapping[str, Any]) -> list[BadField]:
        return _wrong_for(await self._webhooks.of(call), given)

    async def enable_webhook(self, call: Call[NoQuery, NoBody]) -> Answer[WebhookView]:
        """The webhook, enabled."""
        return await self._change(call, "enabled", lambda *_: {"status": "enabled", "disabled_reason": None})

    async def disable_webhook(self, call: Call[NoQuery, NoBody]) -> Answer[WebhookView]:
        """The webhook, disabled. Why it was disabled before stays."""
        return await self._change(call, "disabled", lambda *_: {"status": "disabled"})

    async def rotate_secret(self, call: Call[NoQuery, NoBody]) -> Answer[RotatedSecret]:
        """The new secret."""
        mine: list[str] = []

        def members(webhook: Webhook, _: int) -> dict[str, Any]:
            try:
                secrets = rotate(webhook.secrets, self._clock())
            except TooManySecrets as error:
                raise Problem(
                    409,
                    f"{MAX_SECRETS} secrets sign already, each for 24 hours. Rotate again when the first of them ends, "
                    f"at {rfc3339(error.until)}.",
                ) from None
            mine[:] = [secrets[0].value]
            return {"secrets": secrets}

        await self._change(call, "secret_rotated", members)
        return Answer(RotatedSecret(secret=mine[0]))

    async def delete_webhook(self, call: Call[NoQuery, NoBody]) -> Answer[NoAnswer]:
        """Nothing: the webhook is gone."""
        webhook = await self._to_change(call)
        with _conflicts_told():
            await self._changes.delete(
                webhook.id, call.caller.person, only_this=lambda revision: check_if_match(call, revision)
            )
        return Answer(NoAnswer())

    async def _change(
        self, call: Call[Any, Any], action: Action, how: Callable[[Webhook, int], dict[str, Any]]
    ) -> Answer[WebhookView]:
        webhook = await self._to_change(call)
        with _conflicts_told():
            changed = await self._changes.change(
                webhook.id, call.caller.person, action, how, only_this=lambda revision: check_if_match(call, revision)
            )
        if changed is None:
            raise not_found("webhook")
        return self._shown(changed)

    async def _to_change(self, call: Call[Any, Any]) -> Webhook:
        """The webhook in the path; where this portal would tell 412, it has read first what others wrote.

        Raises:
            Problem: 404, there is none, or it is another organization's; 412, see ``check_if_match``.
        """
        webhook = await self._webhooks.of(call)
        if names_another(call, self._directory.revision(webhook.id)):
            await self._webhooks.read_on()
            return await self._webhooks.of(call)
        return webhook

    def _shown(self, webhook: Webhook) -> Answer[WebhookView]:
        return Answer(view(webhook), {"ETag": etag(self._directory.revision(webhook.id))})


@contextmanager
def _conflicts_told() -> Iterator[None]:
    """What keeps a webhook from being changed or deleted, as a Problem: 409 or 412."""
    try:
        yield
    except StaleRevision:
        raise changed_meanwhile() from None
    except ChangedAllTheTime:
        raise Problem(409, "Others are changing this webhook all the time. Try again in a moment.") from None
    except SameConfiguration as same:
        raise _same_configuration(same.other) from None


def _wrong_for(webhook: Webhook, given: Mapping[str, Any]) -> list[BadField]:
    """What a change cannot hold because of what the webhook is, whatever else may be wrong with it."""
    wrong = []
    headers, event_type = given.get("headers"), given.get("event_type")
    if isinstance(headers, dict):
        try:
            merge_masked(headers, webhook.headers)
        except ValueError as error:
            wrong += bad_members(("headers",), error)
    if "items" not in given and event_type in [*EventType] and event_type != webhook.event_type:
        wrong.append(bad_member(("items",), "is missing: another event type has other items, so choose them anew"))
    return wrong


def _same_configuration(other: Webhook) -> Problem:
    return Problem(
        409,
        f"The webhook {other.name!r} ({other.id}) has the same event type, target URL, items and template, "
        "so everything would be sent twice. Change one of them, or use that webhook.",
        webhook=OtherWebhook(id=other.id, name=other.name),
    )


def _new(call: Call[NoQuery, NewWebhook], id: str, secret: str, now: datetime, by: Person) -> Webhook:
    new = call.body
    return Webhook(
        id=id,
        organization_id=call.organization_id,
        name=new.name,
        event_type=new.event_type,
        target_url=new.target_url,
        items=items_of(new.items),
        payload_template=new.payload_template,
        headers=new.headers,
        rate_limit=new.rate_limit,
        secrets=(SigningSecret(value=secret),),
        created_on=now,
        created_by=by,
        updated_on=now,
        updated_by=by,
    )


def _one_answer(found: Iterable[tuple[tuple[int, str], Webhook]]) -> Iterator[tuple[tuple[int, str], Webhook]]:
    """Those in front, one at least, that come to a few megabytes at most: to write more keeps everybody waiting."""
    length = 0
    for position, webhook in found:
        before, length = length, length + len(json.dumps([webhook.payload_template, webhook.items.ids]))
        if before and length > _LONGEST_PAGE:
            return
        yield position, webhook


def _position(webhook: Webhook) -> tuple[int, str]:
    return round(webhook.created_on.timestamp() * 1000), webhook.id
