"""Templates to HTML: one Jinja environment for each language, which fails on what is not defined."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.portal.pages import hostile
from dispatcher.portal.pages.json_markup import as_json, coloured_json, is_json, pretty_body
from dispatcher.portal.pages.languages import LANGUAGES, Language, language
from dispatcher.portal.pages.problems_in_words import disabled_in_words, problem_in_words
from dispatcher.portal.pages.static_files import StaticFiles
from dispatcher.rfc3339 import rfc3339

TEMPLATES = Path(__file__).parent / "templates"
EXTENSIONS = ("jinja2.ext.i18n", "jinja2.ext.do")

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Renderer:
    """Renders templates in a language."""

    def __init__(self, static: StaticFiles) -> None:
        self._environments = {code: _environment(language(code), static) for code in LANGUAGES}

    def render(self, code: str, template: str, context: Mapping[str, Any]) -> str:
        """The page; lone surrogates, which no encoding has, are already shown as their codes."""
        return self._environments[code].get_template(template).render(context)


def _environment(spoken: Language, static: StaticFiles) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=EXTENSIONS,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.install_gettext_translations(spoken.translations, newstyle=True)  # type: ignore[attr-defined]

    def time(moment: datetime) -> Markup:
        return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(rfc3339(moment), spoken.moment(moment))

    environment.filters.update(
        plain=hostile.plain,
        shown=hostile.shown,
        shown_block=hostile.shown_block,
        number=spoken.number,
        percent=spoken.percent,
        time=time,
        with_times=lambda text: _with_times(text, time),
        event_type=lambda event_type: spoken.gettext(DESCRIPTIONS[EventType(event_type)].display_name),
        in_words=lambda detail: problem_in_words(detail, spoken),
        disabled_in_words=lambda reason: disabled_in_words(reason, spoken),
        as_json=as_json,
        coloured_json=coloured_json,
        pretty_body=pretty_body,
    )
    environment.tests["json_body"] = is_json
    environment.globals.update(static=static.url, has_static=static.__contains__, languages=LANGUAGES)
    return environment


def _with_times(text: Markup, time: Callable[[datetime], Markup]) -> Markup:
    """Times in a sentence of the API's become those that a script turns into the person's zone."""

    def shown(found: re.Match[str]) -> str:
        try:
            return time(datetime.fromisoformat(found[0]))
        except ValueError:
            return found[0]

    return Markup(_RFC3339.sub(shown, text))  # noqa: S704 - what stands around a time is markup already
