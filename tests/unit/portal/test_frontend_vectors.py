"""The preview in the browser and the server render alike: both are held to the same file."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from dispatcher.events.text import escaped, text_of
from dispatcher.portal.api.strict_json import NotJson, read_strict_json
from dispatcher.webhooks.template import Template

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "frontend" / "src" / "lib" / "template.vectors.json").read_text(encoding="utf-8")
)


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
