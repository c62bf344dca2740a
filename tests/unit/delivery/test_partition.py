"""What a partition knows of attempts."""

from dispatcher.delivery.work import Partition

A_DAY = 24 * 3600 * 1000


def test_a_first_attempt_is_repeated_within_ten_minutes_alone_and_any_other_however_late() -> None:
    partition = Partition()
    partition.made.add(1, 0)
    assert partition.is_dealt_with(1, "webhooks.deliveries", 0, 60_000, parked=False)
    assert not partition.is_dealt_with(1, "webhooks.deliveries", 0, A_DAY, parked=False)
    assert partition.is_dealt_with(1, "webhooks.deliveries", 0, 0, parked=False)
