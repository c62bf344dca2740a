"""What the worst targets cost: memory for each call is bounded, whatever they send."""

import asyncio
import gc
import gzip
import socket
import tracemalloc

import aiohttp
import pytest

from tests.support.raw_target import REQUEST, Handler, answering, calling, listening, speaking_first, target_at

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
        (answering(CHUNKED + b"1\r\nx\r\n0\r\n", b"X: a\r\n", then="endless"), 1024 * KIB),
        (answering(CHUNKED + b"1\r\nx\r\n0\r\nX: ", b"a", then="endless"), 1024 * KIB),
        (answering(b"HTTP/1.1 103 Early Hints\r\n\r\n", then="endless"), 8 * 1024 * KIB),
        (
            answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(BOMB), BOMB)),
            512 * KIB,
        ),
    ],
    ids=[
        *("body", "one chunk", "small chunks", "headers", "a header", "trailers", "a trailer"),
        *("interim answers", "compressed bomb"),
    ],
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


async def test_a_call_that_fails_leaves_no_exception_to_the_garbage_collector() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refusing = f"http://127.0.0.1:{taken.getsockname()[1]}/hook"
        async with listening(speaking_first(b"this is no TLS\r\n")) as no_tls, calling() as client:
            for url in (refusing, no_tls.https, "http://no-such-name.invalid/hook"):
                target = target_at(url)
                gc.collect()
                gc.set_debug(gc.DEBUG_SAVEALL)
                try:
                    answers = [await client.call(target, REQUEST) for _ in range(3)]
                    gc.collect()
                    left = [each for each in gc.garbage if isinstance(each, aiohttp.ClientError)]
                finally:
                    gc.set_debug(0)
                    gc.garbage.clear()
                assert all(answer.failure is not None for answer in answers)
                assert left == []
