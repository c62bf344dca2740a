"""What a sender and a relay count while they deliver."""

from prometheus_client import REGISTRY

from tests.support.delivering import Delivering
from tests.support.target import Target, answer
from tests.support.waiting import eventually


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"dispatcher_{name}", labels) or 0


async def test_attempts_retries_and_messages_that_were_given_up(delivering: Delivering, target: Target) -> None:
    names: dict[str, dict[str, str]] = {
        "attempts_total": {"status": "failed", "reason": "http_status"},
        "messages_given_up_total": {"reason": "http_status"},
        "rebalances_total": {"group": "sender"},
        "batch_records_sum": {"role": "sender"},
        "retries_relayed_total": {"delay": "1s"},
        "attempt_seconds_count": {},
    }
    before = {name: counted(name, **labels) for name, labels in names.items()}
    await delivering.webhook("wh_counted", target.url("fails", answer(500)))
    await delivering.sender()
    await delivering.relay()
    await delivering.deliver("wh_counted", "msg_counted")

    def more() -> dict[str, float]:
        return {name: counted(name, **labels) - before[name] for name, labels in names.items()}

    await eventually(lambda: more()["messages_given_up_total"] == 1, timeout=30, what="the end of the message")
    # Attempts after 0, 1 and 2 s: three outcomes, and two retries.
    assert more()["attempts_total"] == 3
    assert more()["retries_relayed_total"] == 1
    assert more()["attempt_seconds_count"] == 3
    assert more()["batch_records_sum"] >= 4
    assert more()["rebalances_total"] >= 1
    assert counted("attempts_in_flight") == 0
