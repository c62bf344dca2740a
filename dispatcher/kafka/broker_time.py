"""What time it is for Kafka, asked without writing anything.

The leader of a KRaft quorum answers DescribeQuorum with its own clock as the moment at which it was last up to date.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

_METADATA = "__cluster_metadata"

_REPLICA = (
    ("replica_id", Int32),
    ("log_end_offset", Int64),
    ("last_fetch_timestamp", Int64),
    ("last_caught_up_timestamp", Int64),
    ("tags", TaggedFields),
)


class _DescribeQuorumResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 55
    API_VERSION = 1
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("high_watermark", Int64),
                        ("voters", CompactArray(*_REPLICA)),
                        ("observers", CompactArray(*_REPLICA)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _DescribeQuorumStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 55
    API_VERSION = 1
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribeQuorumResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                ("partitions", CompactArray(("partition", Int32), ("tags", TaggedFields))),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _DescribeQuorum(Request[_DescribeQuorumStruct]):  # type: ignore[misc]
    API_KEY = 55

    def build(self, request_struct_class: type[_DescribeQuorumStruct]) -> _DescribeQuorumStruct:
        return request_struct_class([(_METADATA, [(0, {})], {})], {})


@dataclass(frozen=True, slots=True)
class ClockDifference:
    """How far Kafka's clock is ahead of this machine's, in milliseconds, and how much the answer may be wrong by."""

    ahead: int
    within: int


async def leaders_time(admin: AIOKafkaAdminClient) -> int | None:
    """The time of the leader of the controllers, in milliseconds since the epoch.

    None where it cannot be known: an older Kafka, or the user may not ask.

    Raises:
        KafkaError: it may be known at another time.
    """
    try:
        return _time_in(await admin._send_request(_DescribeQuorum()))  # noqa: SLF001 - aiokafka has no such method
    except (IncompatibleBrokerVersion, NotImplementedError):
        return None


async def clock_difference(admin: AIOKafkaAdminClient, wall: Callable[[], float]) -> ClockDifference | None:
    """How far apart the clocks are; None where it cannot be known.

    ``wall`` is this machine's time in seconds since the epoch.
    """
    before = wall()
    try:
        there = await leaders_time(admin)
    except KafkaError:
        return None
    after = wall()
    if there is None:
        return None
    middle = (before + after) / 2 * 1000
    return ClockDifference(round(there - middle), round((after - before) / 2 * 1000) + 1)


def _time_in(response: Any) -> int | None:
    if response.error_code:
        return None
    for _, partitions, _ in response.topics:
        for _, code, leader, _, _, voters, _, _ in partitions:
            times = [caught_up for replica, _, _, caught_up, _ in voters if replica == leader]
            if not code and times and times[0] > 0:
                return int(times[0])
    return None
