"""Commits: what a sender commits of its partitions, and when."""

from collections.abc import Mapping

from aiokafka import TopicPartition

from dispatcher.kafka.watermark import Watermark

_NOTED_AGAIN_MS = 60_000


class Commits:
    """Offsets to commit, each with the time since when the first delivery that is not committed has been worked on.

    Whoever takes over reads outcomes back from that time on. So it is noted anew each minute where nothing happens too:
    an empty topic would otherwise send him back to the day of its last delivery. Times are milliseconds.
    """

    def __init__(self) -> None:
        self._committed: dict[TopicPartition, tuple[int, int]] = {}

    def due(
        self, watermarks: Mapping[TopicPartition, Watermark], now: int, *, leaving: bool = False
    ) -> dict[TopicPartition, tuple[int, str]]:
        """The offsets to commit, and what is noted beside them; of all partitions when ``leaving`` them."""
        due = {}
        for tp, watermark in watermarks.items():
            offset = watermark.committable
            committed, noted_at = self._committed.get(tp, (-1, now))
            if leaving or offset > committed or now - noted_at >= _NOTED_AGAIN_MS:
                due[tp] = (offset, str(watermark.since(now)))
        return due

    def done(self, offsets: Mapping[TopicPartition, tuple[int, str]], now: int) -> None:
        """The broker has them since ``now``."""
        self._committed.update({tp: (offset, now) for tp, (offset, _) in offsets.items()})

    def forget(self) -> None:
        """Partitions changed hands."""
        self._committed.clear()
