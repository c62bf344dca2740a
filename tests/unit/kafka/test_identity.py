from uuid import UUID

from dispatcher.kafka.embedded.broker import new_identity


def test_no_identity_looks_like_an_option() -> None:
    begins_with_a_dash, other = UUID("fb" + "00" * 15), UUID("00" * 16)
    assert new_identity(iter([begins_with_a_dash, begins_with_a_dash, other]).__next__) == "A" * 22
