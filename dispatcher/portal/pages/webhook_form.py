"""Creating and editing a webhook: one form, which gives back what was typed whatever becomes of it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import takewhile
from secrets import token_urlsafe
from typing import Any

import orjson
from aiohttp import web
from markupsafe import Markup

from dispatcher.events.examples import example_templates
from dispatcher.events.samples import sample_values
from dispatcher.events.text import escaped, text_of
from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.events.variables import names_of, variables_of
from dispatcher.portal.api.apis import Apis
from dispatcher.portal.api.audit_log import AuditQuery
from dispatcher.portal.api.choices import ResourceQuery, ResourceView
from dispatcher.portal.api.concurrency import IF_MATCH
from dispatcher.portal.api.idempotency import HEADER as IDEMPOTENCY_KEY
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.server import problem_of
from dispatcher.portal.api.webhook_views import NewWebhook, WebhookChange, WebhookView
from dispatcher.portal.audit import AuditEntry
from dispatcher.portal.pages import overview
from dispatcher.portal.pages.errors_in_words import in_words
from dispatcher.portal.pages.islands import script_json, texts_script
from dispatcher.portal.pages.json_markup import pretty_body
from dispatcher.portal.pages.members import members
from dispatcher.portal.pages.typed_webhook import (
    TEMPLATES,
    TypedWebhook,
    name_of_ready_template,
    ready_template,
)
from dispatcher.portal.pages.visit import Visit
from dispatcher.portal.pages.webhook import webhook_of, wrote
from dispatcher.portal.pages.wiring import MAX_FORM_MIB, Page
from dispatcher.webhooks.template import Template

NEW = overview.PATH + "/new"
EDIT = overview.PATH + "/{webhook_id}/edit"

LISTED_ITEMS = 100
"""How many items are listed for who has no script, beside those that are chosen."""

LISTED_ENTRIES = 10
"""How many changes by others are told."""

_OF_OPERATIONS = (EventType.OPERATION_EXECUTED, EventType.OPERATION_EXECUTED_IN_WORKSPACE)

_GUIDES = {
    "Slack": "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/",
    "Microsoft Teams": "https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook",
}
"""Where the makers say how a message for them is written, and where its URL comes from."""

_ISLANDS = ("json-editor", "template-preview", "resource-picker", "webhook-form", "unsaved-changes")


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What others did to a webhook while somebody edited it: what it is now, and its changes, the latest first."""

    webhook: WebhookView
    revision: str
    entries: Sequence[AuditEntry]


@dataclass(frozen=True, slots=True)
class Edited:
    """Which version of a webhook a form is about: its revision, and the latest entry of its audit."""

    revision: str
    seen: str


class WebhookForm:
    """Shows the form and takes it in. What cannot be saved is shown again, with the reason at its field."""

    def __init__(self, apis: Apis) -> None:
        self._apis = apis

    def pages(self) -> Sequence[Page]:
        """What is served."""
        return (
            Page(NEW, get=self.new, post=self.create, draft=True),
            Page(EDIT, get=self.edit, post=self.save, draft=True),
        )

    async def new(self, visit: Visit) -> web.Response:
        """The form of a new webhook."""
        wanted = visit.request.query.get("event_type", "")
        typed = TypedWebhook.blank(TypedWebhook(event_type=wanted).known_event_type)
        return await self._form(visit, typed, once=token_urlsafe(12))

    async def create(self, visit: Visit) -> web.Response:
        """Create the webhook, disabled; its secret is shown on its page, once."""
        typed = TypedWebhook.read(visit.all_fields)
        once = visit.fields.get("once", "")[:40] or token_urlsafe(12)
        if (refreshed := _refreshed(visit, typed)) is not None:
            return await self._form(visit, refreshed, once=once, changed=True)
        try:
            body = typed.body(NewWebhook, visit.language)
            # The same form sent twice, because the first answer was lost, is one webhook.
            key = f"{once}.{sha256(json.dumps(body.model_dump()).encode('ascii')).hexdigest()}"
            created = (
                await self._apis.webhooks.create_webhook(visit.call(body=body, headers={IDEMPOTENCY_KEY: key}))
            ).body
        except Exception as error:  # noqa: BLE001 - whatever went wrong, what was typed stays
            return await self._form(visit, typed, once=once, changed=True, problem=problem_of(visit.request, error))
        visit.flash(
            "success", visit.gettext("The webhook is created. It is disabled: try it with Test, then enable it.")
        )
        visit.show_secret(created.id, created.secret)
        return visit.see(f"{visit.organization_url(created.id)}#secret")

    async def edit(self, visit: Visit) -> web.Response:
        """The form of a webhook that there is."""
        answer = await webhook_of(self._apis, visit)
        edited = Edited(answer.headers["ETag"], self._apis.audit.latest_read(answer.body.id))
        typed = TypedWebhook.of(answer.body, visit.language)
        return await self._form(visit, typed, webhook=answer.body, edited=edited)

    async def save(self, visit: Visit) -> web.Response:
        """Change the webhook, if it is still the version that the person saw, or they overwrite what others did."""
        typed = TypedWebhook.read(visit.all_fields)
        edited = Edited(visit.fields.get("revision", ""), visit.fields.get("seen", ""))
        try:
            webhook = (await self._apis.webhooks.get_webhook(visit.call())).body
        except Problem as gone:
            if gone.status != 404:
                raise
            return await self._form(visit, typed, once=token_urlsafe(12), changed=True, deleted=True)
        if (refreshed := _refreshed(visit, typed)) is not None:
            return await self._form(visit, refreshed, webhook=webhook, edited=edited, changed=True)
        overwritten = visit.fields.get("current_revision", "") if visit.fields.get("do") == "overwrite" else ""
        headers = {IF_MATCH: overwritten or edited.revision}
        try:
            await self._apis.webhooks.change_webhook(
                visit.call(body=typed.body(WebhookChange, visit.language), headers=headers)
            )
        except Exception as error:  # noqa: BLE001 - whatever went wrong, what was typed stays
            problem = problem_of(visit.request, error)
            meanwhile = await self._meanwhile(visit, edited) if problem.status == 412 else None
            return await self._form(
                visit, typed, webhook=webhook, edited=edited, changed=True, problem=problem, meanwhile=meanwhile
            )
        wrote(self._apis, visit)
        visit.flash("success", visit.gettext("The webhook is saved."))
        return visit.see(visit.organization_url(webhook.id))

    async def _meanwhile(self, visit: Visit, edited: Edited) -> Meanwhile:
        answer = await self._apis.webhooks.get_webhook(visit.call())
        latest = (await self._apis.audit.list_audit(visit.call(AuditQuery(limit=LISTED_ENTRIES)))).body.items
        entries = list(takewhile(lambda entry: entry.id != edited.seen, latest))
        return Meanwhile(answer.body, answer.headers["ETag"], entries)

    async def _form(
        self,
        visit: Visit,
        typed: TypedWebhook,
        *,
        webhook: WebhookView | None = None,
        edited: Edited | None = None,
        once: str = "",
        changed: bool = False,
        deleted: bool = False,
        problem: Problem | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> web.Response:
        if typed.has_too_many_items:
            typed = replace(typed, item_ids=())
        event_type = typed.known_event_type
        found = (await self._apis.choices.list_resources(visit.call(_first_items(event_type)))).body
        chosen = self._apis.choices.chosen(visit.organization_id, event_type, typed.item_ids)
        listed = {one.id for one in chosen[:LISTED_ITEMS]}
        return visit.render(
            "webhook_form.html",
            status=problem.status if problem else 200,
            typed=typed,
            event_type=event_type,
            event_types=[*EventType],
            of_operations=_OF_OPERATIONS,
            guides=_GUIDES,
            all_items=visit.gettext(DESCRIPTIONS[event_type].all_items_label),
            variables=[(one.name, visit.gettext(one.caption)) for one in variables_of(event_type)],
            templates=[*TEMPLATES],
            selected=orjson.dumps([self._selected(visit, event_type, one) for one in chosen]).decode(),
            listed=[*chosen[:LISTED_ITEMS], *(one for one in found.items if one.id not in listed)],
            listed_chosen=min(len(chosen), LISTED_ITEMS),
            editor_rows=min(max(typed.template.count("\n") + 2, 16), 30),
            more_listed=found.next_cursor is not None,
            unlisted=[one.id for one in chosen[LISTED_ITEMS:]],
            about_types=script_json([_about(visit, one) for one in EventType]),
            island_texts=texts_script(visit.language.code, *_ISLANDS),
            # A template of a megabyte takes a while to be read, in which others are answered.
            preview=await asyncio.to_thread(_preview, visit, typed),
            webhook=webhook,
            edited=edited,
            once=once,
            changed=changed,
            deleted=deleted,
            restored=visit.fields.get("do") == "restore" and problem is None and not deleted,
            problem=problem.details if problem else None,
            errors=_errors(visit, problem),
            meanwhile=meanwhile,
            others=_others(visit, typed, meanwhile) if meanwhile else {},
            members=members(visit.language),
            sections=_sections(visit),
            most_mib=MAX_FORM_MIB,
        )

    def _selected(self, visit: Visit, event_type: EventType, one: ResourceView) -> dict[str, str | None]:
        known = self._apis.choices.is_known(visit.organization_id, event_type, one.id)
        return {"id": one.id, "name": one.name if known else None, "url": one.url}


def _refreshed(visit: Visit, typed: TypedWebhook) -> TypedWebhook | None:
    """The form as a button of it changes it, or as it was before somebody had to sign in again; None: save it."""
    if typed.has_too_many_items:
        return None
    do = visit.fields.get("do", "")
    event_type = typed.known_event_type
    if do == "event_type":
        before = TypedWebhook(event_type=typed.items_of or typed.event_type).known_event_type
        ready = name_of_ready_template(typed.template, before)
        kept = DESCRIPTIONS[before].resource_kind == DESCRIPTIONS[event_type].resource_kind
        return replace(
            typed,
            template=ready_template(ready, event_type) if ready else typed.template,
            item_ids=typed.item_ids if kept else (),
        )
    if do.startswith("template:") and (name := do.removeprefix("template:")) in TEMPLATES:
        return replace(typed, template=ready_template(name, event_type))
    return typed if do in {"header", "restore"} else None


def _preview(visit: Visit, typed: TypedWebhook) -> Markup | None:
    try:
        template = typed.template_object()
        body = Template(template, names_of(typed.known_event_type))
    except (ValueError, RecursionError):
        return None
    event_type = typed.known_event_type
    values = sample_values(event_type, visit.organization_id, _organization_name(visit))
    texts = {name: escaped(text_of(value)) for name, value in values.items()}
    return pretty_body(body.render(texts).decode())


def _about(visit: Visit, event_type: EventType) -> Mapping[str, Any]:
    """What follows the choice of an event type."""
    every = example_templates(event_type)
    return {
        "event_type": event_type,
        "variables": [{"name": one.name, "caption": visit.gettext(one.caption)} for one in variables_of(event_type)],
        "sample_values": sample_values(event_type, visit.organization_id, _organization_name(visit)),
        "templates": {name: every[title] for name, title in TEMPLATES.items()},
    }


def _errors(visit: Visit, problem: Problem | None) -> Mapping[str, str]:
    """What is wrong, by field, in words."""
    found: dict[str, list[str]] = {}
    for error in (problem.details.errors or ()) if problem else ():
        sentences = found.setdefault(error.field.split(".")[0], [])
        if (sentence := in_words(error.detail, visit.language)) not in sentences:
            sentences.append(sentence)
    order = [*NewWebhook.model_fields]
    fields = sorted(found, key=lambda field: order.index(field) if field in order else len(order))
    return {field: " ".join(found[field]) for field in fields}


def _others(visit: Visit, typed: TypedWebhook, meanwhile: Meanwhile) -> Mapping[str, str]:
    """What fields hold now, where that is not what was typed; the template and the items are told by their names."""
    now = TypedWebhook.of(meanwhile.webhook, visit.language)
    found: dict[str, str] = {}
    if now.name != typed.name:
        found["name"] = now.name
    if now.event_type != typed.event_type:
        found["event_type"] = visit.gettext(DESCRIPTIONS[now.known_event_type].display_name)
    if now.target_url != typed.target_url:
        found["target_url"] = now.target_url
    if meanwhile.webhook.rate_limit != typed.rate(visit.language):
        found["rate_limit"] = now.rate_limit or visit.gettext("no limit")
    return found


def _sections(visit: Visit) -> Mapping[str, str]:
    """What the form calls the members: some by the headings under which they are."""
    headings = {"items": visit.gettext("Items"), "payload_template": visit.gettext("Message Configuration")}
    return {**members(visit.language), **headings}


def _first_items(event_type: EventType) -> ResourceQuery:
    return ResourceQuery(event_type=event_type, limit=LISTED_ITEMS)


def _organization_name(visit: Visit) -> str:
    return dict(visit.organizations).get(visit.organization_id, visit.organization_id)
