"""What is to be fetched is asked for at once, and of all partitions alike."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer

from dispatcher.kafka.fetch_session import FetchSession, SessionFetch, TellingClient

# While records of some partitions wait here, a request for the others waits so long at the broker for new ones; what is
# taken meanwhile is asked for again when it has come back. Of what is wanted last nobody minds that, and a flood of it
# waits here all the time: eight of nine requests came back with nothing.
_WAIT_WHILE_BUSY_MS = 3
_WAIT_WHILE_BUSY_WITH_LAST_MS = 10

# An answer of a request is read in as many rounds of the event loop as it has some 100 KB, and no other request is made
# meanwhile: a flood's megabytes would keep everybody else's few records waiting for all of them.
_ANSWER_BYTES = 512 * 1024
_OF_A_PARTITION_BYTES = 128 * 1024

# Where some of what is fetched is wanted sooner than the rest: a broker fills its answer in the order of the request,
# so the rest has what is left of this.
_ANSWER_WITH_LAST_BYTES = 128 * 1024

# What is taken at once is asked for again together with all the others: a request without it would keep what comes next
# waiting for that request's end.
_TAKEN_AT_ONCE_SECONDS = 0.002

# In a session the broker has an order of its own. For so long after so much came of what is wanted last that it may
# have kept the others out, each request names all partitions, in our order.
_MUCH_OF_LAST_BYTES = _ANSWER_WITH_LAST_BYTES // 4
_IN_ORDER_SECONDS = 1.0


def fetch_promptly(consumer: AIOKafkaConsumer) -> None:
    """Have a started consumer notice every answer at once.

    When records are taken out in the same round of the event loop in which an answer comes, aiokafka takes the request
    for one that is still on its way, and makes no other for 0.2 s.
    """
    fetcher: Any = consumer._fetcher  # noqa: SLF001 - nothing public tells which requests are on their way

    def look_again() -> None:
        fetcher._notify(fetcher._wait_consume_future)  # noqa: SLF001

    fetcher._in_flight = _OnTheirWay(fetcher._in_flight, look_again)  # noqa: SLF001


class _OnTheirWay(set[object]):
    """The brokers that have not answered yet."""

    def __init__(self, brokers: Iterable[object], answered: Callable[[], None]) -> None:
        super().__init__(brokers)
        self._answered = answered

    def discard(self, broker: object, /) -> None:
        super().discard(broker)
        self._answered()


def fetch_evenly(consumer: AIOKafkaConsumer, *, last: Collection[str] = ()) -> None:
    """Have a started consumer ask for the partitions of which it holds nothing, while records of others wait in it.

    Topics in ``last`` are those where nobody minds: they are asked for behind the others, and little at a time.

    aiokafka alone asks for nothing for 0.1 s after each answer that has not been used up. And while one request waits
    at the broker for new records, it sends no other: a flooded partition would wait for the idle ones to have some. So
    requests do not wait there long as long as there is much to do.
    """
    fetcher: Any = consumer._fetcher  # noqa: SLF001 - the constructor has no parameter for either
    choose, patiently = fetcher._get_actions_per_node, fetcher._fetch_max_wait_ms  # noqa: SLF001
    sessions: defaultdict[int, FetchSession] = defaultdict(FetchSession)
    in_order_until = 0.0

    def came(response: Any) -> None:
        nonlocal in_order_until
        of_last = (each for topic, partitions in response.topics if topic in last for each in partitions)
        if sum(len(each[-1] or b"") for each in of_last) >= _MUCH_OF_LAST_BYTES:
            in_order_until = time.monotonic() + _IN_ORDER_SECONDS

    def wait_ms() -> int:
        if not (held := fetcher._records):  # noqa: SLF001
            return int(patiently)
        return _WAIT_WHILE_BUSY_WITH_LAST_MS if all(tp.topic in last for tp in held) else _WAIT_WHILE_BUSY_MS

    def choose_evenly(assignment: Any) -> Any:
        if (pause := _nobody_can_be_asked(fetcher)) is not None:
            return [], {}, pause, False, []
        fetcher._fetch_max_wait_ms = wait_ms()  # noqa: SLF001
        requests, *others = choose(assignment)
        for _, request in requests:
            request.topics.sort(key=lambda of_topic: of_topic[0] in last)
        if time.monotonic() >= in_order_until:
            requests = [(node, SessionFetch(request, sessions[node])) for node, request in requests]
        return requests, *others

    fetcher._client = TellingClient(fetcher._client, came)  # noqa: SLF001
    fetcher._fetch_max_bytes = _ANSWER_WITH_LAST_BYTES if last else _ANSWER_BYTES  # noqa: SLF001
    fetcher._max_partition_fetch_bytes = _OF_A_PARTITION_BYTES  # noqa: SLF001
    fetcher._prefetch_backoff = _TAKEN_AT_ONCE_SECONDS  # noqa: SLF001
    fetcher._get_actions_per_node = choose_evenly  # noqa: SLF001


def _nobody_can_be_asked(fetcher: Any) -> float | None:
    """For how many seconds at most each broker has a request, or gave what waits here; None: one of them is free.

    So it is right after each answer, and whoever waits for its records waits for this, too: aiokafka looks at every
    partition to find it out.
    """
    asked, pauses = fetcher._in_flight, dict[int, float]()  # noqa: SLF001
    for tp, held in fetcher._records.items():  # noqa: SLF001
        broker = fetcher._select_read_replica(tp)  # noqa: SLF001
        if broker not in asked and (seconds := held.calculate_backoff()):
            pauses[broker] = max(pauses.get(broker, 0), seconds)
    brokers = {each.nodeId for each in fetcher._client.cluster.brokers()}  # noqa: SLF001
    if not brokers or not brokers <= asked | pauses.keys():
        return None
    return min(pauses.values(), default=float(fetcher._fetcher_timeout))  # noqa: SLF001


def holds_records(consumer: AIOKafkaConsumer) -> bool:
    """Whether records have been fetched that nobody has taken yet."""
    return bool(consumer._fetcher._records)  # noqa: SLF001
