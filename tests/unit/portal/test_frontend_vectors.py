"""The preview in the browser and the server render alike, and show the same of what others wrote.

Both are held to the same files.
"""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from dispatcher.events.text import escaped, text_of
from dispatcher.portal.api.strict_json import NotJson, read_strict_json
from dispatcher.portal.pages.hostile import plain, shown, shown_block
from dispatcher.webhooks.template import Template

LIB = Path(__file__).parents[3] / "frontend" / "src" / "lib"
VECTORS: dict[str, Any] = json.loads((LIB / "template.vectors.json").read_text(encoding="utf-8"))
HOSTILE: list[dict[str, str]] = json.loads((LIB / "hostile.vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS["templates"], ids=lambda vector: str(vector["title"]))
def test_what_the_preview_is_held_to_is_what_is_sent(vector: dict[str, str]) -> None:
    values = defaultdict(bytes)
    for name, value in read_strict_json(VECTORS["values"].encode()).items():
        values[name] = escaped(text_of(value))
    template = Template(read_strict_json(vector["template"].encode()), frozenset(VECTORS["variables"]))
    assert template.render(values).decode() == vector["rendered"]


@pytest.mark.parametrize("text", VECTORS["refused"])
def test_what_the_editor_refuses_the_server_refuses(text: str) -> None:
    with pytest.raises(NotJson):
        read_strict_json(text.encode())


@pytest.mark.parametrize("vector", HOSTILE, ids=lambda vector: str(vector["title"]))
def test_what_the_islands_show_of_what_others_wrote_the_pages_show(vector: dict[str, str]) -> None:
    text = vector["text"]
    assert plain(text) == vector["shown"]
    assert re.sub(r"<[^>]*>", "", shown(text)) == re.sub(r"<[^>]*>", "", shown_block(text)) == vector["shown"]
