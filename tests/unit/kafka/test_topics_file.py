import re
from datetime import timedelta
from pathlib import Path

import pytest

from dispatcher.errors import ConfigurationError
from dispatcher.kafka.topics import load_topics
from dispatcher.settings import default_topics_file

TEXT = default_topics_file().read_text(encoding="utf-8")


def load(tmp_path: Path, before: str, instead: str) -> None:
    assert before in TEXT
    file = tmp_path / "topics.yaml"
    file.write_text(TEXT.replace(before, instead, 1), encoding="utf-8")
    load_topics(file)


@pytest.mark.parametrize(
    ("before", "instead", "message"),
    [
        ("[0s, 5s,", "[5s, 5s,", "retry.schedule: retry.schedule starts with 0s"),
        ("[0s, 5s,", "[0s, 0s,", "every entry of retry.schedule after the first is longer than 0s"),
        ("[0s, 5s,", "[0s, 5,", "retry.schedule.1: 5 has no unit; write a whole number and ms, s, m, h or d"),
        ("[0s, 5s,", "[0s, 1.5h,", "retry.schedule.1: '1.5h' is not a duration; write a whole number"),
        ("[0s, 5s,", "[0s, true,", "retry.schedule.1: True has no unit"),
        ("[0s, 5s,", "[0s, 5 seconds,", "retry.schedule.1: '5 seconds' is not a duration"),
        ("[0s, 5s,", "[0s, 999999999d,", "retry.schedule.1: '999999999d' is longer than 36500d"),
        ("retention: 7d", "retention: 2026-13-45", "is not YAML: '2026-13-45' is no timestamp in"),
        ("retention: 7d", "retention: !!int ''", "is not YAML: '' is no int in"),
        ("retention: 7d", "retention: a week", "events.retention: 'a week' is not a duration"),
        ("partitions: 12", "partitions: 0", "deliveries.partitions: Input should be greater than or equal to 1"),
        ("partitions: 12", "partitions: many", "deliveries.partitions: Input should be a valid integer"),
        ("retry_margin:", "retry_marge:", "deliveries.retry_marge: Extra inputs are not permitted"),
        ("  portal.resources: {}", "", "compacted declares exactly portal.resources, webhooks.config"),
        ("  webhooks.commands:", "  webhooks.command:", "others declares exactly webhooks.commands,"),
        ("events:\n", "happenings:\n", "events: Field required"),
        ("retention: 9h", "retention: 7h", "sessions.retention: Input should be greater than or equal to 8 hours"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, before: str, instead: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)) as raised:
        load(tmp_path, before, instead)
    assert str(tmp_path / "topics.yaml") in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"DISPATCHER_TOPICS_FILE: .* put a topics.yaml there"):
        load_topics(tmp_path / "topics.yaml")


@pytest.mark.parametrize("content", [b"retry: [", b"\xff\xfe\x00", b"a: b: c", b"[" * 5_000])
def test_a_file_that_is_not_yaml(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "topics.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not YAML") as raised:
        load_topics(file)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("content", "said"), [("", "is empty"), ("- retry", "does not hold sections")])
def test_a_file_without_sections(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(content, encoding="utf-8")
    needed = f"{said}: it needs the sections retry, replication, events, deliveries, compacted, others, as "
    with pytest.raises(ConfigurationError, match=needed) as raised:
        load_topics(file)
    assert str(default_topics_file()) in str(raised.value)


def test_the_schedule_makes_the_delay_topics(tmp_path: Path) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(re.sub(r"schedule: .*", "schedule: [0s, 1s, 2s, 1s]", TEXT), encoding="utf-8")
    topics = load_topics(file, "x.")
    assert topics.retry == {
        timedelta(seconds=1): "x.webhooks.retry.1s",
        timedelta(seconds=2): "x.webhooks.retry.2s",
    }
    numbers = {topic.name: topic.partitions for topic in topics.declared}
    assert {numbers[name] for name in topics.of_deliveries} == {topics.delivery_partitions}


def test_a_delay_topic_is_named_in_the_largest_unit_that_fits(tmp_path: Path) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(re.sub(r"schedule: .*", "schedule: [0s, 60s, 90s, 24h]", TEXT), encoding="utf-8")
    assert list(load_topics(file).retry.values()) == [f"webhooks.retry.{delay}" for delay in ("1m", "90s", "1d")]


def test_a_file_of_before_there_were_sessions_is_read_as_if_it_had_them(tmp_path: Path) -> None:
    file, section = tmp_path / "topics.yaml", "sessions:\n  retention: 9h\n"
    assert section in TEXT
    file.write_text(TEXT.replace(section, ""), encoding="utf-8")
    assert load_topics(file).declared == load_topics(default_topics_file()).declared


def test_every_name_has_the_prefix() -> None:
    assert all(topic.name.startswith("x.") for topic in load_topics(default_topics_file(), "x.").declared)
