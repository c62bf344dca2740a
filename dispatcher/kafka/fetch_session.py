"""Incremental fetch sessions (KIP-227): a request names what has changed since the one before, an answer what there is.

aiokafka names every partition in each request, and gets each of them back: of 42 partitions with one new record between
them, that takes a consumer four times as long as the record.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

from aiokafka.protocol.fetch import FetchRequest

_FIRST_VERSION = 7
_LAST_EPOCH = 2**31 - 1

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""

Wanted = Mapping[Partition, tuple[int, int]]
"""From which offset a partition is wanted, and how many bytes of it at most."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a request says of its session: 0 and 0 ask for a new one."""

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
        id, epoch, known = self._id, self._epoch, self._known
        self._id, self._epoch, self._known = 0, 0, {}
        self._asked = epoch, wanted
        changed = {partition: at for partition, at in wanted.items() if known.get(partition) != at}
        return Step(id, epoch, changed, frozenset(known.keys() - wanted.keys()))

    def answered(self, error_code: int, id: int) -> None:
        """The broker has answered what was asked last; an id of 0 says that it keeps no session."""
        if not error_code and id:
            epoch, self._known = self._asked
            self._id, self._epoch = id, epoch + 1 if epoch < _LAST_EPOCH else 1


class SessionFetch(FetchRequest):  # type: ignore[misc]
    """A request of aiokafka's fetcher, in a session if the broker has them."""

    def __init__(self, request: FetchRequest, session: FetchSession) -> None:
        self.__dict__.update(request.__dict__)
        self._whole = request
        self._session = session

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
        changed: dict[str, list[tuple[int, int, int]]] = {}
        for (topic, partition), (offset, most) in step.changed.items():
            changed.setdefault(topic, []).append((partition, offset, most))
        forgotten: dict[str, list[int]] = {}
        for topic, partition in step.forgotten:
            forgotten.setdefault(topic, []).append(partition)
        of_changes: Any = copy(self._whole)
        of_changes._topics = list(changed.items())  # noqa: SLF001 - as its constructor would
        built: Any = of_changes.build(request_struct_class)
        built.session_id, built.session_epoch = step.id, step.epoch
        built.forgotten_topics_data = list(forgotten.items())
        return built

    def answered(self, response: Any) -> None:
        """Learn from the answer whether the session goes on."""
        if response.API_VERSION >= _FIRST_VERSION:
            self._session.answered(response.error_code, response.session_id)


class TellingClient:
    """aiokafka's client; tells a session what it was answered, which the fetcher does not look at."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        """Send a request, and give its answer."""
        response = await self._client.send(node_id, request, **options)
        if isinstance(request, SessionFetch):
            request.answered(response)
        return response
