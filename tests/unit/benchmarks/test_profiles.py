import pytest

from benchmarks.profiles import Sample, read_samples, seconds_by_step, step_of


def test_samples_are_read_with_their_threads() -> None:
    raw = (
        "thread (12): MainThread;run (uvloop/__init__.py:92);sign (dispatcher/delivery/signing.py:17) 3\n"
        "run (uvloop/__init__.py:92) 1\n"
    )
    assert list(read_samples(raw)) == [
        Sample(12, ("run (uvloop/__init__.py:92)", "sign (dispatcher/delivery/signing.py:17)"), 3),
        Sample(0, ("run (uvloop/__init__.py:92)",), 1),
    ]


@pytest.mark.parametrize(
    ("end", "step"),
    [
        (("sign (dispatcher/delivery/signing.py:17)",), "sign"),
        (("send (dispatcher/kafka/batching.py:51)", "append (aiokafka/producer/x.py:1)"), "produce to Kafka"),
        (
            ("getmany (aiokafka/consumer/consumer.py:1)", "decode (aiokafka/protocol/types.py:1)"),
            "Kafka's protocol and connections",
        ),
        (("_execute (dispatcher/delivery/sender.py:1)", "create_task (asyncio/tasks.py:384)"), "the attempt itself"),
        ((), "event loop and system calls"),
    ],
)
def test_the_frame_nearest_to_the_end_that_is_known_decides(end: tuple[str, ...], step: str) -> None:
    assert step_of(("run (uvloop/__init__.py:92)", *end)) == step


def test_what_a_thread_used_is_shared_out_as_it_was_seen() -> None:
    sign, render = ("f (dispatcher/delivery/signing.py:1)",), ("f (dispatcher/webhooks/template.py:1)",)
    samples = [Sample(1, sign, 3), Sample(1, render, 1), Sample(2, render, 5)]
    used = {1: 4.0, 2: 2.0, 3: 7.0, 4: 1.0}
    assert seconds_by_step(used, samples, "ClickHouse") == {"ClickHouse": 8.0, "sign": 3.0, "render": 3.0}
