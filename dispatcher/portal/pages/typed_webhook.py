"""What somebody typed into the form of a webhook: kept to the letter, and read as the API would have it."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar

from multidict import MultiDict

from dispatcher.events.examples import example_templates
from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.portal.api.problems import BadField, Problem, bad_members, invalid
from dispatcher.portal.api.strict_json import NotJson, read_strict_json
from dispatcher.portal.api.webhook_views import MAX_ITEMS, NewWebhook, WebhookChange, WebhookView
from dispatcher.portal.pages.json_markup import as_json
from dispatcher.portal.pages.languages import Language
from dispatcher.portal.pages.visit import body_of
from dispatcher.webhooks.target_headers import check_but_masked

B = TypeVar("B", NewWebhook, WebhookChange)

TEMPLATES = {"example": "Portal", "slack": "Slack", "teams": "Microsoft Teams"}
"""The ready templates: what the form calls them, and what ``example_templates`` does."""

WRITE_A_NUMBER = "write a number, such as 5 or 0.5"
NAME_WITHOUT_HEADER = "a value has no header's name; write the name, or remove the value"
NOT_AN_OBJECT = "the template is not a JSON object; begin it with { and end it with }"
NO_TEMPLATE = "the template is empty; write a JSON object, such as the example"
ITEMS_OF_ANOTHER_KIND = "these items belong to another event type; show those of this one, and choose anew"


@dataclass(frozen=True, slots=True)
class TypedWebhook:
    """The fields of the form. ``items_of`` is the event type whose items were shown to who has no script."""

    name: str = ""
    event_type: str = EventType.ACTIVE_ALERT
    target_url: str = ""
    all_items: bool = False
    item_ids: tuple[str, ...] = ()
    items_of: str | None = None
    template: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    rate_limit: str = ""

    @classmethod
    def blank(cls, event_type: EventType) -> Self:
        """A new webhook's form, with the type's example."""
        return cls(event_type=event_type.value, template=ready_template("example", event_type))

    @classmethod
    def of(cls, webhook: WebhookView, language: Language) -> Self:
        """The form of a webhook that there is; the values of its headers are masked."""
        rate = webhook.rate_limit
        return cls(
            name=webhook.name,
            event_type=webhook.event_type.value,
            target_url=webhook.target_url,
            all_items=webhook.items.all,
            item_ids=webhook.items.ids,
            template=as_json(webhook.payload_template),
            headers=tuple(webhook.headers.items()),
            rate_limit="" if rate is None else language.number(rate, grouped=False),
        )

    @classmethod
    def read(cls, fields: MultiDict[str]) -> Self:
        """The form as it was sent."""
        listed = fields.get("item_ids", "").splitlines()
        # Browsers send lines as CRLF, whatever was there, or was typed.
        chosen = (id.replace("\r\n", "\n") for id in fields.getall("items", []))
        ids = [id for id in (*chosen, *(line.strip() for line in listed)) if id]
        names, values = fields.getall("header_name", []), fields.getall("header_value", [])
        headers = [(name.strip(), value.strip()) for name, value in zip(names, values, strict=False)]
        return cls(
            name=fields.get("name", ""),
            event_type=fields.get("event_type", ""),
            target_url=fields.get("target_url", "").strip(),
            all_items="all_items" in fields,
            item_ids=tuple(dict.fromkeys(ids)),
            items_of=fields.get("items_of"),
            template=fields.get("payload_template", "").replace("\r\n", "\n"),
            headers=tuple((name, value) for name, value in headers if name or value),
            rate_limit=fields.get("rate_limit", "").strip(),
        )

    @property
    def known_event_type(self) -> EventType:
        """The event type; the first where a browser sent none that there is."""
        return next((one for one in EventType if one.value == self.event_type), EventType.ACTIVE_ALERT)

    @property
    def has_too_many_items(self) -> bool:
        """Whether there are more items than a webhook can have, and so many perhaps that to show them takes long."""
        return len(self.item_ids) > MAX_ITEMS

    def body(self, model: type[B], language: Language) -> B:
        """The body of the API's call; numbers are read as the language writes them.

        Raises:
            Problem: 422 that names every bad field.
        """
        members: dict[str, Any] = {"name": self.name, "event_type": self.event_type, "target_url": self.target_url}
        errors: dict[str, list[BadField]] = {}
        for name, read in (
            ("items", self._items),
            ("payload_template", self.template_object),
            ("headers", self._headers),
            ("rate_limit", partial(self.rate, language)),
        ):
            try:
                members[name] = read()
            except ValueError as error:
                errors[name] = bad_members((name,), error)
        found: list[BadField] = [one for those in errors.values() for one in those]
        try:
            body = body_of(model, members)
        except Problem as problem:
            found += [one for one in problem.details.errors or () if one.field.split(".")[0] not in errors]
            raise invalid(found) from None
        if found:
            raise invalid(found)
        return body

    def _items(self) -> dict[str, Any]:
        if self.all_items:
            return {"all": True}
        if self.item_ids and self.items_of is not None and _kind(self.items_of) != _kind(self.event_type):
            raise ValueError(ITEMS_OF_ANOTHER_KIND)
        return {"ids": list(self.item_ids)}

    def template_object(self) -> dict[str, Any]:
        """The template, read.

        Raises:
            ValueError: it is not a JSON object; the message says where and why.
        """
        if not self.template.strip():
            raise ValueError(NO_TEMPLATE)
        try:
            value = read_strict_json(self.template.encode("utf-8", "surrogatepass"))
        except NotJson as error:
            raise ValueError(str(error)) from None
        if not isinstance(value, dict):
            raise ValueError(NOT_AN_OBJECT)  # noqa: TRY004 - a field's error, as the others are
        return value

    def _headers(self) -> dict[str, str]:
        if any(not name for name, _ in self.headers):
            raise ValueError(NAME_WITHOUT_HEADER)
        headers = dict(self.headers)
        times = Counter(name for name, _ in self.headers)
        twice = next((name for name, count in times.items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"the header {twice} is there twice (upper and lower case are the same)")
        return check_but_masked(headers)

    def rate(self, language: Language) -> float | None:
        """The rate limit, read.

        Raises:
            ValueError: it is not a number, or could be either of two.
        """
        if not self.rate_limit:
            return None
        match language.meant_by(self.rate_limit):
            case [rate]:
                return rate
            case [least, most]:
                raise ValueError(f"this can be read as {most:.15g} or as {least:.15g}; write the one that is meant")
        raise ValueError(WRITE_A_NUMBER)


def ready_template(name: str, event_type: EventType) -> str:
    """The text of a ready template."""
    return as_json(example_templates(event_type)[TEMPLATES[name]])


def name_of_ready_template(text: str, event_type: EventType) -> str | None:
    """Which ready template of a type a text is, untouched."""
    return next((name for name in TEMPLATES if ready_template(name, event_type) == text), None)


def _kind(event_type: str) -> str:
    return next((DESCRIPTIONS[one].resource_kind for one in EventType if one.value == event_type), event_type)
