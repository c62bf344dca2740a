"""What who takes a partition over keeps of its outcomes."""

from dispatcher.delivery.takeover import _Finished, _LookBack
from dispatcher.delivery.work import Partition

NOW, KEY = 1_795_000_000_000, 7
TOPIC = "webhooks.deliveries"


def test_the_record_of_an_attempt_that_called_nobody_is_dealt_with_and_the_attempt_is_not() -> None:
    partition, back = Partition(), _LookBack(NOW, 0, NOW - 600_000)
    back.note(partition, _Finished(KEY, NOW - 1, TOPIC, 5, called=False), committed_to=3)
    assert partition.is_dealt_with(KEY, TOPIC, 5, NOW, parked=False)
    assert not partition.is_dealt_with(KEY, TOPIC, 6, NOW, parked=False)
    back.note(partition, _Finished(KEY, NOW, TOPIC, 6, called=True), committed_to=3)
    assert partition.is_dealt_with(KEY, TOPIC, 9, NOW, parked=False)
