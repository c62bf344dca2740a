-- In which hours each message was told of, in the order of a number made of its key: whether a message of now was told
-- of before is found in a few hundred rows of each month, where it took a look at all ids that are kept.
CREATE TABLE IF NOT EXISTS message_hours
(
    webhook_id LowCardinality(String),
    key_hash UInt64 CODEC(NONE),
    hour DateTime('UTC') CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (key_hash, hour)
TTL hour + INTERVAL 13 MONTH
SETTINGS ttl_only_drop_parts = 1, index_granularity = 256;

CREATE MATERIALIZED VIEW IF NOT EXISTS message_states_to_message_hours TO message_hours AS
SELECT
    m.webhook_id AS webhook_id,
    cityHash64(m.organization_id, m.webhook_id, m.message_id) AS key_hash,
    toStartOfHour(m.created_on) AS hour
FROM message_states AS m;

-- What was recorded in the last weeks. What is older is not there: should it be told of again, it is counted twice.
INSERT INTO message_hours
SELECT webhook_id, cityHash64(organization_id, webhook_id, message_id) AS key_hash, hour
FROM messages_by_hour
WHERE toDate(hour) = toDate(now('UTC')) - {days_ago};

-- What came since a moment is found without the rest.
ALTER TABLE messages_by_hour
    ADD INDEX IF NOT EXISTS by_first_seen first_seen TYPE minmax;

-- Merged within a month, and within a day, takes a third of the processor's time, and a condition on created_on or
-- message_created_on chooses among them. Messages that were told of in several hours are merged over all of them; for
-- this a cast is looked through, and toDateTime64 is not.
CREATE OR REPLACE VIEW messages AS
SELECT
    organization_id,
    webhook_id,
    toLowCardinality(toString(event_type)) AS event_type,
    message_id,
    CAST(created_on, 'DateTime64(3, ''UTC'')') AS created_on,
    toString(tupleElement(state, 'status')) AS status,
    toUInt8(least(length(made), 255)) AS attempts,
    toUInt8(least(runs, 255)) AS runs,
    if(
        tupleElement(state, 'status') IN ('successful', 'failed'),
        tupleElement(state, 'finished_on'),
        NULL) AS finished_on,
    toString(workspace_id) AS workspace_id
FROM
(
    SELECT *
    FROM message_states FINAL
    WHERE (organization_id, webhook_id, message_id) NOT IN
        (SELECT organization_id, webhook_id, message_id FROM retold_messages)
    SETTINGS do_not_merge_across_partitions_select_final = 1, distributed_product_mode = 'local'
    UNION ALL
    SELECT *
    FROM message_states FINAL
    WHERE (organization_id, webhook_id, message_id) IN
        (SELECT organization_id, webhook_id, message_id FROM retold_messages)
    SETTINGS distributed_product_mode = 'local'
)
WHERE created_on >= toStartOfHour(now('UTC') - INTERVAL 13 MONTH);

CREATE OR REPLACE VIEW attempts AS
SELECT
    organization_id,
    webhook_id,
    event_type,
    message_id,
    toUInt8(least(run, 255)) AS run,
    attempt,
    toString(status) AS status,
    executed_on,
    duration_ms,
    response_code,
    error,
    target_host,
    due_at,
    message_created_on
FROM
(
    SELECT *, at
    FROM attempt_states FINAL
    WHERE (organization_id, webhook_id, message_id) NOT IN
        (SELECT organization_id, webhook_id, message_id FROM retold_messages)
    SETTINGS do_not_merge_across_partitions_select_final = 1, distributed_product_mode = 'local'
    UNION ALL
    SELECT *, at
    FROM attempt_states FINAL
    WHERE (organization_id, webhook_id, message_id) IN
        (SELECT organization_id, webhook_id, message_id FROM retold_messages)
    SETTINGS distributed_product_mode = 'local'
)
WHERE at >= now64(3, 'UTC') - INTERVAL 28 DAY;
