import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.kafka.watermark import Watermark


@given(gaps=st.lists(st.integers(1, 5), min_size=1, max_size=40), data=st.data())
def test_nothing_unfinished_is_ever_before_the_committable_offset(gaps: list[int], data: st.DataObject) -> None:
    watermark = Watermark(100)
    offsets, offset = [], 99
    for gap in gaps:
        offset += gap
        offsets.append(offset)
    unfinished: set[int] = set()
    to_begin = list(offsets)
    while to_begin or unfinished:
        if to_begin and (not unfinished or data.draw(st.booleans())):
            begun = to_begin.pop(0)
            watermark.begin(begun, now=begun)
            unfinished.add(begun)
        else:
            done = data.draw(st.sampled_from(sorted(unfinished)))
            watermark.finish(done)
            unfinished.remove(done)
        # Whoever takes over after a crash begins there, and so with everything that is unfinished.
        expected = min(unfinished, default=watermark.position)
        assert watermark.committable == expected
        assert watermark.since(now=7) == (min(unfinished) if unfinished else 7)
    assert watermark.committable == offsets[-1] + 1


def test_an_offset_begins_once() -> None:
    watermark = Watermark(5)
    watermark.begin(6, now=0)
    with pytest.raises(ValueError, match="begun already"):
        watermark.begin(6, now=0)
