"""How far a partition has been dealt with when its records finish in any order."""


class Watermark:
    """The contiguous watermark of one partition: everything before ``committable`` has finished.

    Offsets begin in increasing order, may skip some, and finish in any order.
    """

    def __init__(self, position: int) -> None:
        self.position = position
        """The next offset that may begin."""
        self._open: dict[int, int] = {}

    def begin(self, offset: int, now: int) -> None:
        """A record is being dealt with since ``now`` (milliseconds)."""
        if offset < self.position:
            raise ValueError(f"offset {offset} has begun already; the next is {self.position}")
        self._open[offset] = now
        self.position = offset + 1

    def finish(self, offset: int) -> None:
        """A record that has begun is dealt with."""
        del self._open[offset]

    @property
    def unfinished(self) -> int:
        """How many records have begun and not finished."""
        return len(self._open)

    @property
    def committable(self) -> int:
        """The offset to commit: of the first record that has not finished."""
        return next(iter(self._open), self.position)

    def since(self, now: int) -> int:
        """When the first unfinished record began, or ``now``: what finished behind it finished after that."""
        return next(iter(self._open.values()), now)
