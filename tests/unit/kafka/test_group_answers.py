"""What a coordinator answers about a group while it still loads it, as after a restart of its broker."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest

from dispatcher.kafka.administration import Administrator
from dispatcher.operations import lag_meter

PLACE = TopicPartition("webhooks.deliveries", 2)
REFUSALS = [
    (14, GroupLoadInProgressError),
    (15, GroupCoordinatorNotAvailableError),
    (16, NotCoordinatorForGroupError),
    (30, GroupAuthorizationFailedError),
]


class Coordinator(Administrator):
    """Answers with each of ``codes`` once, as brokers do: with an error and nothing else. Then with what there is."""

    def __init__(self, *codes: int, of_partition: int = 0) -> None:
        self._codes = list(codes)
        self._of_partition = of_partition

    async def find_coordinator(self, *_: Any) -> int:
        return 1

    async def _send_request(self, request: Any, *_: Any) -> Any:
        code = self._codes.pop(0) if self._codes else 0
        if isinstance(request, OffsetFetchRequest):
            offsets = [] if code else [(PLACE.topic, [(PLACE.partition, 7, "123", self._of_partition)])]
            return SimpleNamespace(error_code=code, topics=offsets)
        assert isinstance(request, DescribeGroupsRequest)
        state, members = ("", []) if code else ("Stable", [("m-1", "sender", "/10.0.0.1", b"", b"")])
        return SimpleNamespace(groups=[(code, "webhooks.sender", state, "consumer", "range", members)])


@pytest.mark.parametrize(("code", "error"), REFUSALS)
async def test_an_error_is_not_a_group_that_has_nothing(code: int, error: type[KafkaError]) -> None:
    for tps in (None, [PLACE]):
        with pytest.raises(error, match=r"webhooks\.sender"):
            await Coordinator(code).committed("webhooks.sender", tps)
    with pytest.raises(error, match=r"webhooks\.sender"):
        await Coordinator(code).group("webhooks.sender")


async def test_an_error_of_a_partition_is_raised_too() -> None:
    with pytest.raises(NotCoordinatorForGroupError, match="deliveries 2"):
        await Coordinator(of_partition=16).committed("webhooks.sender")


async def test_lag_is_measured_once_the_coordinator_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag_meter, "_AGAIN_AFTER", 0)
    codes = [code for code, _ in REFUSALS[:3]]
    assert await lag_meter._committed(Coordinator(*codes), "webhooks.sender") == {("webhooks.deliveries", 2): 7}
    membership = await lag_meter._membership(Coordinator(*codes), "webhooks.sender")
    assert (membership.state, membership.members, membership.hosts) == ("Stable", 1, {"m-1": "10.0.0.1"})
