"""The schema for a cluster is read by the engine; no cluster has run it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chdb
import pytest

from dispatcher.errors import ConfigurationError
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.clustering import clustered
from dispatcher.recording.schema import migrations

STATEMENTS = [
    rendered
    for migration in migrations()
    for statement in migration.statements
    for rendered in clustered(statement.format(days_ago=1, months_ago=1) if "_ago}" in statement else statement, "main")
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    connection = chdb.connect(str(tmp_path_factory.mktemp("engine").resolve()))
    yield connection
    connection.close()


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.split("(")[0].split(" AS")[0][-60:])
def test_the_engine_reads_it(engine: Any, statement: str) -> None:
    said = engine.query(f"EXPLAIN AST {statement}", "TSVRaw").bytes().decode()
    assert said.startswith(("Create", "Insert", "Alter"))


def test_a_table_is_replicated_on_each_shard_and_distributed_by_webhook() -> None:
    own, front = [each for each in STATEMENTS if "TABLE IF NOT EXISTS message_states" in each]
    assert own.startswith("CREATE TABLE IF NOT EXISTS message_states_local ON CLUSTER 'main'\n(")
    path = "'/clickhouse/tables/{shard}/{database}/message_states_local', '{replica}'"
    assert f"ENGINE = ReplicatedAggregatingMergeTree({path})\n" in own
    assert front == (
        "CREATE TABLE IF NOT EXISTS message_states ON CLUSTER 'main' AS message_states_local\n"
        "ENGINE = Distributed('main', currentDatabase(), 'message_states_local', cityHash64(webhook_id))"
    )


def test_a_table_is_changed_beside_the_data_and_in_front_and_its_view_reads_beside_the_data() -> None:
    own, front, view, *_ = [each for each in STATEMENTS if each.startswith("ALTER TABLE")]
    assert own.startswith("ALTER TABLE attempt_times_local ON CLUSTER 'main'\n    ADD COLUMN")
    assert front.startswith("ALTER TABLE attempt_times ON CLUSTER 'main'\n    ADD COLUMN")
    assert view.startswith("ALTER TABLE attempt_states_to_attempt_times ON CLUSTER 'main' MODIFY QUERY\nSELECT")
    assert "\nFROM attempt_states_local AS a\n" in view


def test_rows_are_sorted_anew_beside_the_data_alone() -> None:
    own, front = [each for each in STATEMENTS if "ADD COLUMN IF NOT EXISTS queued_on" in each]
    assert own.startswith("ALTER TABLE message_bodies_local ON CLUSTER 'main'\n")
    assert own.endswith(" MODIFY ORDER BY (organization_id, webhook_id, message_id, queued_on, log_offset)")
    assert front.startswith("ALTER TABLE message_bodies ON CLUSTER 'main'\n")
    assert front.endswith("ADD COLUMN IF NOT EXISTS log_offset Int64 CODEC(Delta, ZSTD(1))")


def test_versions_stay_versions() -> None:
    (attempts,) = [each for each in STATEMENTS if "TABLE IF NOT EXISTS attempt_states_local" in each]
    assert "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/" in attempts
    assert "'{replica}', version)\n" in attempts


def test_views_that_insert_read_and_write_beside_the_data() -> None:
    views = [each for each in STATEMENTS if "MATERIALIZED VIEW" in each]
    assert len(views) > 8
    for view in views:
        head, body = view.split(" AS\n", 1)
        assert " ON CLUSTER 'main' TO " in head
        assert head.endswith("_local")
        assert "_local AS " in body.rsplit("\nFROM ", 1)[1]


def test_what_is_of_no_webhook_is_one_table_for_all() -> None:
    (looks,) = [each for each in STATEMENTS if "TABLE IF NOT EXISTS looks" in each]
    assert (
        "ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/looks', '{shard}-{replica}', until)" in looks
    )


def test_the_embedded_engine_is_no_cluster(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="DISPATCHER_CLICKHOUSE_CLUSTER"):
        ClickHouse(f"chdb://{tmp_path}", cluster="main")
