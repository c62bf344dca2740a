import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.webhooks.template import MAX_DEPTH, MAX_TEMPLATE_BYTES, Template, check_template

VARIABLES = ("status", "status_extra", "summary", "a1", "x")


def escaped(value: str) -> bytes:
    """What `Variables` provides for a value: JSON text without its quotes."""
    return json.dumps(value, ensure_ascii=False)[1:-1].encode("utf-8", "backslashreplace")


def filled(value: Any, values: dict[str, str]) -> Any:
    """The contract's *Templates*, read slowly: objects as lists of pairs, so that no key can hide another."""
    if isinstance(value, str):
        replaced = re.sub(r"#([A-Za-z0-9_]+)", lambda word: values[word[1]] if word[1] in VARIABLES else word[0], value)
        # In JSON, two halves of a surrogate pair that come to stand together are one character.
        return replaced.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if isinstance(value, dict):
        return [(filled(key, values), filled(member, values)) for key, member in value.items()]
    if isinstance(value, list):
        return ["list", *(filled(member, values) for member in value)]
    return value


def pairs(text: bytes) -> Any:
    def tagged(value: Any) -> Any:
        if isinstance(value, Object):
            return [(key, tagged(member)) for key, member in value.pairs]
        if isinstance(value, list):
            return ["list", *(tagged(member) for member in value)]
        return value

    return tagged(json.loads(text, object_pairs_hook=Object))


class Object:
    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def render(template: dict[str, Any], **values: str) -> Any:
    rendered = Template(template, VARIABLES).render({name: escaped(values.get(name, "")) for name in VARIABLES})
    return json.loads(rendered)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#status", "ok"),
        ("#status_extra", "more"),
        ("#status_extra2", "#status_extra2"),
        ("#status-#status", "ok-ok"),
        ("##status", "#ok"),
        ("#status#status", "okok"),
        ("#Status", "#Status"),
        ("#status\u00e9", "ok\u00e9"),
        ("#status\u0660", "ok\u0660"),
        ("#status\n#status", "ok\nok"),
        ('#status"', 'ok"'),
        ("\\#status\\", "\\ok\\"),
        ("#", "#"),
        ("# status", "# status"),
        ("#unknown", "#unknown"),
        ("", ""),
    ],
)
def test_replaces_whole_words_that_name_a_variable(text: str, expected: str) -> None:
    assert render({"in": text, "list": [[text]]}, status="ok", status_extra="more") == {
        "in": expected,
        "list": [[expected]],
    }


def test_replaces_in_keys() -> None:
    assert render({"#status": 1, "a": {"is #x": None}}, status="ok", x="y") == {"ok": 1, "a": {"is y": None}}


def test_never_looks_at_a_value_again() -> None:
    assert render({"a": "#status", "b": "#st#x"}, status="#x #status", x="atus") == {
        "a": "#x #status",
        "b": "#status",
    }


def test_a_value_cannot_leave_its_string() -> None:
    evil = '", "admin": true, "x": "\\'
    assert render({"a": "#status"}, status=evil) == {"a": evil}


def test_writes_compact_json_with_unescaped_unicode() -> None:
    template: dict[str, Any] = {"á": [1, 1.5, 10**30, True, None, {}], "s": "#status ✓"}
    assert Template(template, VARIABLES).render({"status": escaped("né")}) == (
        '{"á":[1,1.5,1000000000000000000000000000000,true,null,{}],"s":"né ✓"}'.encode()
    )


def test_verbatim_replaces_nothing() -> None:
    template: dict[str, Any] = {"#status": "#x", "lone": "\ud83d"}
    assert json.loads(Template(template, VARIABLES).verbatim) == template


def test_values_are_asked_for_only_when_needed() -> None:
    class Values(dict[str, bytes]):
        def __missing__(self, name: str) -> bytes:
            self[name] = name.upper().encode()
            return self[name]

    values = Values()
    assert Template({"a": "#x"}, VARIABLES).render(values) == b'{"a":"X"}'
    assert set(values) == {"x"}


texts = st.text(st.characters(), max_size=8)
words = st.sampled_from(
    [f"#{name}" for name in VARIABLES] + ["#", "#unknown", "_", "1", '"', "\\", "\ud83d", "\x00", "é"]
)
strings = st.lists(st.one_of(words, texts), max_size=5).map("".join)
numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
values_of_json = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, strings),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(strings, inner, max_size=4)),
    max_leaves=12,
)


@given(
    template=st.dictionaries(strings, values_of_json, max_size=5),
    values=st.fixed_dictionaries(dict.fromkeys(VARIABLES, strings)),
)
def test_output_is_the_template_with_the_values_in_place(template: dict[str, Any], values: dict[str, str]) -> None:
    rendered = Template(template, VARIABLES).render({name: escaped(value) for name, value in values.items()})
    # repr tells 1 from 1.0 and True.
    assert repr(pairs(rendered)) == repr(filled(template, values))


def test_check_accepts_what_can_be_sent() -> None:
    template = {"a": [{"b": 1e300, "": "\ud83d"}]}
    assert check_template(template) is template


def nested(levels: int) -> dict[str, Any]:
    template: dict[str, Any] = {}
    for _ in range(levels - 1):
        template = {"a": template}
    return template


def test_check_allows_the_deepest_template() -> None:
    assert check_template(nested(MAX_DEPTH))


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"a": [float("inf")]}, "number"),
        ({"a": float("nan")}, "number"),
        (nested(MAX_DEPTH + 1), "deeper"),
        (nested(100_000), "deeper"),
        ({"a": "é" * (MAX_TEMPLATE_BYTES // 2)}, "larger"),
    ],
)
def test_check_refuses_what_cannot_be_sent(template: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_template(template)
