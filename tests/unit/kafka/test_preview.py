import pytest

from dispatcher.kafka.preview import preview


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (None, "(null)"),
        (b"", ""),
        ("häßlich 日本".encode(), "häßlich 日本"),
        (b"\x1b[31mred\x07\r\n\t", "\\x1b[31mred\\x07\\r\\n\\t"),
        ("left\u202eright\u2028\u00a0".encode(), "left\\u202eright\\u2028\\xa0"),
        (b"\xff\x00", "\\xff\\x00"),
    ],
)
def test_nothing_reaches_the_terminal_that_it_would_act_upon(content: bytes | None, shown: str) -> None:
    assert preview(content, 50) == shown


def test_what_is_long_is_cut_between_characters() -> None:
    assert preview("é".encode() * 1000, 10) == "é" * 10 + "…"
    assert preview(b"a" * 10, 10) == "a" * 10
