"""Text that others wrote is shown as text, and breaks nothing."""

import re
import unicodedata
from html import unescape
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.portal.pages.hostile import plain, shown, shown_block
from dispatcher.portal.pages.json_markup import as_json, coloured_json, pretty_body


def test_markup_is_text() -> None:
    assert shown("<script>alert(1)</script>") == "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>"


@pytest.mark.parametrize(
    ("character", "stand_in"),
    [("\x00", "␀"), ("\x1b", "␛"), ("\x7f", "␡"), ("\u202e", "[U+202E]"), ("\ud800", "[U+D800]")],
)
def test_what_is_unseen_is_shown(character: str, stand_in: str) -> None:
    for text in (shown(f"a{character}b"), shown_block(f"a{character}b"), plain(f"a{character}b")):
        assert character not in text
        assert stand_in in text


def test_lines_are_kept_in_blocks_only() -> None:
    assert shown_block("a\r\n\tb") == "a\n\tb"
    assert plain("a\nb") == "a␊b"


def test_megabytes_are_cut() -> None:
    assert len(shown("x" * 5_000_000)) < 400
    assert len(coloured_json(as_json({"x": "y" * 5_000_000}))) < 70_000
    assert len(pretty_body('{"x": "' + "y" * 5_000_000 + '"}')) < 70_000


def test_a_text_is_not_cut_behind_a_joiner() -> None:
    assert plain("👩\u200d💻", 2) == "👩…"


def test_a_string_of_quotes_that_is_cut_takes_no_longer_than_another() -> None:
    began = process_time()
    for text in ('"', "\\", '\\"'):
        for offset in range(3):
            assert coloured_json(as_json({"x": "y" * offset + text * 50_000})).endswith("</span>…")
    assert process_time() - began < 5


def test_variables_of_a_template_are_marked_and_others_are_not() -> None:
    markup = coloured_json(
        as_json({"#alert_name": "see #alert_name, #other <b>", "n": [1, True, None]}), {"alert_name"}
    )
    assert markup.count('class="json-variable"') == 2
    assert "#other &lt;b&gt;" in markup


JOINERS = "\u200c\u200d"
EMOJI = ("👩", "💻", "❤", "🏳", "\ufe0f", "🏽")
LETTERS = ("م", "ی", "\u064e", "क", "\u094d", "ന", "\u0d4d", "a")
JOINED = st.text(st.sampled_from([*EMOJI, *LETTERS, *"1\u06f1। <", *JOINERS, *JOINERS]))


def of_script(character: str) -> bool:
    """Whether it is a letter of one of the scripts in the tests, or a mark on one."""
    name = unicodedata.name(character)
    return name.startswith(("ARABIC LETTER", "ARABIC FATHA", "DEVANAGARI", "MALAYALAM")) and (
        unicodedata.category(character)[0] in "LM"
    )


def joins(text: str, place: int) -> bool:
    """Whether a joiner in a text of these characters does what it is for."""
    before, after = text[:place], text[place + 1 : place + 2]
    if before and of_script(before[-1]):
        ends = text[place] == "\u200d" and before[-1] in "\u094d\u0d4d" and len(before) > 1 and of_script(before[-2])
        return ends or bool(after and of_script(after))
    bare = re.sub("[\ufe0f🏽]{0,2}$", "", before)
    return text[place] == "\u200d" and bare.endswith(EMOJI[:4]) and after.startswith(EMOJI[:4])


@given(JOINED)
def test_a_joiner_is_left_alone_where_it_joins_and_is_shown_elsewhere(text: str) -> None:
    expected = "".join(
        f"[U+{ord(one):04X}]" if one in JOINERS and not joins(text, place) else one for place, one in enumerate(text)
    )
    assert plain(text) == expected
    assert unescape(re.sub(r"<[^>]*>", "", shown(text))) == expected


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_is_shown_can_be_sent_and_has_no_markup_of_its_own(value: object) -> None:
    markup = coloured_json(as_json(value), {"a"})
    markup.encode()
    rest = markup.replace('<span class="json-', "").replace("</span>", "").replace('<span class="unseen" title="', "")
    assert "<" not in rest


def test_a_body_is_indented_where_it_is_json_and_else_as_it_came() -> None:
    assert '\n  <span class="json-key">' in pretty_body('{"a":1}')
    assert pretty_body("<h1>no</h1>") == "&lt;h1&gt;no&lt;/h1&gt;"
    assert pretty_body("[" * 100_000).startswith("[[[")
    for depth in (900, 5_000, 50_000):
        assert "[" in pretty_body("[" * depth + "]" * depth)
