"""Incremental fetch sessions (KIP-227): a request names what has changed since the one before, an answer what there is.

aiokafka names every partition in each request, and gets each of them back: of 42 partitions with one new record between
them, that takes a consumer four times as long as the record. In a session, what it knows of the end of a partition
(``highwater``) is as old as the last answer that had something of it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka.protocol.fetch import FetchRequest

T = TypeVar("T")

_FIRST_VERSION = 7
_LAST_EPOCH = 2**31 - 1

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""

Wanted = Mapping[Partition, tuple[int, int]]
"""From which offset a partition is wanted, and how many bytes of it at most."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a request says of its session: an epoch of 0 asks for a new one, instead of the one with the id."""

    id: int
    epoch: int
    changed: Wanted
    forgotten: frozenset[Partition]


class FetchSession:
    """What one broker knows of what a consumer wants. One request at a time."""

    def __init__(self) -> None:
        self._id = 0
        self._epoch = 0
        self._known: Wanted = {}
        self._asked: tuple[int, Wanted] = 0, {}

    def ask(self, wanted: Wanted) -> Step:
        """How to ask for these partitions and no others. Until that is answered, the session counts as lost."""
        epoch, known = self._epoch, self._known
        self._epoch, self._known = 0, {}
        self._asked = epoch, wanted
        changed = {partition: at for partition, at in wanted.items() if known.get(partition) != at}
        return Step(self._id, epoch, changed, frozenset(known.keys() - wanted.keys()))

    def answered(self, error_code: int, id: int, named: Collection[Partition]) -> frozenset[Partition]:
        """The broker has answered what was asked last, and named these partitions; an id of 0: it keeps no session.

        Returns those of them that nobody asked for: such a session is lost.
        """
        epoch, wanted = self._asked
        strangers = frozenset(named) - wanted.keys()
        if not (error_code or strangers) and id:
            # A new session's answer has all that the broker took into it.
            self._known = wanted if epoch else {partition: wanted[partition] for partition in named}
            self._id, self._epoch = id, epoch + 1 if epoch < _LAST_EPOCH else 1
        return strangers


class SessionFetch(FetchRequest):  # type: ignore[misc]
    """A request of aiokafka's fetcher, in a session if the broker has them."""

    def __init__(self, request: FetchRequest, session: FetchSession) -> None:
        self._whole = request
        self._session = session

    @property
    def topics(self) -> Any:
        """All that is wanted, which is what the fetcher reads answers by."""
        return self._whole.topics

    def build(self, request_struct_class: Any) -> Any:
        """The request as it is sent."""
        if request_struct_class.API_VERSION < _FIRST_VERSION:
            return self._whole.build(request_struct_class)
        wanted = {
            (topic, partition): (offset, most)
            for topic, partitions in self.topics
            for partition, offset, most in partitions
        }
        step = self._session.ask(wanted)
        of_changes: Any = copy(self._whole)
        of_changes._topics = _by_topic(  # noqa: SLF001 - as its constructor would
            (topic, (partition, *at)) for (topic, partition), at in step.changed.items()
        )
        built: Any = of_changes.build(request_struct_class)
        built.session_id, built.session_epoch = step.id, step.epoch
        built.forgotten_topics_data = _by_topic(step.forgotten)
        return built

    def answered(self, response: Any) -> None:
        """Learn from the answer whether the session goes on, and leave nothing in it that was not asked for."""
        if response.API_VERSION < _FIRST_VERSION:
            return
        named = [(topic, each[0]) for topic, partitions in response.topics for each in partitions]
        if strangers := self._session.answered(response.error_code, response.session_id, named):
            response.topics = [
                (topic, [each for each in partitions if (topic, each[0]) not in strangers])
                for topic, partitions in response.topics
            ]


def _by_topic(pairs: Iterable[tuple[str, T]]) -> list[tuple[str, list[T]]]:
    grouped: defaultdict[str, list[T]] = defaultdict(list)
    for topic, each in pairs:
        grouped[topic].append(each)
    return list(grouped.items())


class TellingClient:
    """aiokafka's client; tells of what came, at which the fetcher alone looks and only in part."""

    def __init__(self, client: Any, came: Callable[[Any], None]) -> None:
        self._client = client
        self._came = came

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        """Send a request, and give its answer."""
        response = await self._client.send(node_id, request, **options)
        if isinstance(request, SessionFetch):
            request.answered(response)
        if isinstance(request, FetchRequest):
            self._came(response)
        return response
