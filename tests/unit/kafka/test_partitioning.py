from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.kafka.partitioning import partition_of


@given(st.text(min_size=1, max_size=40), st.integers(min_value=1, max_value=64))
def test_it_is_what_the_default_partitioner_chooses(webhook_id: str, partitions: int) -> None:
    everywhere = list(range(partitions))
    assert partition_of(webhook_id, partitions) == DefaultPartitioner()(webhook_id.encode(), everywhere, everywhere)
