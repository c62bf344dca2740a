"""Records with header names that are not UTF-8, which any producer may write.

aiokafka cannot read them: whoever fetches one ends, at each start again. What is no UTF-8 in such a name is replaced.
"""

from collections.abc import Iterator
from typing import Any, SupportsIndex

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

_OFFSET_OF_FORMAT = 16
_FORMAT_WITH_HEADERS = 2


def read_every_header_name() -> None:
    """Have all consumers of this process read such records too, from now on."""
    fetcher.MemoryRecords = _Remembering
    fetcher.PartitionRecords = _PartitionRecords


class _Remembering(fetcher.MemoryRecords):  # type: ignore[misc]
    """The records of an answer, read as ever, and the bytes that they are in."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.content = content


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    _records: Any
    _records_iterator: Iterator[Any]

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except UnicodeDecodeError:
            # From the beginning: what has been taken is left out, by its offset.
            self._records = _Lenient(self._records.content)
            self._records_iterator = self._unpack_records()
            return super().__next__()


class _Lenient(_MemoryRecordsPy):  # type: ignore[misc]
    def next_batch(self) -> Any:
        content, batch = self._next_slice, super().next_batch()
        return batch if content[_OFFSET_OF_FORMAT] < _FORMAT_WITH_HEADERS else _LenientBatch(content)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Text(self._buffer)


class _Text(bytearray):
    """Bytes, all parts of which can be decoded."""

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        part = super().__getitem__(index)
        return _Text(part) if isinstance(part, bytearray) else part

    def decode(self, encoding: str = "utf-8", _errors: str = "strict") -> str:
        return super().decode(encoding, "replace")
