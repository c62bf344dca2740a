"""What the worst targets cost: memory for each call is bounded, whatever they send."""

import asyncio
import gzip
import tracemalloc

import pytest

from tests.support.raw_target import REQUEST, Handler, answering, calling, listening, target_at

CALLS = 5
KIB = 1024
BOMB = gzip.compress(b"0" * 10_000_000)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("handler", "limit"),
    [
        (answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x", then="endless"), 1024 * KIB),
        (answering(CHUNKED + b"fffffff\r\n", b"x", then="endless"), 1024 * KIB),
        (answering(CHUNKED, b"1\r\nx\r\n", then="endless"), 1024 * KIB),
        (answering(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n", then="endless"), 1024 * KIB),
        (answering(b"HTTP/1.1 200 OK\r\nX: ", b"a", then="endless"), 1024 * KIB),
        (answering(b"HTTP/1.1 103 Early Hints\r\n\r\n", then="endless"), 8 * 1024 * KIB),
        (
            answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(BOMB), BOMB)),
            512 * KIB,
        ),
    ],
    ids=["body", "one chunk", "small chunks", "headers", "a header", "interim answers", "compressed bomb"],
)
async def test_memory_of_a_call_is_bounded(handler: Handler, limit: int) -> None:
    """``limit`` is in bytes for one call, at its peak, the target's own buffers among them."""
    async with listening(handler) as listener, calling(timeout="60s") as client:
        target = target_at(listener.url)
        await client.call(target, REQUEST)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            answers = await asyncio.gather(*(client.call(target, REQUEST) for _ in range(CALLS)))
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    print(f"peak {(peak - before) // CALLS // KIB} KiB a call, kept {(after - before) // CALLS // KIB} KiB")
    assert (peak - before) / CALLS < limit
    assert (after - before) / CALLS < 256 * KIB
    assert all(len(each.response_body) <= 16 * KIB for each in answers)
