"""The texts of the islands in the pages' languages: a catalogue of the build's ``texts.json`` for each but English."""

from functools import cache
from typing import Any

import orjson
from markupsafe import Markup

from dispatcher.portal.pages.languages import ENGLISH, LOCALE


def script_json(value: Any) -> Markup:
    """JSON to stand inside of ``<script type="application/json">``, which nothing in it can end."""
    return Markup(orjson.dumps(value).decode().replace("<", "\\u003c"))  # noqa: S704 - no < is left


@cache
def texts(code: str) -> dict[str, dict[str, str]]:
    """The texts in a language, by island, then by key; none for English, which the islands speak themselves."""
    if code == ENGLISH:
        return {}
    found: dict[str, dict[str, str]] = orjson.loads((LOCALE / code / "islands.json").read_bytes())
    return found


def texts_script(code: str, *islands: str) -> Markup:
    """The element that tells these islands of a page their texts; nothing where they need none."""
    wanted = {island: found for island, found in texts(code).items() if island in islands}
    if not wanted:
        return Markup("")
    return Markup('<script type="application/json" id="island-texts">{}</script>').format(script_json(wanted))
