"""Where a sender goes on in a partition that it takes over."""

from aiokafka import TopicPartition

from dispatcher.delivery.takeover import positions_within


def test_it_goes_on_where_it_is_committed_and_never_behind_the_end_of_a_log() -> None:
    whole, cut = TopicPartition("webhooks.deliveries", 0), TopicPartition("webhooks.deliveries", 1)
    assert positions_within({whole: 70, cut: 40}, {whole: 50, cut: 50}) == {whole: 50, cut: 40}
