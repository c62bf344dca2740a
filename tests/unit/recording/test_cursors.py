import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.recording.cursors import Position, read_cursor, write_cursor


@given(at=st.integers(0, 2**53), message_id=st.text(), run=st.integers(0, 65535), attempt=st.integers(0, 255))
def test_a_cursor_is_read_as_it_was_written(at: int, message_id: str, run: int, attempt: int) -> None:
    position = Position(at, message_id, run, attempt)
    cursor = write_cursor(position)
    assert read_cursor(cursor) == position
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"[1,2,3,4]", b'[1,"m",1]', b'["1","m",1,1]', b'[1,"m",1,-1]'])
def test_another_text_is_not_a_cursor(content: bytes) -> None:
    for cursor in (base64.urlsafe_b64encode(content).decode(), content.decode(), "é", "%%%"):
        with pytest.raises(ValueError, match="not one that this list gave out"):
            read_cursor(cursor)


@given(st.text())
def test_no_text_does_harm(text: str) -> None:
    try:
        read_cursor(text)
    except ValueError as error:
        assert "cursor" in str(error)  # noqa: PT017
