import pytest

from dispatcher.moments import moment
from dispatcher.webhooks.commands import (
    Command,
    Disable,
    Erase,
    Recover,
    RecoveredSpan,
    Remove,
    UnreadableCommand,
    read_command,
)

NOW = moment(1_700_000_000_123)
SPANS = [
    RecoveredSpan(since=moment(1_600_000_000_001), until=moment(1_700_000_000_000)),
    RecoveredSpan(since=moment(1_700_000_000_010), until=moment(1_700_000_000_020)),
]

# As the functions of before the models wrote them.
RECORDED: list[tuple[Command, bytes]] = [
    (
        Disable(v=1, command="disable", webhook_id="wh-1", reason='it answered 410 "Gone", é', time=NOW),
        (
            b'{"v":1,"command":"disable","webhook_id":"wh-1",'
            b'"reason":"it answered 410 \\"Gone\\", \xc3\xa9","time":1700000000123}'
        ),
    ),
    (
        Erase(v=1, command="erase", id="erase_ab", organization_id="org-1", time=NOW),
        b'{"v":1,"command":"erase","id":"erase_ab","organization_id":"org-1","time":1700000000123}',
    ),
    (
        Recover(v=1, command="recover", webhook_id="wh-1", spans=SPANS, time=NOW),
        (
            b'{"v":1,"command":"recover","webhook_id":"wh-1",'
            b'"spans":[{"since":1600000000001,"until":1700000000000},{"since":1700000000010,"until":1700000000020}],'
            b'"time":1700000000123}'
        ),
    ),
    (
        Remove(v=1, command="remove", webhook_id="wh-1", time=NOW),
        b'{"v":1,"command":"remove","webhook_id":"wh-1","time":1700000000123}',
    ),
]


@pytest.mark.parametrize(("command", "written"), RECORDED)
def test_what_is_written_is_what_was_written_and_reads_as_it_was(command: Command, written: bytes) -> None:
    assert command.encode() == written
    assert read_command(written) == command


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (None, "the record"),
        (b"{}", "the record"),
        (b'{"v":1,"command":"sing","time":1}', "the record"),
        (b'{"command":"disable","webhook_id":"wh-1","reason":"gone","time":1700000000123}', r"disable\.v"),
        (b'{"v":2,"command":"erase","id":"e","organization_id":"","time":1}', r"erase\.v, erase\.organization_id"),
    ],
)
def test_what_is_no_command_is_told(value: bytes | None, wrong: str) -> None:
    with pytest.raises(UnreadableCommand, match=f"^not a command of this version: {wrong}$"):
        read_command(value)
